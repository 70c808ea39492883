import { type Clock, TidemarkError } from '@tidemark/base'
import type { Bounds, FetchRequest, FetchResult, LogRecord } from '@tidemark/log'
import { partitionName } from './append.ts'
import { allRecords, isBatch, lastOf, takeRecords } from './batch.ts'
import type { Environment } from './environment.ts'
import { corrupt } from './preflight.ts'
import {
  baseOf,
  batchKey,
  decodeIndex,
  decodePartition,
  type IndexRow,
  type PartitionRow,
  partitionKey,
} from './rows.ts'
import type { Topics } from './topics.ts'
import type { Waiters } from './waiters.ts'

const RECORDS_MAX = 10_000
const BYTES_MAX = 4 * 1024 * 1024
/** How often a reader in another process than the writer's looks for new records. */
const POLL_MS = 25
/** Batches kept because a fetch ended in the middle of them. */
const PARTIAL_MAX = 8

export interface Entry {
  readonly base: number
  readonly row: IndexRow
}

/** Reads partitions. All methods see what was committed when they are called. */
export class Reader {
  readonly #environment: Environment
  readonly #topics: Topics
  readonly #waiters: Waiters
  readonly #clock: Clock
  readonly #partial = new Map<string, Buffer>()
  #closed = false

  constructor(environment: Environment, topics: Topics, waiters: Waiters, clock: Clock) {
    this.#environment = environment
    this.#topics = topics
    this.#waiters = waiters
    this.#clock = clock
  }

  /** Ends all waits. */
  close(): void {
    this.#closed = true
    this.#waiters.wakeAll()
  }

  bounds(topic: string, partition: number): Bounds {
    const { start, end } = this.#row(this.#topics.partition(topic, partition).id, partition)
    return { start, end }
  }

  /** See EventLog.fetch. */
  async fetch(request: FetchRequest): Promise<FetchResult> {
    const { id } = this.#topics.partition(request.topic, request.partition)
    const result = this.#read(id, request, request.offset)
    const waitMs = request.waitMs ?? 0
    if (result.records.length > 0 || waitMs <= 0) return result
    return this.#wait(id, request, result, waitMs)
  }

  async #wait(topicId: number, request: FetchRequest, first: FetchResult, waitMs: number): Promise<FetchResult> {
    const deadline = this.#clock.now() + waitMs
    let result = first
    while (result.records.length === 0 && !request.signal?.aborted && !this.#closed) {
      const leftMs = deadline - this.#clock.now()
      if (leftMs <= 0) break
      await this.#sleep(topicId, request, leftMs)
      if (this.#closed) break
      result = this.#read(topicId, request, result.nextOffset)
    }
    return result
  }

  /** Until the partition grows, the signal aborts, the log closes, or the time is over. */
  async #sleep(topicId: number, { partition, signal }: FetchRequest, leftMs: number): Promise<void> {
    const woken = new AbortController()
    const wake = (): void => woken.abort()
    const remove = this.#waiters.add(partitionName(topicId, partition), wake)
    signal?.addEventListener('abort', wake, { once: true })
    try {
      await this.#clock.sleep(this.#environment.readOnly ? Math.min(leftMs, POLL_MS) : leftMs, woken.signal)
    } finally {
      remove()
      signal?.removeEventListener('abort', wake)
    }
    if (this.#environment.readOnly) this.#environment.root.resetReadTxn()
  }

