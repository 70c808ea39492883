import { backoffMs, type Clock, classify, type Random, TidemarkError } from '@tidemark/base'
import type { Bounds, EventLog, LogRecord } from '@tidemark/log'
import type { Logger } from '@tidemark/telemetry'

export interface ConsumerOptions {
  readonly log: EventLog
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly group: string
  readonly topic: string
  readonly partition: number
  /** Where to begin. */
  readonly offset: number
  readonly signal: AbortSignal
  /** Takes one record on. A rejection is logged and the same record is handed over again after a backoff, without end. */
  readonly handle: (record: LogRecord) => Promise<void>
  /** The first offset whose work is not done, given that everything before `next` was handed over. Never above `next`. */
  readonly committable: (next: number) => number
  /** Told after each batch how many records are still to be read. */
  readonly onLag?: (records: number) => void
}

const COMMIT_EVERY_MS = 1000
const WAIT_MS = 1000
const BACKOFF = { startMs: 200, maxMs: 30_000 }

/**
 * Reads one partition in order until the signal aborts, committing how far the work is done at least once a second and at the end.
 * Resolves when the last record handed over has been taken on; rejects only when the log is closed underneath it
 * or no longer has the next record.
 */
export async function consume(options: ConsumerOptions): Promise<void> {
  const { log, clock, signal, group, topic, partition } = options
  let { offset } = options
  let committed = offset
  let committedAtMs = clock.now()
  const commit = async (): Promise<void> => {
    committedAtMs = clock.now()
    const position = options.committable(offset)
    if (position <= committed) return
    await log.commitPositions(group, topic, new Map([[partition, position]]))
    committed = position
  }
  let failures = 0
  while (!signal.aborted) {
    try {
      const { records, nextOffset, endOffset } = await log.fetch({ topic, partition, offset, waitMs: WAIT_MS, signal })
      for (const record of records) {
        if (signal.aborted) return await commit()
        await options.handle(record)
        offset = record.offset + 1
      }
      offset = Math.max(offset, nextOffset)
      options.onLag?.(endOffset - offset)
      if (records.length === 0 || clock.now() - committedAtMs >= COMMIT_EVERY_MS) await commit()
      failures = 0
    } catch (thrown) {
      const error = classify(thrown)
      if (signal.aborted) break
      if (error.code === 'LOG_CLOSED') throw error
      if (error.code === 'OFFSET_OUT_OF_RANGE')
        throw outOfRange(group, topic, partition, offset, await log.bounds(topic, partition))
      const waitMs = Math.ceil(backoffMs(failures++, BACKOFF, options.random))
      options.logger.error({ err: error, topic, partition, offset, waitMs }, 'consumer failed, tries again')
      await clock.sleep(waitMs, signal)
    }
  }
  await commit()
}

/**
 * Where a group goes on in each partition: its committed position, else the start. Throws OFFSET_OUT_OF_RANGE when the log does not reach
 * that position or no longer has it: what lies between was never read, and an operator has to know.
 */
export async function startOffsets(
  log: EventLog,
  group: string,
  topic: string,
  partitions: number,
): Promise<readonly number[]> {
  const positions = await log.positions(group, topic)
  const offsets: number[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const bounds = await log.bounds(topic, partition)
    const offset = positions.get(partition) ?? bounds.start
    if (offset < bounds.start || offset > bounds.end) throw outOfRange(group, topic, partition, offset, bounds)
    offsets.push(offset)
  }
  return offsets
}

function outOfRange(group: string, topic: string, partition: number, offset: number, bounds: Bounds): TidemarkError {
  const { start, end } = bounds
  const what =
    offset < start
      ? `retention removed the offsets ${offset} to ${start - 1}, which ${group} had not read`
      : `${group} had read up to ${offset}, but the partition ends at ${end}: the log was replaced`
  const message = `${topic}, partition ${partition}: ${what}. To go on from what there is: tidemark replay --from earliest --group ${group} --topic ${topic}, then: tidemark sync --full`
  return new TidemarkError('OFFSET_OUT_OF_RANGE', message, { fields: { topic, partition, offset, start, end } })
}
