import { TidemarkError } from '@tidemark/base'
import type { EventLog, TopicDifference } from '@tidemark/log'
import {
  type End,
  type ExportedTopic,
  FORMAT_VERSION,
  type Frame,
  type GroupPositions,
  type Header,
  invalid,
  KIND,
  offsetsOf,
  type PartitionEnd,
  type PartitionStart,
  type SchemaEntry,
} from './format.ts'
import { FrameQueue, parse } from './frameQueue.ts'
import { readFrames } from './frames.ts'
import { PartitionWriter } from './partition.ts'
import { claimPositions, settlePositions } from './positions.ts'
import { checkTopics, inUse } from './preflight.ts'
import { Present } from './present.ts'
import type { TransferProgress } from './progress.ts'
import { unpackRecords } from './records.ts'
import { importSchemas, type SchemaTarget } from './schemas.ts'

export interface ImportTarget extends SchemaTarget {
  readonly log: EventLog
  /** Makes an empty partition begin at an offset; what an interrupted call left, the next one goes on with. */
  startAt(topic: string, partition: number, offset: number): Promise<void>
}

export interface ImportOptions {
  /** Ends the import between two requests; the next one goes on where it was. */
  readonly signal: AbortSignal
  readonly onProgress?: (progress: TransferProgress) => void
}

/** What a complete import has done. */
export interface ImportReport {
  readonly topics: number
  readonly partitions: number
  readonly schemas: number
  readonly groups: number
  /** Records of the export. */
  readonly records: number
  /** Those of them that this import wrote; the others were there. */
  readonly appended: number
  /** Settings of topics that were there and differ; nothing was altered. */
  readonly differences: readonly TopicDifference[]
}

/**
 * Writes an export into a target whose topics are empty, or hold the beginning of the same export. Schemas first, then topics,
 * records, and positions at the very end. Resolves only when all of it is there; it may be run again after any failure. Throws EXPORT_INVALID,
 * SCHEMA_ID_MISMATCH, TOPIC_MISMATCH, and what the log and the registry throw.
 */
export async function importLog(
  chunks: AsyncIterable<Uint8Array>,
  target: ImportTarget,
  options: ImportOptions,
): Promise<ImportReport> {
  const frames = new FrameQueue(readFrames(chunks), options.signal)
  try {
    return await importFrames(frames, target, options)
  } finally {
    await frames.close()
  }
}

async function importFrames(frames: FrameQueue, target: ImportTarget, options: ImportOptions): Promise<ImportReport> {
  const header = readHeader(await frames.next())
  const schemas = await frames.all<SchemaEntry>(KIND.schema)
  const groups = await frames.all<GroupPositions>(KIND.positions)
  await importSchemas(target, schemas)
  const differences = await checkTopics(target.log, header.topics)
  let claimed: Promise<void> | undefined
  const beforeAppend = (): Promise<void> => {
    claimed ??= claimPositions(target.log, groups)
    return claimed
  }
  const total = offsetsOf(header.topics)
  const moved = new Map<string, number>()
  const run: Run = { target, options, frames, groups, moved, beforeAppend, total, done: 0, records: 0, appended: 0 }
  let partitions = 0
  for (const topic of header.topics) {
    for (const partition of topic.bounds.keys()) {
      await importPartition(run, topic, partition)
      partitions++
    }
  }
  const end = parse<End>(await frames.next(), KIND.end)
  if (end.records !== run.records || end.partitions !== partitions) throw invalid('The totals of the export are wrong.')
  await frames.finish()
  await settlePositions(target.log, inTarget(groups, moved))
  return {
    topics: header.topics.length,
    partitions,
    schemas: schemas.length,
    groups: new Set(groups.map(({ group }) => group)).size,
    records: run.records,
    appended: run.appended,
    differences,
  }
}

