import type { PartitionWork, Removed } from './maintenance.ts'
import {
  baseOf,
  batchKey,
  decodeIndex,
  decodePartition,
  encodePartition,
  type IndexRow,
  type PartitionRow,
  partitionKey,
} from './rows.ts'

const SLICE_BATCHES = 256

/**
 * Removes whole batches from the partition's start whose newest record is older than `retentionMs`, and moves the start behind them.
 * Stops at the first batch that stays, so that a partition never gets a hole. One transaction per slice.
 */
export async function expire(work: PartitionWork, retentionMs: number): Promise<Removed> {
  const { committer, nowMs } = work
  const before = nowMs - retentionMs
  let records = 0
  let bytes = 0
  while (expired(work, before).length > 0) {
    const slice = await committer.run({ bytes: 0, write: () => removeSlice(work, before) })
    records += slice.records
    bytes += slice.bytes
    await work.pause()
  }
  return { records, bytes }
}

interface Found {
  readonly base: number
  readonly row: IndexRow
}

function partitionRow({ environment, topicId, partition }: PartitionWork): PartitionRow {
  return decodePartition(environment.partitions.getBinary(partitionKey(topicId, partition)))
}

function expired(work: PartitionWork, before: number): Found[] {
  const { environment, topicId, partition } = work
  const out: Found[] = []
  const range = {
    start: batchKey(topicId, partition, partitionRow(work).start),
    end: partitionKey(topicId, partition + 1),
    limit: SLICE_BATCHES,
  }
  for (const { key, value } of environment.index.getRange(range)) {
    const row = decodeIndex(value)
    if (row.maxTimestampMs >= before) break
    out.push({ base: baseOf(key), row })
  }
  return out
}

function removeSlice(work: PartitionWork, before: number): Removed {
  const { environment, topicId, partition } = work
  let records = 0
  let bytes = 0
  let start = 0
  for (const { base, row } of expired(work, before)) {
    const key = batchKey(topicId, partition, base)
    environment.batches.remove(key)
    environment.index.remove(key)
    records += row.records
    bytes += row.bytes
    start = row.last + 1
  }
  const current = partitionRow(work)
  environment.partitions.put(
    partitionKey(topicId, partition),
    encodePartition({ ...current, start: Math.max(current.start, start) }),
  )
  return { records, bytes }
}
