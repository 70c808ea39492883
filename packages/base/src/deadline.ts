import type { Clock } from './clock.ts'

/**
 * The promise's outcome, or a rejection with `late()` after `ms`. What is under way goes on, and its outcome is dropped: only use this
 * where the object it works on is thrown away afterwards.
 */
export async function within<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const timer = new AbortController()
  const timeout = clock.sleep(ms, timer.signal).then(() => {
    if (timer.signal.aborted) return undefined as never
    throw late()
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    timer.abort()
    // The loser's rejection has no reader.
    work.catch(() => undefined)
    timeout.catch(() => undefined)
  }
}

/** Waits for the work, but not longer than `ms`; never rejects. For shutting things down. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController()
  await Promise.race([work.catch(() => undefined), clock.sleep(ms, timer.signal)])
  timer.abort()
}
