import { type Clock, TidemarkError } from '@tidemark/base'

/**
 * The promise's outcome, or LOG_UNAVAILABLE after `ms`. kafkajs' calls cannot be cancelled: what is under way goes on, and its outcome is
 * dropped, so only use this where the object it works on is thrown away afterwards.
 */
export async function within<T>(clock: Clock, ms: number, what: string, work: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = clock.sleep(ms, timer.signal).then(() => {
    if (timer.signal.aborted) return undefined as never
    throw new TidemarkError('LOG_UNAVAILABLE', `${what}: Kafka did not answer within ${ms} ms; it may be tried again.`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
    // The loser's rejection has no reader.
    work.catch(() => undefined)
    late.catch(() => undefined)
  }
}

/** Waits for the work, but not longer than `ms`; never rejects. For shutting things down. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController()
  await Promise.race([work.catch(() => undefined), clock.sleep(ms, timer.signal)])
  timer.abort()
}
