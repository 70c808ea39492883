import type { TailReader } from '@tidemark/log'
import type { Metrics } from '@tidemark/telemetry'
import { createRate } from './rate.ts'
import type { Item } from './writer.ts'

export interface PartitionLag {
  readonly partition: number
  /** Changes not yet written, over all models, as last seen. */
  readonly lag: number
}

/** What was projected, how fast, and what is left; told to metrics and status. */
export interface Progress {
  /** The readers whose lag is told from now on. */
  follow(readers: readonly TailReader[]): void
  written(items: readonly Item[], nowMs: number): void
  readonly projected: number
  perSecond(nowMs: number): number
  partitions(): PartitionLag[]
}

export function createProgress(metrics: Metrics): Progress {
  const rate = createRate()
  let readers: readonly TailReader[] = []
  let projected = 0

  const partitions = (): PartitionLag[] => {
    const lags = new Map<number, number>()
    for (const { partition, end, position } of readers) lags.set(partition, (lags.get(partition) ?? 0) + end - position)
    return [...lags].sort(([a], [b]) => a - b).map(([partition, lag]) => ({ partition, lag }))
  }
  const reportLag = (): void => {
    for (const { partition, lag } of partitions()) {
      metrics.lag.set({ service: 'projector', partition: String(partition) }, lag)
    }
  }
  return {
    follow(next) {
      readers = next
      reportLag()
    },
    written(items, nowMs) {
      projected += items.length
      rate.add(items.length, nowMs)
      const models = Map.groupBy(items, (item) => item.projected?.model)
      for (const [model, group] of models) if (model) metrics.projected.inc({ model }, group.length)
      reportLag()
    },
    get projected() {
      return projected
    },
    perSecond: (nowMs) => rate.perSecond(nowMs),
    partitions,
  }
}
