/**
 * Keys and small rows of the environment, as bytes. Keys are big-endian, so that LMDB's byte order is the order of topics, partitions
 * and offsets. Offsets are numbers up to 2^53 in 8 bytes.
 */

const TWO_32 = 2 ** 32

function putOffset(target: Buffer, offset: number, at: number): void {
  target.writeUInt32BE(Math.floor(offset / TWO_32), at)
  target.writeUInt32BE(offset % TWO_32, at + 4)
}

/** Key of a partition's row: (topic id, partition). */
export function partitionKey(topicId: number, partition: number): Buffer {
  const key = Buffer.allocUnsafe(8)
  key.writeUInt32BE(topicId, 0)
  key.writeUInt32BE(partition, 4)
  return key
}

/** Key of a batch and of its index row: (topic id, partition, base offset). */
export function batchKey(topicId: number, partition: number, base: number): Buffer {
  const key = Buffer.allocUnsafe(16)
  key.writeUInt32BE(topicId, 0)
  key.writeUInt32BE(partition, 4)
  putOffset(key, base, 8)
  return key
}

/** The base offset of a batch key. */
export function baseOf(key: Uint8Array): number {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return bytes.readUInt32BE(8) * TWO_32 + bytes.readUInt32BE(12)
}

/** Key of names; NUL separates the parts, so parts must not hold it. */
export function nameKey(...parts: readonly string[]): Buffer {
  return Buffer.from(parts.join('\0'))
}

/** What is known of a partition. A partition without a row is empty and new. */
export interface PartitionRow {
  /** First retained offset. */
  readonly start: number
  /** Offset of the next record. */
  readonly end: number
  /** Highest timestamp appended so far, removed records included. */
  readonly maxTimestampMs: number
  /** Everything below was compacted. */
  readonly cleanedTo: number
  /** When the first of the compacted tombstones may go; Infinity without any. */
  readonly tombstonesDueMs: number
}

export const NEW_PARTITION: PartitionRow = {
  start: 0,
  end: 0,
  maxTimestampMs: Number.NEGATIVE_INFINITY,
  cleanedTo: 0,
  tombstonesDueMs: Number.POSITIVE_INFINITY,
}

export function encodePartition(row: PartitionRow): Buffer {
  return doubles(row.start, row.end, row.maxTimestampMs, row.cleanedTo, row.tombstonesDueMs)
}

export function decodePartition(bytes: Buffer | undefined): PartitionRow {
  if (bytes === undefined) return NEW_PARTITION
  return {
    start: bytes.readDoubleBE(0),
    end: bytes.readDoubleBE(8),
    maxTimestampMs: bytes.readDoubleBE(16),
    cleanedTo: bytes.readDoubleBE(24),
    tombstonesDueMs: bytes.readDoubleBE(32),
  }
}

/** What is known of a batch without reading it; serves search by time, retention and compaction. */
export interface IndexRow {
  /** Last offset the batch stands for, whether or not its record is still there. */
  readonly last: number
  readonly maxTimestampMs: number
  /** Highest timestamp of the partition up to and including this batch: rises with the offset, so it can be searched by halving. */
  readonly risingTimestampMs: number
  readonly bytes: number
  readonly records: number
  readonly tombstones: number
  /** When compaction may drop the batch's tombstones; Infinity before it met them. */
  readonly tombstonesDueMs: number
}

export function encodeIndex(row: IndexRow): Buffer {
  return doubles(
    row.last,
    row.maxTimestampMs,
    row.risingTimestampMs,
    row.bytes,
    row.records,
    row.tombstones,
    row.tombstonesDueMs,
  )
}

export function decodeIndex(bytes: Buffer): IndexRow {
  return {
    last: bytes.readDoubleBE(0),
    maxTimestampMs: bytes.readDoubleBE(8),
    risingTimestampMs: bytes.readDoubleBE(16),
    bytes: bytes.readDoubleBE(24),
    records: bytes.readDoubleBE(32),
    tombstones: bytes.readDoubleBE(40),
    tombstonesDueMs: bytes.readDoubleBE(48),
  }
}

/** Owner of a key range of local state: a task, or a named state store. */
export interface OwnerRow {
  /** Which key range; changes when the state is cleared. */
  readonly range: number
  /** Rises with every opening; an owner with an older one is fenced. */
  readonly epoch: number
  /** Source position of a named store; a task's position stands among its group's. */
  readonly position: number
}

export function encodeOwner(row: OwnerRow): Buffer {
  return doubles(row.range, row.epoch, row.position)
}

export function decodeOwner(bytes: Buffer): OwnerRow {
  return { range: bytes.readDoubleBE(0), epoch: bytes.readDoubleBE(8), position: bytes.readDoubleBE(16) }
}

export function encodeNumber(value: number): Buffer {
  return doubles(value)
}

export function decodeNumber(bytes: Buffer | undefined, otherwise: number): number {
  return bytes === undefined ? otherwise : bytes.readDoubleBE(0)
}

function doubles(...values: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(values.length * 8)
  values.forEach((value, i) => {
    out.writeDoubleBE(value, i * 8)
  })
  return out
}
