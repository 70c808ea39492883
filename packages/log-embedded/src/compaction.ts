import type { LogRecord } from '@tidemark/log'
import { BATCH_BYTES_MAX, writeBatch } from './append.ts'
import { allRecords, isBatch, recordBytes } from './batch.ts'
import type { MaintenanceOptions, PartitionWork, Removed } from './maintenance.ts'
import { corrupt } from './preflight.ts'
import { copyBatch, type Entry } from './reader.ts'
import {
  baseOf,
  batchKey,
  decodeIndex,
  decodePartition,
  encodePartition,
  type PartitionRow,
  partitionKey,
} from './rows.ts'

/** Bytes of batches that one slice reads before it lets other work run. */
const SLICE_BYTES = 1024 * 1024
/** Smaller batches are joined with their neighbours, even when nothing is taken out of them. */
const JOIN_BYTES_MAX = 64 * 1024
const SURVEY_ROWS = 4096
const SPAN_MAX = 2 ** 31

/**
 * Kafka's cleaner: of all records with one key only the last stays, at its offset; a tombstone stays for `deleteRetentionMs` after
 * compaction first met it; records without a key stay. A round learns the last offset of up to `compactionKeysMax` keys from what
 * was not compacted yet, then rewrites the partition from its start up to there. A round that is cut off has only done part of what
 * the next one does anyway.
 */
export async function compact(work: PartitionWork, options: MaintenanceOptions): Promise<Removed> {
  let records = 0
  let bytes = 0
  // Each round gets further, by at least one batch, towards the end that was there at the start.
  const { end } = partitionRow(work)
  for (;;) {
    const row = partitionRow(work)
    const due = work.nowMs >= row.tombstonesDueMs
    const dirty =
      row.cleanedTo < end && (records > 0 || bytes > 0 || (await dirtyRatio(work, row)) >= options.minDirtyRatio)
    if (!due && !dirty) return { records, bytes }
    const removed = await round(work, options, row, end)
    records += removed.records
    bytes += removed.bytes
    if (removed.cleanedTo >= end || (!dirty && due)) return { records, bytes }
  }
}

function partitionRow({ environment, topicId, partition }: PartitionWork): PartitionRow {
  return decodePartition(environment.partitions.getBinary(partitionKey(topicId, partition)))
}

/** Index entries from an offset on. */
function entriesFrom({ environment, topicId, partition }: PartitionWork, offset: number, limit: number): Entry[] {
  const range = { start: batchKey(topicId, partition, offset), end: partitionKey(topicId, partition + 1), limit }
  const out: Entry[] = []
  for (const { key, value } of environment.index.getRange(range))
    out.push({ base: baseOf(key), row: decodeIndex(value) })
  return out
}

async function dirtyRatio(work: PartitionWork, { start, cleanedTo }: PartitionRow): Promise<number> {
  let clean = 0
  let dirty = 0
  for (let at = start; ; ) {
    const entries = entriesFrom(work, at, SURVEY_ROWS)
    for (const { base, row } of entries) {
      if (base < cleanedTo) clean += row.bytes
      else dirty += row.bytes
    }
    if (entries.length < SURVEY_ROWS) break
    at = entries.at(-1)!.row.last + 1
    await work.pause()
  }
  return dirty === 0 ? 0 : dirty / (clean + dirty)
}

/** One slice of entries: from an offset on, below `to`, up to about SLICE_BYTES. */
function sliceFrom(work: PartitionWork, from: number, to: number): Entry[] {
  const out: Entry[] = []
  let bytes = 0
  for (const entry of entriesFrom(work, from, SURVEY_ROWS)) {
    if (entry.base >= to || (bytes > 0 && bytes + entry.row.bytes > SLICE_BYTES)) break
    bytes += entry.row.bytes
    out.push(entry)
  }
  return out
}

function recordsOf({ environment, topicId, partition }: PartitionWork, base: number): LogRecord[] {
  const batch = copyBatch(environment, topicId, partition, base)
  if (!batch || !isBatch(batch)) {
    throw corrupt(environment.path, `the batch of topic ${topicId}/${partition} at offset ${base} is damaged`)
  }
  return allRecords(batch, base)
}

interface LastOffsets {
  readonly offsets: ReadonlyMap<string, number>
  /** Offsets are known for everything below. */
  readonly upTo: number
}

async function lastOffsets(work: PartitionWork, from: number, end: number, keysMax: number): Promise<LastOffsets> {
  const offsets = new Map<string, number>()
  let at = from
  while (at < end && offsets.size < keysMax) {
    const slice = sliceFrom(work, at, end)
    if (slice.length === 0) return { offsets, upTo: end }
    for (const { base, row } of slice) {
      for (const { key, offset } of recordsOf(work, base)) if (key !== null) offsets.set(key.toString('latin1'), offset)
      at = row.last + 1
      if (offsets.size >= keysMax) break
    }
    await work.pause()
  }
  return { offsets, upTo: at }
}

