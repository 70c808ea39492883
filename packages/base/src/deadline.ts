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

/**
 * Runs work with a signal that aborts when the given one does, or after `ms` (reason: a TimeoutError). Rejects with the reason at that
 * moment, also when the work does not heed its signal. Not `AbortSignal.any([given, AbortSignal.timeout(ms)])`: Node 22 may collect such a
 * timeout before it fires (github.com/nodejs/node/issues/57736).
 */
export async function abortable<T>(
  ms: number,
  given: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  given.throwIfAborted()
  const aborter = new AbortController()
  const { signal } = aborter
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => undefined)
  signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true })
  const forward = (): void => aborter.abort(given.reason)
  given.addEventListener('abort', forward, { once: true })
  const timer = setTimeout(() => aborter.abort(new DOMException(`not done within ${ms} ms`, 'TimeoutError')), ms)
  try {
    const working = work(signal)
    // The loser's rejection has no reader.
    working.catch(() => undefined)
    return await Promise.race([working, aborted.promise])
  } finally {
    clearTimeout(timer)
    given.removeEventListener('abort', forward)
  }
}
