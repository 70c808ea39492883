import { TidemarkError } from '@tidemark/base'
import type { Bounds, EventLog, Tail, TailReader, TailStart } from '@tidemark/log'
import { changesTopic, MODEL_NAMES, type ModelName } from '@tidemark/model'
import { addOffsetsSql, qualified } from '@tidemark/projection'
import type { SqlRunner } from '@tidemark/store'
import { mismatch } from './migrate.ts'
import type { Source } from './writer.ts'

/** Where reading of one partition of a model's changes begins. */
export interface Start extends TailStart {
  readonly model: ModelName
  /** The offset stored in the projection; below `offset` when the log has dropped what lies between. */
  readonly stored: number
  /** What the log holds of it. */
  readonly bounds: Bounds
}

type ChangesPartition = Pick<Start, 'model' | 'topic' | 'partition'>

/** Partitions of the changes topics that exist, restricted to `only` when given. */
export async function changePartitions(log: EventLog, only?: readonly number[]): Promise<ChangesPartition[]> {
  const models = new Map(MODEL_NAMES.map((model) => [changesTopic(model), model]))
  const out: ChangesPartition[] = []
  for (const { name, partitions } of await log.listTopics()) {
    const model = models.get(name)
    if (model === undefined) continue
    for (let partition = 0; partition < partitions; partition++) {
      if (!only || only.includes(partition)) out.push({ model, topic: name, partition })
    }
  }
  if (out.length > 0) return out
  throw new TidemarkError('TOPIC_UNKNOWN', 'no changes topic (ats.<model>.changes) exists yet; create the topics first')
}

/**
 * Reads the stored offsets, adding missing ones at the start of the log. Throws PROJECTION_MISMATCH when the projection has read
 * further than the log goes.
 */
export async function loadStarts(
  log: EventLog,
  store: SqlRunner,
  schema: string,
  only?: readonly number[],
): Promise<Start[]> {
  const partitions = await changePartitions(log, only)
  const bounds = await Promise.all(partitions.map(({ topic, partition }) => log.bounds(topic, partition)))
  const first = partitions.map(({ topic, partition }, i) => ({ topic, partition, next_offset: bounds[i]?.start ?? 0 }))
  await store.query(addOffsetsSql(schema), [JSON.stringify(first)])
  const stored = await storedOffsets(store, schema)
  return Promise.all(
    partitions.map(async (item, i) => {
      const at = stored.get(placeOf(item)) ?? 0
      let found = bounds[i] as Bounds
      // Another writer may have read on since the log was asked.
      if (at > found.end) found = await log.bounds(item.topic, item.partition)
      if (at > found.end) {
        throw mismatch(schema, `it has read ${placeOf(item)} up to ${at}, but the log ends at ${found.end}`)
      }
      return { ...item, stored: at, offset: Math.max(at, found.start), bounds: found }
    }),
  )
}

/** Stored offsets of a projection, by {@link placeOf}. */
export async function storedOffsets(store: SqlRunner, schema: string): Promise<Map<string, number>> {
  const rows = await store.query<{ topic: string; partition: number; next_offset: number }>(
    `select topic, partition, next_offset::float8 as next_offset from ${qualified(schema, 'projection_offsets')}`,
  )
  return new Map(rows.map((row) => [placeOf(row), row.next_offset]))
}

/** `topic/partition`. */
export const placeOf = ({ topic, partition }: { readonly topic: string; readonly partition: number }): string =>
  `${topic}/${partition}`

/** The partition that each reader of a tail over `starts` reads. */
export function sourcesOf(tail: Tail, starts: readonly Start[]): Map<TailReader, Source> {
  return new Map(
    tail.readers.map((reader, i) => {
      const { model, topic, partition, stored } = starts[i] as Start
      return [reader, { model, topic, partition, committed: stored }]
    }),
  )
}
