import { TidemarkError } from '@tidemark/base'
import type { EventLog, TailStart } from '@tidemark/log'
import { changesTopic, MODEL_NAMES, type ModelName } from '@tidemark/model'
import { addOffsetsSql, qualified } from '@tidemark/projection'
import type { SqlRunner } from '@tidemark/store'
import { mismatch } from './migrate.ts'

/** Where reading of one partition of a model's changes begins. */
export interface Start extends TailStart {
  readonly model: ModelName
  /** The offset stored in the projection; below `offset` when the log has dropped what lies between. */
  readonly stored: number
}

/** Partitions of the changes topics that exist, restricted to `only` when given. */
async function changePartitions(
  log: EventLog,
  only: readonly number[] | undefined,
): Promise<Omit<Start, 'offset' | 'stored'>[]> {
  const models = new Map(MODEL_NAMES.map((model) => [changesTopic(model), model]))
  const out: Omit<Start, 'offset' | 'stored'>[] = []
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
  const rows = await store.query<{ topic: string; partition: number; next_offset: number }>(
    `select topic, partition, next_offset::float8 as next_offset from ${qualified(schema, 'projection_offsets')}`,
  )
  const stored = new Map(rows.map((row) => [`${row.topic}/${row.partition}`, row.next_offset]))
  return partitions.map((item, i) => {
    const at = stored.get(`${item.topic}/${item.partition}`) ?? 0
    const { start, end } = bounds[i] ?? { start: 0, end: 0 }
    if (at > end) {
      throw mismatch(schema, `it has read ${item.topic}/${item.partition} up to ${at}, but the log ends at ${end}`)
    }
    return { ...item, stored: at, offset: Math.max(at, start) }
  })
}
