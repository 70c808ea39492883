import { TidemarkError } from '@tidemark/base'
import type { AppendRecord } from '@tidemark/log'
import type { Appender } from './appender.ts'
import type { Connection } from './connection.ts'
import type { Reader } from './reader.ts'

export interface OffsetStartContext {
  readonly connection: Connection
  readonly reader: Reader
  readonly appender: Appender
}

export interface StartAt {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Placeholders that are there at a time; all of them are removed before more are written. */
const PLACEHOLDERS_MAX = 100_000

/**
 * Makes an empty partition begin at an offset, as if retention had removed everything before: placeholders (no key, no value, time 0)
 * take the offsets, a portion at a time, and each portion is removed as soon as it is written. A call that was interrupted is gone on with by the
 * next one. Placeholders are seen by who reads the topic meanwhile. Throws TOPIC_MISMATCH when the partition holds
 * anything else, or ends behind the offset.
 */
export async function startAt(context: OffsetStartContext, target: StartAt): Promise<void> {
  const { topic, partition, offset } = target
  for (;;) {
    const { start, end } = await context.reader.bounds(topic, partition)
    if (start === offset) return
    if (end > offset || !(await holdsPlaceholdersOnly(context, target, start, end))) throw occupied(target, start, end)
    if (start < end) await removeBefore(context, { ...target, offset: end })
    if (end < offset) {
      const placed = await place(context, target, end)
      await removeBefore(context, { ...target, offset: placed })
    }
  }
}

/** Returns the offset behind the last placeholder. */
async function place({ appender }: OffsetStartContext, target: StartAt, end: number): Promise<number> {
  const { topic, partition, offset } = target
  const count = Math.min(PLACEHOLDERS_MAX, offset - end)
  const placeholder: AppendRecord = { topic, partition, key: null, value: null, timestampMs: 0 }
  const offsets = await appender.append(new Array<AppendRecord>(count).fill(placeholder))
  const wrong = offsets.findIndex((found, i) => found !== end + i)
  if (wrong < 0) return end + count
  throw new TidemarkError(
    'TOPIC_MISMATCH',
    `Somebody else writes to ${topic}/${partition} while its first offset is being set: a record got offset ${offsets[wrong]} instead of ${end + wrong}. Stop it, delete the topic and begin again.`,
    { fields: { topic, partition, expected: end + wrong, found: offsets[wrong] ?? null } },
  )
}

/** What an interrupted call left: never more than one portion. */
async function holdsPlaceholdersOnly(
  { reader }: OffsetStartContext,
  { topic, partition }: StartAt,
  start: number,
  end: number,
): Promise<boolean> {
  if (end - start > PLACEHOLDERS_MAX) return false
  for (let at = start; at < end; ) {
    const { records, nextOffset } = await reader.fetch({ topic, partition, offset: at })
    if (records.some(({ key, value, timestampMs }) => key !== null || value !== null || timestampMs !== 0)) return false
    if (nextOffset <= at) return false
    at = nextOffset
  }
  return true
}

function removeBefore({ connection }: OffsetStartContext, { topic, partition, offset }: StartAt): Promise<void> {
  const topics = [{ topic, partitions: [{ partition, offset: String(offset) }] }]
  const what = `Removing the records of ${topic}/${partition} before ${offset}`
  return connection.onLeader(topic, partition, what, async (broker) => {
    try {
      await broker.deleteRecords({ topics })
    } catch (error) {
      throw partitionError(error)
    }
  })
}

/** kafkajs keeps the broker's answer in a list of its own. */
function partitionError(error: unknown): unknown {
  if (!(error instanceof Error) || !('partitions' in error) || !Array.isArray(error.partitions)) return error
  const [first] = error.partitions as { readonly error?: unknown }[]
  return first?.error ?? error
}

function occupied({ topic, partition, offset }: StartAt, start: number, end: number): TidemarkError {
  return new TidemarkError(
    'TOPIC_MISMATCH',
    `${topic}/${partition} has had records (offsets ${start} to ${end}) and cannot begin at ${offset}. Delete the topic, or use another cluster.`,
    { fields: { topic, partition, start, end, offset } },
  )
}
