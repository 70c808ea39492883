import type { Clock } from '@tidemark/base'
import type { EventLog } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'

/** Records that full passes may be ahead of the diff processor: a second or two of its work, which is what a webhook then waits at most. */
const AHEAD_MAX = 20_000
const LOOK_EVERY_MS = 500
/** A processor that stands still slows a full pass down; it does not stop it. */
const WAIT_MAX_MS = 10_000

export interface PaceDeps {
  readonly log: EventLog
  readonly clock: Clock
  readonly partitions: number
  /** Consumer group of the diff processor. */
  readonly group: string
}

/**
 * Holds full passes back while the diff processor has more than a bounded number of records before it, so that what is live is not queued behind
 * them. Looks at most twice a second, whoever asks. Returns what to await after each page of a full pass.
 */
export function createPace({ log, clock, partitions, group }: PaceDeps): (signal: AbortSignal) => Promise<void> {
  let lag = 0
  let lookedAtMs = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  const look = async (): Promise<void> => {
    const positions = await log.positions(group, OBSERVED_TOPIC)
    let sum = 0
    for (let partition = 0; partition < partitions; partition++) {
      const { start, end } = await log.bounds(OBSERVED_TOPIC, partition)
      sum += Math.max(0, end - (positions.get(partition) ?? start))
    }
    lag = sum
    lookedAtMs = clock.now()
  }

  const refresh = async (): Promise<void> => {
    if (clock.now() - lookedAtMs < LOOK_EVERY_MS) return
    looking ??= look().finally(() => {
      looking = undefined
    })
    await looking
  }

  return async (signal) => {
    await refresh()
    const until = clock.now() + WAIT_MAX_MS
    while (lag > AHEAD_MAX && clock.now() < until && !signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, signal)
      await refresh()
    }
  }
}