async function round(
  work: PartitionWork,
  options: MaintenanceOptions,
  row: PartitionRow,
  end: number,
): Promise<Removed & { readonly cleanedTo: number }> {
  const { committer, environment, topicId, partition } = work
  const { offsets, upTo } = await lastOffsets(work, row.cleanedTo, end, options.compactionKeysMax)
  let records = 0
  let bytes = 0
  let tombstonesDueMs = Number.POSITIVE_INFINITY
  for (let at = row.start; at < upTo; ) {
    const slice = sliceFrom(work, at, upTo)
    if (slice.length === 0) break
    at = slice.at(-1)!.row.last + 1
    const cleaned = clean(work, options, slice, offsets)
    tombstonesDueMs = Math.min(tombstonesDueMs, cleaned.tombstonesDueMs)
    records += cleaned.removed.records
    if (cleaned.changes.length > 0) {
      bytes += await committer.run({ bytes: SLICE_BYTES, write: () => applyChanges(work, cleaned.changes) })
    }
    await work.pause()
  }
  await committer.run<void>({
    bytes: 64,
    write: () => {
      const current = partitionRow(work)
      environment.partitions.put(
        partitionKey(topicId, partition),
        encodePartition({ ...current, cleanedTo: upTo, tombstonesDueMs }),
      )
    },
  })
  return { records, bytes, cleanedTo: upTo }
}

/** Some neighbouring batches, and what is to stand in their place. */
interface Change {
  readonly sources: readonly Entry[]
  readonly records: readonly LogRecord[]
  readonly tombstonesDueMs: number
}

interface Cleaned {
  readonly changes: readonly Change[]
  readonly removed: { readonly records: number }
  /** The earliest time at which a tombstone that stays may go. */
  readonly tombstonesDueMs: number
}

/** Decides what stays of a slice. Only compaction changes batches below `end`, so this needs no transaction. */
function clean(
  work: PartitionWork,
  { deleteRetentionMs }: MaintenanceOptions,
  slice: readonly Entry[],
  offsets: ReadonlyMap<string, number>,
): Cleaned {
  const joiner = new Joiner()
  let removed = 0
  let earliestDue = Number.POSITIVE_INFINITY
  for (const entry of slice) {
    const { base, row } = entry
    const met = Number.isFinite(row.tombstonesDueMs)
    const dropTombstones = met && work.nowMs >= row.tombstonesDueMs
    const all = recordsOf(work, base)
    const kept = all.filter(({ key, value, offset }) => {
      if (key === null) return true
      if ((offsets.get(key.toString('latin1')) ?? offset) > offset) return false
      return value !== null || !dropTombstones
    })
    removed += all.length - kept.length
    let due = Number.POSITIVE_INFINITY
    if (kept.some(({ key, value }) => key !== null && value === null)) {
      due = met ? row.tombstonesDueMs : work.nowMs + deleteRetentionMs
      earliestDue = Math.min(earliestDue, due)
    }
    const changed = kept.length < all.length || due !== row.tombstonesDueMs
    joiner.add(entry, kept, due, changed)
  }
  joiner.flush()
  return { changes: joiner.changes, removed: { records: removed }, tombstonesDueMs: earliestDue }
}

/** Joins neighbouring batches that changed or are small into batches of full size. */
class Joiner {
  readonly changes: Change[] = []
  #sources: Entry[] = []
  #records: LogRecord[] = []
  #bytes = 0
  #due = Number.POSITIVE_INFINITY
  #changed = false

  add(entry: Entry, kept: readonly LogRecord[], due: number, changed: boolean): void {
    if (!changed && entry.row.bytes >= JOIN_BYTES_MAX) {
      this.flush()
      return
    }
    const bytes = kept.reduce((sum, record) => sum + recordBytes(record), 0)
    const first = this.#sources[0]
    if (first && (this.#bytes + bytes > BATCH_BYTES_MAX || entry.row.last - first.base > SPAN_MAX)) this.flush()
    this.#sources.push(entry)
    this.#records.push(...kept)
    this.#bytes += bytes
    // Joined tombstones wait for the last of them: staying longer is safe.
    if (Number.isFinite(due)) this.#due = Number.isFinite(this.#due) ? Math.max(this.#due, due) : due
    this.#changed ||= changed
  }

  flush(): void {
    if (this.#changed || this.#sources.length > 1) {
      this.changes.push({ sources: this.#sources, records: this.#records, tombstonesDueMs: this.#due })
    }
    this.#sources = []
    this.#records = []
    this.#bytes = 0
    this.#due = Number.POSITIVE_INFINITY
    this.#changed = false
  }
}

/** Puts the changes in place; returns how many bytes that freed. Within a write transaction. */
function applyChanges({ environment, topicId, partition, writer }: PartitionWork, changes: readonly Change[]): number {
  let freed = 0
  for (const { sources, records, tombstonesDueMs } of changes) {
    for (const { base, row } of sources) {
      const key = batchKey(topicId, partition, base)
      environment.batches.remove(key)
      environment.index.remove(key)
      freed += row.bytes
    }
    if (records.length === 0) continue
    const last = sources.at(-1)!.row
    const row = writeBatch(environment, writer, {
      topicId,
      partition,
      base: sources[0]!.base,
      last: last.last,
      records,
      // The rise up to the last source, which a removed record may have caused: search by time expects it never to fall.
      risingTimestampMs: last.risingTimestampMs,
      tombstonesDueMs,
    })
    freed -= row.bytes
  }
  return freed
}
