import { TidemarkError } from '@tidemark/base'
import type { AppendRecord } from '@tidemark/log'
import { type BatchRecord, type BatchWriter, RECORD_HEADER_BYTES, recordBytes } from './batch.ts'
import type { Operation } from './committer.ts'
import type { Environment } from './environment.ts'
import {
  batchKey,
  decodePartition,
  encodeIndex,
  encodePartition,
  type IndexRow,
  type PartitionRow,
  partitionKey,
} from './rows.ts'
import { PARTITIONS_MAX, type Topics } from './topics.ts'

/** A batch is closed before it grows above this; a larger record gets one of its own. */
export const BATCH_BYTES_MAX = 256 * 1024

/** Names a partition among waiting readers. */
export const partitionName = (topicId: number, partition: number): string => `${topicId}/${partition}`

interface Tail {
  readonly topicId: number
  readonly partition: number
  readonly row: PartitionRow
  end: number
  records: BatchRecord[]
}

/** The records that one transaction appends, over all its operations. Must be used within that transaction. */
export class RoundAppends {
  readonly #environment: Environment
  readonly #writer: BatchWriter
  readonly #tails = new Map<number, Tail>()

  constructor(environment: Environment, writer: BatchWriter) {
    this.#environment = environment
    this.#writer = writer
  }

  /** Partitions whose waiting readers are woken after the commit. */
  get touched(): ReadonlySet<string> {
    return new Set([...this.#tails.values()].map((tail) => partitionName(tail.topicId, tail.partition)))
  }

  /** Takes a record in and returns its offset. */
  add(topicId: number, record: AppendRecord): number {
    const name = topicId * PARTITIONS_MAX + record.partition
    let tail = this.#tails.get(name)
    if (!tail) {
      const row = decodePartition(this.#environment.partitions.getBinary(partitionKey(topicId, record.partition)))
      tail = { topicId, partition: record.partition, row, end: row.end, records: [] }
      this.#tails.set(name, tail)
    }
    const { timestampMs, key, value } = record
    tail.records.push({ offset: tail.end, timestampMs, key, value })
    return tail.end++
  }

  flush(): void {
    for (const tail of this.#tails.values()) this.#flushTail(tail)
  }

  #flushTail({ topicId, partition, row, end, records }: Tail): void {
    let rising = row.maxTimestampMs
    for (let from = 0; from < records.length; ) {
      const to = batchEnd(records, from)
      const index = writeBatch(this.#environment, this.#writer, {
        topicId,
        partition,
        base: records[from]!.offset,
        last: records[to - 1]!.offset,
        records: records.slice(from, to),
        risingTimestampMs: rising,
        tombstonesDueMs: Number.POSITIVE_INFINITY,
      })
      rising = index.risingTimestampMs
      from = to
    }
    this.#environment.partitions.put(
      partitionKey(topicId, partition),
      encodePartition({ ...row, end, maxTimestampMs: rising }),
    )
  }
}

/** Index after the last record that fits into one batch with the record at `from`. */
function batchEnd(records: readonly BatchRecord[], from: number): number {
  let bytes = recordBytes(records[from]!)
  let to = from + 1
  while (to < records.length) {
    bytes += recordBytes(records[to]!)
    if (bytes > BATCH_BYTES_MAX) break
    to++
  }
  return to
}

export interface BatchToWrite {
  readonly topicId: number
  readonly partition: number
  readonly base: number
  readonly last: number
  readonly records: readonly BatchRecord[]
  /** Highest timestamp of the partition before this batch. */
  readonly risingTimestampMs: number
  readonly tombstonesDueMs: number
}

/** Puts a batch and its index row. Within a write transaction. */
export function writeBatch(environment: Environment, writer: BatchWriter, batch: BatchToWrite): IndexRow {
  let maxTimestampMs = Number.NEGATIVE_INFINITY
  let tombstones = 0
  for (const { timestampMs, value } of batch.records) {
    if (timestampMs > maxTimestampMs) maxTimestampMs = timestampMs
    if (value === null) tombstones++
  }
  const bytes = writer.pack(batch.base, batch.last, batch.records)
  const row: IndexRow = {
    last: batch.last,
    maxTimestampMs,
    risingTimestampMs: Math.max(batch.risingTimestampMs, maxTimestampMs),
    bytes: bytes.length,
    records: batch.records.length,
    tombstones,
    tombstonesDueMs: batch.tombstonesDueMs,
  }
  const key = batchKey(batch.topicId, batch.partition, batch.base)
  environment.batches.put(key, bytes)
  environment.index.put(key, encodeIndex(row))
  return row
}

/** Checks the records and sums up their bytes. Throws RECORD_TOO_LARGE, RECORD_INVALID. */
export function measure(records: readonly AppendRecord[], recordBytesMax: number): number {
  let total = 0
  for (const record of records) {
    const bytes = recordBytes(record) - RECORD_HEADER_BYTES
    if (bytes > recordBytesMax) {
      throw new TidemarkError(
        'RECORD_TOO_LARGE',
        `A record of ${bytes} bytes for ${record.topic} is larger than the log takes (${recordBytesMax}). Nothing was written.`,
        { fields: { topic: record.topic, partition: record.partition, bytes, limit: recordBytesMax } },
      )
    }
    if (!Number.isSafeInteger(record.timestampMs)) {
      throw new TidemarkError(
        'RECORD_INVALID',
        `A record for ${record.topic} has the timestamp ${record.timestampMs}, which is not a whole number of milliseconds.`,
        { fields: { topic: record.topic, partition: record.partition } },
      )
    }
    total += bytes + RECORD_HEADER_BYTES
  }
  return total
}

/** Appends records; resolves to their offsets in the order given. */
export function appendOperation(records: readonly AppendRecord[], bytes: number, topics: Topics): Operation<number[]> {
  return {
    bytes,
    check: () => checkTargets(records, topics),
    write: ({ appends }) => addAll(appends, records, topics),
  }
}

/** Throws TOPIC_UNKNOWN. */
export function checkTargets(records: readonly AppendRecord[], topics: Topics): void {
  for (const { topic, partition } of records) topics.partition(topic, partition)
}

export function addAll(appends: RoundAppends, records: readonly AppendRecord[], topics: Topics): number[] {
  return records.map((record) => appends.add(topics.get(record.topic).id, record))
}
