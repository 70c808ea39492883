import { type Clock, TidemarkError } from '@tidemark/base'
import type { EventLog, TopicSpec } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'
import type { SchemaRegistry } from '@tidemark/registry'
import {
  type End,
  type ExportedTopic,
  FORMAT_VERSION,
  type GroupPositions,
  type Header,
  KIND,
  MAGIC,
  offsetsOf,
  type PartitionEnd,
  type PartitionStart,
  type SchemaEntry,
} from './format.ts'
import { FrameWriter } from './frames.ts'
import type { TransferProgress } from './progress.ts'
import { packedBytes, packRecords } from './records.ts'

export interface GroupTopic {
  readonly group: string
  readonly topic: string
}

/** What is exported. Nobody may write to it meanwhile: positions and records would not belong to the same moment. */
export interface ExportSource {
  readonly log: EventLog
  readonly registry: SchemaRegistry
  /** Every group with every topic that it has positions in. */
  groups(): Promise<readonly GroupTopic[]>
}

export interface ExportOptions {
  readonly clock: Clock
  /** Ends the export in the middle; what was written is recognized as incomplete. */
  readonly signal: AbortSignal
  readonly onProgress?: (progress: TransferProgress) => void
  /** Called when everything was handed out. */
  readonly onEnd?: (report: ExportReport) => void
}

/** What a complete export holds. */
export interface ExportReport {
  readonly topics: number
  readonly records: number
  readonly schemas: number
  readonly groups: number
}

/** Fits with what Kafka adds into one batch of log-kafka. */
const FETCH_BYTES = 768 * 1024
const FETCH_RECORDS = 10_000

/**
 * Everything of a log as one stream of bytes, in chunks of about 1 MiB (or one larger record): schemas, positions of all groups, all
 * records. One chunk is in memory at a time. Throws what the log throws, EXPORT_INVALID when the signal ends it.
 */
export async function* exportLog(source: ExportSource, options: ExportOptions): AsyncGenerator<Buffer> {
  const frames = new FrameWriter()
  const topics = await describeTopics(source.log)
  const header: Header = { version: FORMAT_VERSION, createdAtMs: options.clock.now(), topics }
  yield MAGIC
  yield frames.json(KIND.header, header)
  const schemas = await schemasOf(source.registry)
  for (const entry of schemas) yield frames.json(KIND.schema, entry)
  const groups = await source.groups()
  for (const { group, topic } of groups) {
    const positions = [...(await source.log.positions(group, topic))]
    yield frames.json(KIND.positions, { group, topic, positions } satisfies GroupPositions)
  }
  const walk: Walk = { log: source.log, frames, options, total: offsetsOf(topics), done: 0, records: 0, partitions: 0 }
  for (const topic of topics) {
    for (const partition of topic.bounds.keys()) yield* exportPartition(walk, topic, partition)
  }
  yield frames.json(KIND.end, { partitions: walk.partitions, records: walk.records } satisfies End)
  options.onEnd?.({
    topics: topics.length,
    records: walk.records,
    schemas: schemas.length,
    groups: new Set(groups.map(({ group }) => group)).size,
  })
}

interface Walk {
  readonly log: EventLog
  readonly frames: FrameWriter
  readonly options: ExportOptions
  readonly total: number
  done: number
  records: number
  partitions: number
}

async function* exportPartition(walk: Walk, topic: ExportedTopic, partition: number): AsyncGenerator<Buffer> {
  const { log, frames, options } = walk
  const { start, end } = topic.bounds[partition] ?? { start: 0, end: 0 }
  yield frames.json(KIND.partition, { topic: topic.name, partition } satisfies PartitionStart)
  let count = 0
  for (let offset = start; offset < end; ) {
    if (options.signal.aborted) {
      throw new TidemarkError('EXPORT_INVALID', 'The export was stopped. What was written is incomplete; export again.')
    }
    const request = { topic: topic.name, partition, offset, recordsMax: FETCH_RECORDS, bytesMax: FETCH_BYTES }
    const { records, nextOffset } = await log.fetch(request)
    if (records.length > 0) {
      yield frames.frame(KIND.records, packedBytes(records), (payload) => packRecords(records, payload))
    }
    count += records.length
    walk.done += nextOffset - offset
    offset = nextOffset
    options.onProgress?.({ topic: topic.name, done: walk.done, total: walk.total })
  }
  walk.records += count
  walk.partitions++
  yield frames.json(KIND.partitionEnd, { records: count } satisfies PartitionEnd)
}

async function describeTopics(log: EventLog): Promise<ExportedTopic[]> {
  const topics: ExportedTopic[] = []
  for (const spec of inOrder(await log.listTopics())) {
    const partitions = Array.from({ length: spec.partitions }, (_, partition) => partition)
    topics.push({ ...spec, bounds: await Promise.all(partitions.map((partition) => log.bounds(spec.name, partition))) })
  }
  return topics
}

/** The observations come last: when they are there, so is everything that a processor builds upon. */
function inOrder(topics: readonly TopicSpec[]): TopicSpec[] {
  const isLast = ({ name }: TopicSpec): boolean => name === OBSERVED_TOPIC
  return [...topics.filter((topic) => !isLast(topic)), ...topics.filter(isLast)]
}

/** Versions in the order in which they were first registered: by id, and of one subject by version. */
async function schemasOf(registry: SchemaRegistry): Promise<SchemaEntry[]> {
  const waiting: SchemaEntry[][] = []
  for (const subject of await registry.subjects()) {
    waiting.push((await registry.versions(subject)).map((version) => ({ subject, ...version })))
  }
  const ordered: SchemaEntry[] = []
  for (;;) {
    const heads = waiting.flatMap(([head]) => head ?? [])
    const [next] = heads.sort((a, b) => a.id - b.id)
    if (next === undefined) return ordered
    ordered.push(next)
    waiting.find(([head]) => head === next)?.shift()
  }
}
