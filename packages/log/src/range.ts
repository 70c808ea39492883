import type { EventLog, LogRecord } from './log.ts'

/** Records of one partition from an offset up to, not including, `end`, in order; fewer when the log gives nothing further. */
export async function* readRange(
  log: Pick<EventLog, 'fetch'>,
  topic: string,
  partition: number,
  start: number,
  end: number,
): AsyncGenerator<LogRecord> {
  for (let offset = start; offset < end; ) {
    const { records, nextOffset } = await log.fetch({ topic, partition, offset })
    for (const record of records) if (record.offset < end) yield record
    if (nextOffset <= offset) return
    offset = nextOffset
  }
}
