/**
 * A record in a segment file: 24 bytes of header, then the payload.
 *
 * ```
 *  0  marker "TMW1"          12  CRC-32 of the payload
 *  4  payload bytes, u32     16  time in ms since 1970, f64 … 24
 *  8  CRC-32 of the header's other 20 bytes
 * ```
 * Numbers are little-endian. Header and payload have checksums of their own, so that a damaged length is not believed.
 */
import { crc32 } from 'node:zlib'

const MARKER = Buffer.from('TMW1', 'latin1')
export const HEADER_BYTES = 24

/** Payload of one record. A webhook of the largest size with its headers is well below. */
export const PAYLOAD_BYTES_MAX = 16 * 1024 * 1024

export type Found =
  | { readonly kind: 'record'; readonly payload: Buffer; readonly timeMs: number; readonly next: number }
  /** The bytes end within a record, or hold zeros only: a write that was cut off. */
  | { readonly kind: 'cut' }
  /** Bytes that are no record; the next one may begin at `next`. */
  | { readonly kind: 'damaged'; readonly next: number }
  | { readonly kind: 'end' }

/** The header of a payload; the two together are the record. */
export function headerOf(payload: Uint8Array, timeMs: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  MARKER.copy(header)
  header.writeUInt32LE(payload.length, 4)
  header.writeUInt32LE(crc32(payload), 12)
  header.writeDoubleLE(timeMs, 16)
  header.writeUInt32LE(headerSum(header), 8)
  return header
}

/** What stands at a place of a segment. The payload is a view. */
export function recordAt(bytes: Buffer, at: number): Found {
  const left = bytes.length - at
  if (left <= 0) return { kind: 'end' }
  if (left < HEADER_BYTES) return { kind: 'cut' }
  const header = bytes.subarray(at, at + HEADER_BYTES)
  if (!isHeader(header)) {
    if (isZero(bytes.subarray(at))) return { kind: 'cut' }
    return { kind: 'damaged', next: nextHeader(bytes, at + 1) }
  }
  const begin = at + HEADER_BYTES
  const next = begin + header.readUInt32LE(4)
  if (next > bytes.length) return { kind: 'cut' }
  const payload = bytes.subarray(begin, next)
  if (crc32(payload) !== header.readUInt32LE(12)) return { kind: 'damaged', next }
  return { kind: 'record', payload, timeMs: header.readDoubleLE(16), next }
}

const headerSum = (header: Buffer): number => crc32(header.subarray(12), crc32(header.subarray(0, 8)))

const isHeader = (header: Buffer): boolean =>
  header.subarray(0, 4).equals(MARKER) &&
  header.readUInt32LE(4) <= PAYLOAD_BYTES_MAX &&
  headerSum(header) === header.readUInt32LE(8)

const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0)

/** Where the next sound header stands, or the end. */
function nextHeader(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(MARKER, from); at >= 0; at = bytes.indexOf(MARKER, at + 1))
    if (at + HEADER_BYTES <= bytes.length && isHeader(bytes.subarray(at, at + HEADER_BYTES))) return at
  return bytes.length
}
