import type { Clock } from '@tidemark/base'

/**
 * The one clock of a run: it stands still until it is told to move. It may move on in small steps, or leap over days as the clock of a machine
 * that was asleep: whoever slept wakes once, at the new time.
 */
export class SimClock implements Clock {
  #now: number
  readonly #sleepers = new Set<{ readonly until: number; readonly wake: () => void }>()

  constructor(startMs = Date.parse('2026-03-01T09:00:00Z')) {
    this.#now = startMs
  }

  now(): number {
    return this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const sleeper = {
        until: this.#now + ms,
        wake: (): void => {
          this.#sleepers.delete(sleeper)
          signal?.removeEventListener('abort', sleeper.wake)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', sleeper.wake, { once: true })
    })
  }

  /** Moves on and returns the new time. Everything that happens at the provider takes at least a millisecond, so that times order events. */
  tick(ms = 1): number {
    this.#now += ms
    const due = [...this.#sleepers].filter(({ until }) => until <= this.#now).sort((a, b) => a.until - b.until)
    for (const { wake } of due) wake()
    return this.#now
  }

  /** Moves on to when the next one wakes who sleeps, at most so far; returns the new time. */
  tickToNext(maxMs: number): number {
    const first = Math.min(...[...this.#sleepers].map(({ until }) => until))
    return this.tick(Math.max(1, Math.min(first - this.#now, maxMs)))
  }
}
