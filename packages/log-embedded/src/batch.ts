import { crc32 } from 'node:zlib'
import type { LogRecord } from '@tidemark/log'

/**
 * A batch is the value of one LMDB entry: the records of one partition from a base offset on.
 *
 *   u32 crc of all that follows · u32 format · u32 record count · u32 last offset - base
 *   per record: u32 offset - base · f64 timestamp · i32 key length (-1 null) · i32 value length (-1 null) · key · value
 *
 * Little-endian and of fixed width: reading is the hot path. Offsets are stored, so that compaction can take records out.
 */
export const BATCH_HEADER_BYTES = 16
export const RECORD_HEADER_BYTES = 20
const FORMAT = 1

export interface BatchRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
}

/** Bytes a record takes in a batch. */
export function recordBytes(record: { readonly key: Uint8Array | null; readonly value: Uint8Array | null }): number {
  return RECORD_HEADER_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0)
}

/** Packs records into bytes that are valid until the next call: LMDB copies them. */
export class BatchWriter {
  #scratch = Buffer.allocUnsafeSlow(512 * 1024)

  /** `last` is the last offset the batch stands for; records are in offset order from `base` on. */
  pack(base: number, last: number, records: readonly BatchRecord[]): Buffer {
    let size = BATCH_HEADER_BYTES
    for (const record of records) size += recordBytes(record)
    const out = this.#reserve(size)
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
    view.setUint32(4, FORMAT, true)
    view.setUint32(8, records.length, true)
    view.setUint32(12, last - base, true)
    let at = BATCH_HEADER_BYTES
    for (const { offset, timestampMs, key, value } of records) {
      view.setUint32(at, offset - base, true)
      view.setFloat64(at + 4, timestampMs, true)
      view.setInt32(at + 12, key === null ? -1 : key.length, true)
      view.setInt32(at + 16, value === null ? -1 : value.length, true)
      at += RECORD_HEADER_BYTES
      if (key !== null) {
        out.set(key, at)
        at += key.length
      }
      if (value !== null) {
        out.set(value, at)
        at += value.length
      }
    }
    view.setUint32(0, crc32(out.subarray(4)), true)
    return out
  }

  #reserve(size: number): Buffer {
    if (size <= this.#scratch.length) return this.#scratch.subarray(0, size)
    // One huge record must not pin its size for ever.
    if (size > 4 * 1024 * 1024) return Buffer.allocUnsafeSlow(size)
    this.#scratch = Buffer.allocUnsafeSlow(size * 2)
    return this.#scratch.subarray(0, size)
  }
}

/** Whether the bytes are a whole, unaltered batch of a known format. */
export function isBatch(bytes: Buffer): boolean {
  return (
    bytes.length >= BATCH_HEADER_BYTES &&
    bytes.readUInt32LE(4) === FORMAT &&
    bytes.readUInt32LE(0) === crc32(bytes.subarray(4))
  )
}

export function countOf(batch: Buffer): number {
  return batch.readUInt32LE(8)
}

/** The last offset a batch stands for. */
export function lastOf(batch: Buffer, base: number): number {
  return base + batch.readUInt32LE(12)
}

export interface Take {
  readonly recordsMax: number
  readonly bytesMax: number
  /** Bytes already taken, towards bytesMax. */
  readonly bytesTaken: number
}

export interface Taken {
  readonly bytesTaken: number
  /** Offset to go on at. */
  readonly next: number
}

/**
 * Adds the records from `offset` on to `out`, until it holds `recordsMax` records or a record would exceed `bytesMax` (the first
 * record of `out` is always taken). Keys and values are views of the batch.
 */
export function takeRecords(batch: Buffer, base: number, offset: number, take: Take, out: LogRecord[]): Taken {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
  const count = view.getUint32(8, true)
  let bytesTaken = take.bytesTaken
  let at = BATCH_HEADER_BYTES
  for (let i = 0; i < count; i++) {
    const current = base + view.getUint32(at, true)
    const keyLength = view.getInt32(at + 12, true)
    const valueLength = view.getInt32(at + 16, true)
    const keyEnd = at + RECORD_HEADER_BYTES + Math.max(keyLength, 0)
    const end = keyEnd + Math.max(valueLength, 0)
    if (current >= offset) {
      const bytes = end - at - RECORD_HEADER_BYTES
      if (out.length >= take.recordsMax) return { bytesTaken, next: current }
      if (out.length > 0 && bytesTaken + bytes > take.bytesMax) return { bytesTaken, next: current }
      bytesTaken += bytes
      out.push({
        offset: current,
        timestampMs: view.getFloat64(at + 4, true),
        key: keyLength < 0 ? null : batch.subarray(at + RECORD_HEADER_BYTES, keyEnd),
        value: valueLength < 0 ? null : batch.subarray(keyEnd, end),
      })
    }
    at = end
  }
  return { bytesTaken, next: lastOf(batch, base) + 1 }
}

/** All records of a batch. */
export function allRecords(batch: Buffer, base: number): LogRecord[] {
  const out: LogRecord[] = []
  const take = { recordsMax: Number.POSITIVE_INFINITY, bytesMax: Number.POSITIVE_INFINITY, bytesTaken: 0 }
  takeRecords(batch, base, base, take, out)
  return out
}
