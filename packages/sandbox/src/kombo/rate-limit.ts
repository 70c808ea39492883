import type { Clock } from '@tidemark/base'

export interface RateState {
  readonly headers: Readonly<Record<string, string>>
  readonly exceeded: boolean
}

/** Fixed windows, opened by the first request of each; one counter, because the sandbox has one API key. */
export class RateLimiter {
  readonly #clock: Clock
  readonly #limit: number
  readonly #windowMs: number
  #startMs = Number.NEGATIVE_INFINITY
  #used = 0

  constructor(clock: Clock, options: { readonly limit: number; readonly windowMs: number }) {
    this.#clock = clock
    this.#limit = options.limit
    this.#windowMs = options.windowMs
  }

  /** Counts a request. */
  take(): RateState {
    const nowMs = this.#clock.now()
    if (nowMs >= this.#startMs + this.#windowMs) {
      this.#startMs = nowMs
      this.#used = 0
    }
    this.#used++
    const resetSeconds = Math.ceil((this.#startMs + this.#windowMs - nowMs) / 1000)
    return {
      headers: rateHeaders(this.#limit, Math.max(0, this.#limit - this.#used), resetSeconds),
      exceeded: this.#used > this.#limit,
    }
  }
}

/** The three headers of every answer. */
export function rateHeaders(limit: number, remaining: number, resetSeconds: number): Record<string, string> {
  return {
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(resetSeconds),
  }
}
