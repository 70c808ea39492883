import { createHash } from 'node:crypto'
import { ApiError } from '../errors.ts'

/** One partition of a selected topic. */
export interface FeedPartition {
  readonly topic: string
  readonly partition: number
}

/**
 * Encodes the offsets of a selection of partitions as text for `Last-Event-ID`: format, fingerprint of the selection, one varint
 * per partition, base64url.
 */
export interface PositionCodec {
  encode(offsets: readonly number[]): string
  /** Throws 400 with what to do for text that is none, or belongs to another selection. */
  decode(text: string): number[]
}

const FORMAT = 1
const FINGERPRINT_BYTES = 4
const HEAD_BYTES = 1 + FINGERPRINT_BYTES

export function createPositionCodec(selection: readonly FeedPartition[]): PositionCodec {
  const names = selection.map(({ topic, partition }) => `${topic}/${partition}`).join('\n')
  const fingerprint = createHash('sha256').update(names).digest().subarray(0, FINGERPRINT_BYTES)
  // A safe integer takes at most 8 bytes.
  const scratch = Buffer.alloc(HEAD_BYTES + selection.length * 8)
  scratch[0] = FORMAT
  fingerprint.copy(scratch, 1)
  return {
    encode(offsets) {
      let at = HEAD_BYTES
      for (const offset of offsets) at = writeVarint(scratch, at, offset)
      return scratch.toString('base64url', 0, at)
    },
    decode(text) {
      const bytes = Buffer.from(text, 'base64url')
      const canonical = bytes.toString('base64url') === text && bytes[0] === FORMAT && bytes.length > HEAD_BYTES
      if (!canonical) throw invalid('it is not one of ours')
      if (!bytes.subarray(1, HEAD_BYTES).equals(fingerprint)) {
        throw invalid('it was made for another selection of models, or before partitions were added')
      }
      return readVarints(bytes, HEAD_BYTES, selection.length)
    },
  }
}

/** A position that cannot be resumed at, and what to do. */
export function invalid(why: string): ApiError {
  return new ApiError(
    400,
    'TIDEMARK.POSITION_INVALID',
    `The position cannot be resumed at: ${why}. Connect with the same model parameter as before, or without a position and with ` +
      `from=earliest (everything again) or from=latest (only what comes).`,
  )
}

function writeVarint(out: Buffer, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest > 127) {
    out[at++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  out[at++] = rest
  return at
}

function readVarints(bytes: Buffer, start: number, count: number): number[] {
  const out: number[] = []
  let value = 0
  let scale = 1
  for (const byte of bytes.subarray(start)) {
    value += (byte & 127) * scale
    scale *= 128
    if (byte > 127) continue
    if (!Number.isSafeInteger(value)) throw invalid('it is not one of ours')
    out.push(value)
    value = 0
    scale = 1
  }
  if (out.length !== count || scale !== 1) throw invalid('it is not one of ours')
  return out
}
