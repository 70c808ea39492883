/**
 * Record batches (format 2) of a Fetch answer. Unlike kafkajs' decoder this one knows where a batch ends whose records were compacted away,
 * tells control records by their flag, checks checksums, takes batches of any size, and makes no object per record but the record itself.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { LogRecord } from '@tidemark/log'
import { crc32c } from './crc32c.ts'

/** A transaction that was aborted, as the Fetch answer lists it. */
export interface Aborted {
  readonly producerId: number
  readonly firstOffset: number
}

export interface DecodeOptions {
  /** Records before it are left out: a batch begins where it was written, not where the reader stands. */
  readonly offset: number
  readonly aborted: readonly Aborted[]
  readonly recordsMax: number
  /** Over keys and values; at least one record is returned. */
  readonly bytesMax: number
}

export interface DecodedRecords {
  readonly records: LogRecord[]
  /** Where reading goes on; `offset` when not one whole batch was there. */
  readonly nextOffset: number
}

const HEADER = 61
const MAGIC_AT = 16
const CRC_AT = 17
const CRC_FROM = 21
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const ABORT = 0
const TWO_32 = 2 ** 32

/** A 64-bit number; offsets, times and producer ids stay far below 2^53. */
export const readInt64 = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4)

/** Throws RangeError for a broken checksum, an older format, or a compression that Node cannot undo. */
export function decodeRecordSet(set: Buffer, options: DecodeOptions): DecodedRecords {
  const sink: Sink = { records: [], bytes: 0, options }
  const aborted = [...options.aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<number>()
  let nextAborted = 0
  let nextOffset = options.offset
  for (let at = 0; at + HEADER <= set.length; ) {
    const end = at + 12 + set.readInt32BE(at + 8)
    // The last batch may be cut by the limit on bytes.
    if (end > set.length) break
    const batch = set.subarray(at, end)
    at = end
    const baseOffset = readInt64(batch, 0)
    checkBatch(batch, baseOffset)
    const lastOffset = baseOffset + batch.readInt32BE(23)
    const attributes = batch.readInt16BE(21)
    const producerId = readInt64(batch, 43)
    while (nextAborted < aborted.length && aborted[nextAborted]!.firstOffset <= lastOffset) {
      aborting.add(aborted[nextAborted++]!.producerId)
    }
    if (attributes & CONTROL) {
      if (controlType(batch) === ABORT) aborting.delete(producerId)
    } else if (!(attributes & TRANSACTIONAL && aborting.has(producerId)) && lastOffset >= options.offset) {
      if (!readRecords(batch, baseOffset, attributes, sink)) {
        return { records: sink.records, nextOffset: sink.records.at(-1)!.offset + 1 }
      }
    }
    nextOffset = Math.max(nextOffset, lastOffset + 1)
  }
  return { records: sink.records, nextOffset }
}

function checkBatch(batch: Buffer, baseOffset: number): void {
  const magic = batch[MAGIC_AT]
  if (magic !== 2) throw new RangeError(`the batch at offset ${baseOffset} has record format ${magic}; only 2 is read`)
  if (crc32c(batch, CRC_FROM, batch.length) !== batch.readUInt32BE(CRC_AT)) {
    throw new RangeError(`the batch at offset ${baseOffset} has a wrong checksum`)
  }
}

interface Sink {
  readonly records: LogRecord[]
  bytes: number
  readonly options: DecodeOptions
}

/** Position of the reading functions below: one reader at a time, nothing awaits in between. */
let cursor = 0

/** Adds the batch's records; false when a limit was reached before its end. */
function readRecords(batch: Buffer, baseOffset: number, attributes: number, sink: Sink): boolean {
  const { records, options } = sink
  const count = batch.readInt32BE(57)
  const firstTimestamp = readInt64(batch, 27)
  const appendTime = attributes & LOG_APPEND_TIME ? readInt64(batch, 35) : undefined
  const bytes = uncompressed(batch, attributes, baseOffset)
  cursor = bytes === batch ? HEADER : 0
  for (let i = 0; i < count; i++) {
    const length = varint(bytes)
    const end = cursor + length
    cursor++
    const timestampMs = appendTime ?? firstTimestamp + varint(bytes)
    if (appendTime !== undefined) varint(bytes)
    const offset = baseOffset + varint(bytes)
    if (offset >= options.offset) {
      const key = field(bytes)
      const value = field(bytes)
      const size = (key?.length ?? 0) + (value?.length ?? 0)
      if (records.length > 0 && (records.length >= options.recordsMax || sink.bytes + size > options.bytesMax))
        return false
      records.push({ offset, timestampMs, key, value })
      sink.bytes += size
    }
    cursor = end
  }
  return true
}

function uncompressed(batch: Buffer, attributes: number, baseOffset: number): Buffer {
  const codec = attributes & 0x07
  if (codec === 0) return batch
  if (codec === 1) return gunzipSync(batch.subarray(HEADER))
  if (codec === 4) return zstdDecompressSync(batch.subarray(HEADER))
  throw new RangeError(
    `the batch at offset ${baseOffset} is compressed with ${CODECS[codec] ?? codec}; set the topic's compression.type to zstd, gzip or uncompressed`,
  )
}

/** What a control batch says: 0 abort, 1 commit. */
function controlType(batch: Buffer): number {
  cursor = HEADER
  varint(batch)
  cursor++
  varint(batch)
  varint(batch)
  varint(batch)
  return batch.readInt16BE(cursor + 2)
}

function field(bytes: Buffer): Buffer | null {
  const length = varint(bytes)
  if (length < 0) return null
  const start = cursor
  cursor += length
  return bytes.subarray(start, cursor)
}

/** A zigzag number; beyond 28 bits by multiplication, for times that lie far apart. */
function varint(bytes: Buffer): number {
  let byte = bytes[cursor++]!
  let value = byte & 0x7f
  let shift = 7
  for (; byte & 0x80 && shift < 28; shift += 7) {
    byte = bytes[cursor++]!
    value |= (byte & 0x7f) << shift
  }
  if (!(byte & 0x80)) return (value >>> 1) ^ -(value & 1)
  let wide = value
  for (let factor = 2 ** shift; byte & 0x80; factor *= 128) {
    byte = bytes[cursor++]!
    wide += (byte & 0x7f) * factor
  }
  return wide % 2 === 0 ? wide / 2 : -(wide + 1) / 2
}
