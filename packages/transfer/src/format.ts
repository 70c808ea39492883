import { TidemarkError } from '@tidemark/base'
import type { Bounds, TopicSpec } from '@tidemark/log'

/**
 * An export is the magic and then frames, little-endian:
 *
 *   u8 kind · u32 number, from 0 · u32 payload length · payload · u32 crc32 of all of that
 *
 * in this order: one HEADER, SCHEMAs by id, POSITIONS, then for each partition PARTITION, RECORDS …, PARTITION_END, and one END with totals. The
 * number of a frame is under its checksum, so that lost, repeated and exchanged frames are noticed; a stream without END is cut off.
 * All payloads but those of RECORDS (see records.ts) are JSON. A later version may only add frames and fields under a new FORMAT_VERSION.
 */
export const MAGIC = Buffer.from('TIDEMARK')
export const FORMAT_VERSION = 1
export const FRAME_HEADER_BYTES = 9
export const CHECKSUM_BYTES = 4
/** Far above the largest record of an embedded log (64 MiB). */
export const PAYLOAD_BYTES_MAX = 256 * 1024 * 1024

export const KIND = {
  header: 1,
  schema: 2,
  positions: 3,
  partition: 4,
  records: 5,
  partitionEnd: 6,
  end: 7,
} as const

export interface Frame {
  readonly kind: number
  readonly payload: Buffer
}

export interface ExportedTopic extends TopicSpec {
  /** By partition. */
  readonly bounds: readonly Bounds[]
}

export interface Header {
  readonly version: number
  /** Milliseconds since 1970. */
  readonly createdAtMs: number
  /** In the order in which they follow. */
  readonly topics: readonly ExportedTopic[]
}

export interface SchemaEntry {
  readonly subject: string
  readonly version: number
  readonly id: number
  readonly schema: string
}

export interface GroupPositions {
  readonly group: string
  readonly topic: string
  /** [partition, next offset]. */
  readonly positions: readonly (readonly [number, number])[]
}

export interface PartitionStart {
  readonly topic: string
  readonly partition: number
}

export interface PartitionEnd {
  readonly records: number
}

export interface End {
  readonly partitions: number
  readonly records: number
}

/** Offsets that the topics span: what progress is counted in. */
export function offsetsOf(topics: readonly ExportedTopic[]): number {
  return topics.flatMap(({ bounds }) => bounds).reduce((sum, { start, end }) => sum + end - start, 0)
}

/** The stream is not a whole export. */
export function invalid(what: string): TidemarkError {
  return new TidemarkError('EXPORT_INVALID', `${what} Export again, and check that the file or pipe arrives whole.`)
}
