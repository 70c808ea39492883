import type { Clock } from '@tidemark/base'

/** A clock that stands still until it is told to move; sleepers wake when their time has come. */
export class ManualClock implements Clock {
  #now: number
  #sleepers: { readonly until: number; readonly wake: () => void }[] = []

  constructor(startMs = Date.parse('2026-03-01T09:00:00Z')) {
    this.#now = startMs
  }

  now(): number {
    return this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      this.#sleepers.push({ until: this.#now + ms, wake: resolve })
      signal?.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Moves on by `ms`, waking sleepers in the order of their times. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms
    for (;;) {
      const due = this.#sleepers.filter((s) => s.until <= target).sort((a, b) => a.until - b.until)[0]
      if (!due) break
      this.#sleepers = this.#sleepers.filter((s) => s !== due)
      this.#now = Math.max(this.#now, due.until)
      due.wake()
      for (let i = 0; i < 20; i++) await Promise.resolve()
    }
    this.#now = target
  }

  get sleeping(): number {
    return this.#sleepers.length
  }
}
