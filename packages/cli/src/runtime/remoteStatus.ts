import { PROCESSOR_GROUP } from '@tidemark/diff-processor'
import type { EventLog } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'
import { projectionLag } from '@tidemark/projector'
import type { SqlStore } from '@tidemark/store'
import { PROJECTION_SCHEMA } from './backend.ts'

type Status = Record<string, unknown>

/** Of a processor elsewhere, told by what it has committed. */
export async function remoteProcessorStatus(log: EventLog, partitions: number): Promise<Status> {
  const positions = await log.positions(PROCESSOR_GROUP, OBSERVED_TOPIC)
  const all = await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { start, end } = await log.bounds(OBSERVED_TOPIC, partition)
      const position = positions.get(partition) ?? start
      return { partition, position, lag: Math.max(0, end - position) }
    }),
  )
  return { lag: all.reduce((sum, { lag }) => sum + lag, 0), partitions: all }
}

/** Of a projector elsewhere, told by the offsets in its tables. */
export async function remoteProjectorStatus(log: EventLog, store: SqlStore): Promise<Status> {
  const partitions = await projectionLag(log, store, PROJECTION_SCHEMA)
  return { lag: partitions.reduce((sum, { lag }) => sum + lag, 0), partitions }
}
