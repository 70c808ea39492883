import { backoffMs, type Clock, classify, type Random, TidemarkError } from '@tidemark/base'
import { ApiError, streamEvents, type Target } from './client.ts'
import type { FeedChange } from './feed.ts'

export interface FollowOptions {
  readonly target: Target
  /** Query of /v1/changes. */
  readonly query: Readonly<Record<string, string>>
  readonly lastEventId?: string | undefined
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly random: Random
  readonly onOpen?: () => void
  /** Told before each new attempt. */
  readonly onLost?: (message: string, waitMs: number) => void
}

const BACKOFF = { startMs: 250, maxMs: 5_000 }

/**
 * Changes without gap or repetition, across lost connections: each attempt goes on behind the last event received. Ends with
 * the signal; throws what trying again cannot mend (a refused key, an invalid filter, nobody listening at the first attempt).
 */
export async function* followChanges(
  options: FollowOptions,
): AsyncGenerator<{ readonly id: string | undefined; readonly change: FeedChange; readonly data: string }> {
  let last = options.lastEventId
  let opened = false
  for (let attempt = 0; !options.signal.aborted; attempt++) {
    try {
      const path = `/v1/changes?${new URLSearchParams(options.query).toString()}`
      const onOpen = (): void => {
        if (!opened) options.onOpen?.()
        opened = true
      }
      for await (const event of streamEvents(options.target, path, {
        lastEventId: last,
        signal: options.signal,
        onOpen,
      })) {
        attempt = 0
        if (event.id !== undefined) last = event.id
        if (event.event !== 'change') continue
        yield { id: event.id, change: JSON.parse(event.data) as FeedChange, data: event.data }
      }
    } catch (error) {
      if (options.signal.aborted) return
      if (!opened || (error instanceof ApiError && error.status < 500 && error.status !== 429)) throw error
      if (error instanceof TidemarkError && error.code === 'PROVIDER_ANSWER_INVALID') throw error
      options.onLost?.(classify(error).message, 0)
    }
    if (options.signal.aborted) return
    await options.clock.sleep(backoffMs(attempt, BACKOFF, options.random), options.signal)
  }
}
