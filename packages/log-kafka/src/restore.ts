import { TidemarkError } from '@tidemark/base'
import type { StateWrite } from '@tidemark/log'
import type { KafkaLogger } from './kafkajs.ts'
import type { LocalState, StateMark } from './localState.ts'
import type { Reader } from './reader.ts'

export interface RestoreContext {
  readonly reader: Reader
  readonly clusterId: string
  readonly nowMs: number
  /** How old a state may be and still be brought up to date by the records since: tombstones live that long in compacted topics. */
  readonly staleAfterMs: number
  readonly logger?: KafkaLogger
}

export interface RestoreTarget {
  readonly name: string
  readonly partition: number
  /** Topics whose records are the state's entries; null values delete. */
  readonly topics: readonly string[]
  /** The committed input position that the state has to reflect. Its owner has fenced all others. */
  readonly position: number
}

export interface Restored {
  readonly how: 'current' | 'caught up' | 'rebuilt'
  readonly records: number
}

const RECORDS_MAX = 20_000
const BYTES_MAX = 8 * 1024 * 1024

/**
 * Makes a local state reflect exactly the committed position: it is taken as it is, brought up to date with the records since, or, when it
 * is ahead (of a log that lost records), too old, half restored from another log or of another cluster, built anew. A restore that is
 * interrupted goes on where it was. Since its owner has fenced, nobody else adds to the topics.
 */
export async function restoreState(
  state: LocalState,
  target: RestoreTarget,
  context: RestoreContext,
): Promise<Restored> {
  const { mark } = state
  if (mark.complete && mark.clusterId === context.clusterId && mark.position === target.position) {
    return { how: 'current', records: 0 }
  }
  const isNew = mark.clusterId === '' && mark.position === 0
  if (target.topics.length === 0 && !isNew && mark.clusterId === context.clusterId && mark.complete)
    throw lost(state, target)
  const bounds = await Promise.all(target.topics.map((topic) => context.reader.bounds(topic, target.partition)))
  const ends = new Map(target.topics.map((topic, i) => [topic, bounds[i]!.end]))
  const usable =
    mark.clusterId === context.clusterId &&
    (!mark.complete || mark.position < target.position) &&
    context.nowMs - mark.writtenAtMs < context.staleAfterMs &&
    target.topics.every((topic, i) => {
      const next = mark.restored[topic] ?? 0
      return next >= bounds[i]!.start && next <= bounds[i]!.end
    })
  const began: StateMark = {
    clusterId: context.clusterId,
    position: usable ? mark.position : 0,
    restored: usable ? mark.restored : {},
    complete: false,
    irreplaceable: false,
    writtenAtMs: context.nowMs,
  }
  await state.apply([], began, { clear: !usable })
  let records = 0
  for (const [i, topic] of target.topics.entries()) {
    records += await restoreTopic(
      state,
      { topic, partition: target.partition, from: bounds[i]!.start, end: ends.get(topic)! },
      context,
    )
  }
  await state.apply([], { ...state.mark, position: target.position, complete: true, writtenAtMs: context.nowMs })
  const how = usable ? 'caught up' : 'rebuilt'
  if (!isNew || records > 0)
    context.logger?.info({ task: target.name, records, position: target.position }, `state ${how}`)
  return { how, records }
}

interface TopicPart {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly end: number
}

async function restoreTopic(state: LocalState, part: TopicPart, { reader, nowMs }: RestoreContext): Promise<number> {
  const { topic, partition, end } = part
  let records = 0
  for (let offset = Math.max(part.from, state.mark.restored[topic] ?? 0); offset < end; ) {
    const fetched = await reader.fetch({ topic, partition, offset, recordsMax: RECORDS_MAX, bytesMax: BYTES_MAX })
    if (fetched.nextOffset <= offset) {
      throw new TidemarkError(
        'LOG_UNAVAILABLE',
        `${topic}/${partition} cannot be read from ${offset} to ${end} yet; it may be tried again.`,
      )
    }
    const writes: StateWrite[] = []
    // A record without a key is nobody's entry.
    for (const { key, value } of fetched.records) if (key !== null) writes.push({ key, value })
    records += writes.length
    offset = fetched.nextOffset
    const restored = { ...state.mark.restored, [topic]: offset }
    await state.apply(writes, { ...state.mark, restored, writtenAtMs: nowMs })
  }
  return records
}

function lost({ path, mark }: LocalState, { name, position }: RestoreTarget): TidemarkError {
  return new TidemarkError(
    'DATA_DIRECTORY_CORRUPT',
    `The local state of ${name} in ${path} stands at ${mark.position}, its position in the log at ${position}, and no topics are configured to restore it from. Configure state topics, or remove the folder to begin with empty state.`,
    { fields: { name, path, local: mark.position, position } },
  )
}
