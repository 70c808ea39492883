import type { EventLog } from '@tidemark/log'
import type { SqlRunner } from '@tidemark/store'
import { loadStarts } from './offsets.ts'
import type { PartitionLag } from './progress.ts'

/** How far the tables of a schema are behind the changes topics, for processes in which the projector does not run. */
export async function projectionLag(log: EventLog, store: SqlRunner, schema: string): Promise<readonly PartitionLag[]> {
  const starts = await loadStarts(log, store, schema)
  const lags = new Map<number, number>()
  await Promise.all(
    starts.map(async ({ topic, partition, stored }) => {
      const { end } = await log.bounds(topic, partition)
      lags.set(partition, (lags.get(partition) ?? 0) + Math.max(0, end - stored))
    }),
  )
  return [...lags].sort(([a], [b]) => a - b).map(([partition, lag]) => ({ partition, lag }))
}
