import { type Clock, TidemarkError } from '@tidemark/base'

interface Sleeper {
  readonly dueMs: number
  readonly order: number
  readonly wake: () => void
}

/** A clock that stands still until it is told to advance. */
export interface ManualClock extends Clock {
  /**
   * Moves time forward, stopping at the due time of every sleeper on the way, in order, and letting what it woke run before
   * going on. Resolves when the time is reached. Throws CONFIG_INVALID for a negative step.
   */
  advance(ms: number): Promise<void>
  /** Number of sleepers that wait. */
  readonly sleepers: number
}

/** Creates a manual clock that shows `startMs` (default 2026-01-05T09:00:00Z). */
export function createManualClock(startMs = Date.UTC(2026, 0, 5, 9)): ManualClock {
  let now = startMs
  let order = 0
  const sleepers = new Set<Sleeper>()

  const earliest = (limitMs: number): Sleeper | undefined => {
    let best: Sleeper | undefined
    for (const s of sleepers) {
      if (s.dueMs > limitMs) continue
      if (!best || s.dueMs < best.dueMs || (s.dueMs === best.dueMs && s.order < best.order)) best = s
    }
    return best
  }

  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise<void>((resolve) => {
        if (signal?.aborted || ms <= 0) return resolve()
        const wake = (): void => {
          sleepers.delete(sleeper)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        const sleeper: Sleeper = { dueMs: now + ms, order: order++, wake }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', wake, { once: true })
      }),
    async advance(ms) {
      if (!(ms >= 0))
        throw new TidemarkError('CONFIG_INVALID', `a manual clock cannot advance by ${ms} ms; give 0 or more`)
      const end = now + ms
      await settle()
      for (let next = earliest(end); next; next = earliest(end)) {
        now = Math.max(now, next.dueMs)
        next.wake()
        await settle()
      }
      now = end
      await settle()
    },
    get sleepers() {
      return sleepers.size
    },
  }
}

/** Lets everything that is already runnable run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