  #read(topicId: number, request: FetchRequest, offset: number): FetchResult {
    const { topic, partition } = request
    const row = this.#row(topicId, partition)
    if (!(offset >= row.start && offset <= row.end)) throw outOfRange(topic, partition, offset, row)
    const take = { recordsMax: Math.max(1, request.recordsMax ?? RECORDS_MAX), bytesMax: request.bytesMax ?? BYTES_MAX }
    const records: LogRecord[] = []
    let bytesTaken = 0
    let next = offset
    while (next < row.end) {
      const found = this.#batchAt(topic, topicId, partition, next)
      if (!found) {
        next = row.end
        break
      }
      const taken = takeRecords(found.batch, found.base, next, { ...take, bytesTaken }, records)
      bytesTaken = taken.bytesTaken
      next = taken.next
      if (next <= lastOf(found.batch, found.base)) {
        this.#keepPartial(topicId, partition, next, found)
        break
      }
      if (records.length >= take.recordsMax || (records.length > 0 && bytesTaken >= take.bytesMax)) break
    }
    return { records, nextOffset: next, endOffset: row.end }
  }

  /** The batch that stands for the offset, or the next one. */
  #batchAt(
    topic: string,
    topicId: number,
    partition: number,
    offset: number,
  ): { batch: Buffer; base: number } | undefined {
    const direct = this.#load(topic, topicId, partition, offset)
    if (direct) return { batch: direct, base: offset }
    const entry = this.entryAt(topicId, partition, offset)
    if (!entry) return undefined
    const kept = this.#partial.get(partialName(topicId, partition, offset, entry))
    const batch = kept ?? this.#load(topic, topicId, partition, entry.base)
    if (!batch) throw this.#damaged(topic, partition, entry.base)
    return { batch, base: entry.base }
  }

  /** Readers that take less than a batch at a time would otherwise copy and check the whole batch for every fetch. */
  #keepPartial(
    topicId: number,
    partition: number,
    next: number,
    { batch, base }: { batch: Buffer; base: number },
  ): void {
    const entry = this.entryAt(topicId, partition, base)
    if (!entry) return
    this.#partial.set(partialName(topicId, partition, next, entry), batch)
    const oldest = this.#partial.keys().next()
    if (this.#partial.size > PARTIAL_MAX && !oldest.done) this.#partial.delete(oldest.value)
  }

  /** A checked copy of a batch: what LMDB returns is only valid until the next read. */
  #load(topic: string, topicId: number, partition: number, base: number): Buffer | undefined {
    const batch = copyBatch(this.#environment, topicId, partition, base)
    if (batch !== undefined && !isBatch(batch)) throw this.#damaged(topic, partition, base)
    return batch
  }

  #damaged(topic: string, partition: number, base: number): TidemarkError {
    return corrupt(this.#environment.path, `the batch of ${topic}/${partition} at offset ${base} is damaged`)
  }

  #row(topicId: number, partition: number): PartitionRow {
    return decodePartition(this.#environment.partitions.getBinary(partitionKey(topicId, partition)))
  }

  /** Index entry of the batch that stands for the offset, or of the next one. */
  entryAt(topicId: number, partition: number, offset: number): Entry | undefined {
    return entryAt(this.#environment, topicId, partition, offset)
  }

  /** See EventLog.offsetAt. Halves by the rising timestamps, then reads on: what gave a batch its rise may be gone. */
  offsetAt(topic: string, partition: number, timestampMs: number): number {
    const { id } = this.#topics.partition(topic, partition)
    const { start, end } = this.#row(id, partition)
    let low = start
    let high = end
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const entry = this.entryAt(id, partition, middle)
      if (!entry || entry.row.risingTimestampMs >= timestampMs) high = middle
      else low = entry.row.last + 1
    }
    for (let at = low; at < end; ) {
      const entry = this.entryAt(id, partition, at)
      if (!entry) break
      if (entry.row.maxTimestampMs >= timestampMs) {
        const batch = this.#load(topic, id, partition, entry.base)
        if (!batch) throw this.#damaged(topic, partition, entry.base)
        const found = allRecords(batch, entry.base).find((record) => record.timestampMs >= timestampMs)
        if (found) return found.offset
      }
      at = entry.row.last + 1
    }
    return end
  }
}

/** A copy of a batch's bytes; undefined when there is none at this base. */
export function copyBatch(
  environment: Environment,
  topicId: number,
  partition: number,
  base: number,
): Buffer | undefined {
  const bytes = environment.batches.getBinaryFast(batchKey(topicId, partition, base))
  if (bytes === undefined) return undefined
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes.subarray(0, bytes.length))
  return copy
}

/** Index entry of the batch that stands for the offset, or of the next one. Sees the write transaction when within one. */
export function entryAt(
  environment: Environment,
  topicId: number,
  partition: number,
  offset: number,
): Entry | undefined {
  const key = batchKey(topicId, partition, offset)
  const backwards = { start: key, end: batchKey(topicId, partition, 0), inclusiveEnd: true, reverse: true, limit: 1 }
  for (const found of environment.index.getRange(backwards)) {
    const row = decodeIndex(found.value)
    if (row.last >= offset) return { base: baseOf(found.key), row }
  }
  const forwards = { start: key, end: partitionKey(topicId, partition + 1), limit: 1 }
  for (const found of environment.index.getRange(forwards))
    return { base: baseOf(found.key), row: decodeIndex(found.value) }
  return undefined
}

/** Compaction changes a batch's length whenever it takes records out, so length and base name one content. */
function partialName(topicId: number, partition: number, next: number, { base, row }: Entry): string {
  return `${topicId}/${partition}/${next}/${base}/${row.last}/${row.bytes}`
}

function outOfRange(topic: string, partition: number, offset: number, { start, end }: PartitionRow): TidemarkError {
  return new TidemarkError(
    'OFFSET_OUT_OF_RANGE',
    `Offset ${offset} of ${topic}/${partition} is outside what the log holds: ${start} to ${end}. Older records were removed by the topic's retention.`,
    { fields: { topic, partition, offset, start, end } },
  )
}
