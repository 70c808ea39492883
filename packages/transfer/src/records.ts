import type { LogRecord } from '@tidemark/log'
import { invalid } from './format.ts'

/**
 * Payload of a RECORDS frame, little-endian:
 *
 *   u32 count, then per record: f64 offset · f64 timestamp (ms since 1970) · i32 key length (-1 null) · i32 value length (-1 null) · key · value
 */
const COUNT_BYTES = 4
const RECORD_BYTES = 24

export function packedBytes(records: readonly LogRecord[]): number {
  let bytes = COUNT_BYTES
  for (const { key, value } of records) bytes += RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
  return bytes
}

/** Writes records into a target of `packedBytes`. */
export function packRecords(records: readonly LogRecord[], target: Buffer): void {
  target.writeUInt32LE(records.length, 0)
  let at = COUNT_BYTES
  for (const { offset, timestampMs, key, value } of records) {
    target.writeDoubleLE(offset, at)
    target.writeDoubleLE(timestampMs, at + 8)
    target.writeInt32LE(key === null ? -1 : key.length, at + 16)
    target.writeInt32LE(value === null ? -1 : value.length, at + 20)
    at += RECORD_BYTES
    for (const part of [key, value]) {
      if (part === null) continue
      target.set(part, at)
      at += part.length
    }
  }
}

/** Keys and values are views of the payload. Throws EXPORT_INVALID. */
export function unpackRecords(payload: Buffer): LogRecord[] {
  const records: LogRecord[] = []
  let at = COUNT_BYTES
  const take = (length: number): Buffer | null => {
    if (length < 0) return null
    at += length
    if (at > payload.length) throw invalid('The export holds a record that is longer than its frame.')
    return payload.subarray(at - length, at)
  }
  try {
    const count = payload.readUInt32LE(0)
    while (records.length < count) {
      const head = at
      const offset = payload.readDoubleLE(head)
      const timestampMs = payload.readDoubleLE(head + 8)
      const keyLength = payload.readInt32LE(head + 16)
      const valueLength = payload.readInt32LE(head + 20)
      at += RECORD_BYTES
      const key = take(keyLength)
      records.push({ offset, timestampMs, key, value: take(valueLength) })
    }
  } catch (error) {
    if (error instanceof RangeError) throw invalid('The export holds a frame of records that is too short.')
    throw error
  }
  return records
}
