import type { EventLog, LogRecord } from '@tidemark/log'

export interface WalkRange {
  readonly topic: string
  readonly partition: number
  readonly start: number
  readonly end: number
}

/** The ranges of a topic as they are now; a verification looks at nothing appended later. */
export async function rangesOf(log: EventLog, topic: string, partitions: number): Promise<WalkRange[]> {
  const ranges: WalkRange[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const { start, end } = await log.bounds(topic, partition)
    ranges.push({ topic, partition, start, end })
  }
  return ranges
}

/** Batches of a range in order. */
export async function* walk(
  log: EventLog,
  { topic, partition, start, end }: WalkRange,
  signal: AbortSignal,
): AsyncGenerator<readonly LogRecord[]> {
  let offset = start
  while (offset < end && !signal.aborted) {
    const fetched = await log.fetch({ topic, partition, offset, recordsMax: 5_000 })
    if (fetched.nextOffset <= offset) return
    offset = fetched.nextOffset
    const inside = fetched.records.filter((record) => record.offset < end)
    if (inside.length > 0) yield inside
  }
}
