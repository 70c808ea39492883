import { crc32 } from 'node:zlib'
import { TidemarkError } from '@tidemark/base'
import { CHECKSUM_BYTES, FRAME_HEADER_BYTES, type Frame, invalid, MAGIC, PAYLOAD_BYTES_MAX } from './format.ts'

/** Numbers frames and puts their checksum behind them. */
export class FrameWriter {
  #number = 0

  json(kind: number, value: unknown): Buffer {
    const text = Buffer.from(JSON.stringify(value))
    return this.frame(kind, text.length, (target) => void target.set(text))
  }

  /** A frame whose payload is written in place. */
  frame(kind: number, bytes: number, write: (payload: Buffer) => void): Buffer {
    const end = FRAME_HEADER_BYTES + bytes
    const out = Buffer.allocUnsafe(end + CHECKSUM_BYTES)
    out.writeUInt8(kind, 0)
    out.writeUInt32LE(this.#number++, 1)
    out.writeUInt32LE(bytes, 5)
    write(out.subarray(FRAME_HEADER_BYTES, end))
    out.writeUInt32LE(crc32(out.subarray(0, end)), end)
    return out
  }
}

/**
 * The frames of a stream, each checked before it is returned; its payload is nobody else's. Memory is bounded by one frame and one chunk.
 * Throws EXPORT_INVALID at the first byte that does not belong, and when the input ends within a frame.
 */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const input = new Input(chunks)
  try {
    yield* framesOf(input)
  } finally {
    await input.close()
  }
}

async function* framesOf(input: Input): AsyncGenerator<Frame> {
  const magic = await input.take(MAGIC.length)
  if (magic === undefined) throw invalid('The input is empty.')
  if (!MAGIC.equals(magic)) {
    throw new TidemarkError(
      'EXPORT_INVALID',
      'The input is not an export of tidemark. Give what `tidemark export` wrote.',
    )
  }
  for (let number = 0; ; number++) {
    const header = await input.take(FRAME_HEADER_BYTES)
    if (header === undefined) return
    const bytes = header.readUInt32LE(5)
    if (bytes > PAYLOAD_BYTES_MAX) throw damaged(input, number)
    const body = await input.take(bytes + CHECKSUM_BYTES)
    if (body === undefined) throw cut(input)
    const payload = body.subarray(0, bytes)
    if (body.readUInt32LE(bytes) !== crc32(payload, crc32(header)) || header.readUInt32LE(1) !== number) {
      throw damaged(input, number)
    }
    yield { kind: header.readUInt8(0), payload }
  }
}

/** Takes exact numbers of bytes out of chunks of any size. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>
  #chunk: Uint8Array = Buffer.alloc(0)
  #at = 0
  /** Bytes taken so far. */
  taken = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** undefined at the end of the input; throws EXPORT_INVALID when it ends after some of the bytes. */
  async take(bytes: number): Promise<Buffer | undefined> {
    const out = Buffer.allocUnsafeSlow(bytes)
    let filled = 0
    while (filled < bytes) {
      if (this.#at === this.#chunk.length && !(await this.#more())) {
        if (filled === 0) return undefined
        throw cut(this)
      }
      const part = this.#chunk.subarray(this.#at, this.#at + bytes - filled)
      out.set(part, filled)
      filled += part.length
      this.#at += part.length
    }
    this.taken += bytes
    return out
  }

  /** Lets go of what the chunks come from. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done) return false
    this.#chunk = next.value
    this.#at = 0
    return true
  }
}

function cut({ taken }: Input): TidemarkError {
  return invalid(`The export ends in the middle, after ${taken} bytes.`)
}

function damaged({ taken }: Input, number: number): TidemarkError {
  return invalid(`The export is damaged: part ${number}, before byte ${taken}, is not what was written.`)
}