interface Run {
  readonly target: ImportTarget
  readonly options: ImportOptions
  readonly frames: FrameQueue
  readonly groups: readonly GroupPositions[]
  /** Positions in compacted topics, as they are in the target; by `positionName`. */
  readonly moved: Map<string, number>
  /** Claims the positions of all groups before the first record is written. */
  readonly beforeAppend: () => Promise<void>
  readonly total: number
  done: number
  records: number
  appended: number
}

const positionName = (group: string, topic: string, partition: number): string =>
  JSON.stringify([group, topic, partition])

function inTarget(groups: readonly GroupPositions[], moved: ReadonlyMap<string, number>): GroupPositions[] {
  return groups.map(({ group, topic, positions }) => ({
    group,
    topic,
    positions: positions.map(([partition, position]) => [
      partition,
      moved.get(positionName(group, topic, partition)) ?? position,
    ]),
  }))
}

async function importPartition(run: Run, topic: ExportedTopic, partition: number): Promise<void> {
  const { frames } = run
  const begin = parse<PartitionStart>(await frames.next(), KIND.partition)
  if (begin.topic !== topic.name || begin.partition !== partition) throw invalid('The partitions are out of order.')
  const { start, end } = topic.bounds[partition] ?? { start: 0, end: 0 }
  const writer = await openWriter(run, topic, partition)
  const count = await writeRecords(run, writer, topic.name, start)
  const written = await writer.end()
  const counted = parse<PartitionEnd>(await frames.next(), KIND.partitionEnd)
  const isWhole = counted.records === count && (topic.cleanup === 'compact' || written.end === end)
  if (!isWhole) throw invalid(`The export lacks records of ${topic.name}/${partition}.`)
  for (const [group, position] of written.positions) {
    run.moved.set(positionName(group, topic.name, partition), position)
  }
  run.done += end - start
  run.records += count
  run.appended += writer.appended
  run.options.onProgress?.({ topic: topic.name, done: run.done, total: run.total })
}

/** Returns how many there were. */
async function writeRecords(run: Run, writer: PartitionWriter, topic: string, start: number): Promise<number> {
  const { frames, options, done, total } = run
  let count = 0
  try {
    while ((await frames.peek()).kind === KIND.records) {
      const records = unpackRecords((await frames.next()).payload)
      await writer.write(records)
      count += records.length
      const next = (records.at(-1)?.offset ?? start - 1) + 1
      options.onProgress?.({ topic, done: done + next - start, total })
    }
    return count
  } finally {
    // Whoever runs the import again at once must not meet what this one still writes.
    await writer.settled()
  }
}

async function openWriter(run: Run, topic: ExportedTopic, partition: number): Promise<PartitionWriter> {
  const { log } = run.target
  const { name } = topic
  const compacted = topic.cleanup === 'compact'
  const from = compacted ? 0 : (topic.bounds[partition]?.start ?? 0)
  let there = await log.bounds(name, partition)
  if (from > 0 && there.start !== from && there.end <= from) {
    await run.beforeAppend()
    await run.target.startAt(name, partition, from)
    there = { start: from, end: from }
  }
  if (there.start < from) throw inUse(`${name}/${partition}`, `it begins at ${there.start}, the export at ${from}`)
  const positions = run.groups
    .filter((group) => compacted && group.topic === name)
    .flatMap(({ group, positions: all }) =>
      all.filter(([at]) => at === partition).map(([, position]) => ({ group, position })),
    )
  const present = new Present(log, name, partition, there)
  return new PartitionWriter({
    log,
    topic: name,
    partition,
    compacted,
    from,
    present,
    beforeAppend: run.beforeAppend,
    positions,
  })
}

function readHeader(frame: Frame): Header {
  const header = parse<Header>(frame, KIND.header)
  if (header.version === FORMAT_VERSION) return header
  throw new TidemarkError(
    'EXPORT_INVALID',
    `The export has format version ${header.version}; this tidemark reads ${FORMAT_VERSION}. Import it with the version that wrote it.`,
    { fields: { version: header.version } },
  )
}
