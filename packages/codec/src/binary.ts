import { TidemarkError } from '@tidemark/base'

const VARINT_MAX = 10

/** Results are cut from blocks of this size: allocating each on its own costs more than writing it. */
const BLOCK_BYTES = 256 * 1024

function undecodable(what: string): TidemarkError {
  return new TidemarkError('VALUE_UNDECODABLE', `the bytes are not what their schema says: ${what}`)
}

/** Writes Avro's binary encoding into one growing buffer that is used again and again. */
export class Writer {
  buf: Buffer
  pos = 0
  #block = Buffer.alloc(0)
  #blockPos = 0

  constructor(capacity = 4096) {
    this.buf = Buffer.allocUnsafeSlow(capacity)
  }

  reset(): void {
    this.pos = 0
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    const need = this.pos + bytes
    if (need <= this.buf.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(need, this.buf.length * 2))
    this.buf.copy(grown, 0, 0, this.pos)
    this.buf = grown
  }

  byte(value: number): void {
    this.reserve(1)
    this.buf[this.pos++] = value
  }

  /** Zigzag varint of a whole number between -2^52 and 2^52. */
  long(value: number): void {
    this.reserve(VARINT_MAX)
    const buf = this.buf
    let pos = this.pos
    if (value >= -0x40000000 && value < 0x40000000) {
      let z = ((value << 1) ^ (value >> 31)) >>> 0
      while (z > 127) {
        buf[pos++] = (z & 127) | 128
        z >>>= 7
      }
      buf[pos++] = z
    } else {
      if (!(Math.abs(value) <= 4503599627370496)) throw new RangeError(`not a whole number of 52 bits: ${value}`)
      let z = value >= 0 ? value * 2 : -value * 2 - 1
      while (z > 127) {
        buf[pos++] = (z % 128) | 128
        z = Math.floor(z / 128)
      }
      buf[pos++] = z
    }
    this.pos = pos
  }

  double(value: number): void {
    this.reserve(8)
    this.pos = this.buf.writeDoubleLE(value === 0 ? 0 : value, this.pos)
  }

  string(value: string): void {
    if (value.length <= 21) {
      // At most 63 bytes: the length takes one byte, so the text can be written before its length is known.
      this.reserve(64)
      const written = this.buf.write(value, this.pos + 1, 'utf8')
      this.buf[this.pos] = written << 1
      this.pos += written + 1
      return
    }
    const bytes = Buffer.byteLength(value, 'utf8')
    this.long(bytes)
    this.reserve(bytes)
    this.pos += this.buf.write(value, this.pos, 'utf8')
  }

  bytes(value: Uint8Array): void {
    this.long(value.length)
    this.raw(value, 0, value.length)
  }

  /** Copies encoded bytes as they are. */
  raw(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    if (Buffer.isBuffer(source)) source.copy(this.buf, this.pos, start, end)
    else this.buf.set(source.subarray(start, end), this.pos)
    this.pos += end - start
  }

  /** A copy of what was written. It may share its memory block with other results: copy what is kept for long. */
  take(): Buffer {
    const length = this.pos
    if (length > BLOCK_BYTES / 8) {
      const own = Buffer.allocUnsafeSlow(length)
      this.buf.copy(own, 0, 0, length)
      return own
    }
    if (this.#blockPos + length > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      this.#blockPos = 0
    }
    const start = this.#blockPos
    this.#blockPos = start + length
    this.buf.copy(this.#block, start, 0, length)
    return this.#block.subarray(start, start + length)
  }
}

/** Reads Avro's binary encoding; every read is bounded by the end of the bytes and throws VALUE_UNDECODABLE beyond it. */
export class Reader {
  buf: Buffer
  pos: number
  end: number

  constructor(buf: Buffer, pos = 0, end = buf.length) {
    this.buf = buf
    this.pos = pos
    this.end = end
  }

  set(buf: Buffer, pos: number, end: number): void {
    this.buf = buf
    this.pos = pos
    this.end = end
  }

  byte(): number {
    if (this.pos >= this.end) throw undecodable('they end too early')
    return this.buf[this.pos++] as number
  }

  long(): number {
    const buf = this.buf
    let pos = this.pos
    let b = pos < this.end ? (buf[pos++] as number) : this.byte()
    let z = b & 127
    let shift = 7
    while (b > 127 && shift < 28) {
      if (pos >= this.end) throw undecodable('a number ends too early')
      b = buf[pos++] as number
      z |= (b & 127) << shift
      shift += 7
    }
    this.pos = pos
    if (b <= 127) return (z >>> 1) ^ -(z & 1)
    return this.longTail(z)
  }

  private longTail(low: number): number {
    let z = low >>> 0
    let factor = 2 ** 28
    for (let i = 4; i < VARINT_MAX; i++) {
      const b = this.byte()
      z += (b & 127) * factor
      factor *= 128
      if (b <= 127) {
        const half = Math.floor(z / 2)
        return z % 2 === 0 ? half : -half - 1
      }
    }
    throw undecodable('a number is too long')
  }

  /** Skips a number without looking at it. */
  skipLong(): void {
    const buf = this.buf
    let pos = this.pos
    while (pos < this.end) {
      if ((buf[pos++] as number) <= 127) {
        this.pos = pos
        return
      }
    }
    throw undecodable('a number ends too early')
  }

  double(): number {
    this.need(8)
    const value = this.buf.readDoubleLE(this.pos)
    this.pos += 8
    return value
  }

  string(): string {
    const length = this.length()
    const start = this.pos
    this.pos = start + length
    return this.buf.toString('utf8', start, this.pos)
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const length = this.length()
    const start = this.pos
    this.pos = start + length
    return this.buf.subarray(start, this.pos)
  }

  skipBytes(): void {
    // Not `this.pos += this.length()`: that reads the position before the length has moved it.
    const length = this.length()
    this.pos += length
  }

  skip(bytes: number): void {
    this.need(bytes)
    this.pos += bytes
  }

  /** A length that fits into what is left. */
  private length(): number {
    const length = this.long()
    this.need(length)
    return length
  }

  private need(bytes: number): void {
    if (bytes < 0 || this.pos + bytes > this.end)
      throw undecodable(`${bytes} bytes wanted, ${this.end - this.pos} left`)
  }

  /** Number of items of the next block of an array or map; a block written with its size has it skipped. */
  blockCount(): number {
    const count = this.long()
    if (count >= 0) return this.bounded(count)
    this.skipLong()
    return this.bounded(-count)
  }

  private bounded(count: number): number {
    // An item takes at least one byte everywhere in our schemas, so a count above the bytes left is a lie that must not allocate.
    if (count > this.end - this.pos) throw undecodable(`${count} items wanted, ${this.end - this.pos} bytes left`)
    return count
  }

  /** True at the end of the bytes. */
  get done(): boolean {
    return this.pos === this.end
  }
}
