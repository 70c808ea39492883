import { backoffMs, type Clock, classify, type Random } from '@tidemark/base'
import type { NamedSource } from '@tidemark/ingress'
import type { Logger } from '@tidemark/telemetry'

export interface SubscriptionDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly signal: AbortSignal
}

const BACKOFF = { startMs: 5_000, maxMs: 900_000 } as const

/**
 * Has every source that can do so registered for its webhooks under `publicUrl`; tried again until it succeeds or the signal aborts, for without them
 * changes are only found by schedule. Resolves when all have succeeded or given up.
 */
export async function keepSubscriptions(
  sources: readonly NamedSource[],
  publicUrl: string,
  deps: SubscriptionDeps,
): Promise<void> {
  await Promise.all(sources.map((source) => subscribe(source, publicUrl, deps)))
}

/** Where a source's webhooks are taken. */
export const webhookUrl = (publicUrl: string, source: string): string =>
  `${publicUrl.replace(/\/+$/, '')}/webhooks/${source}`

async function subscribe(
  { name, source }: NamedSource,
  publicUrl: string,
  { clock, random, logger, signal }: SubscriptionDeps,
): Promise<void> {
  if (!source.subscriptions) return
  const url = webhookUrl(publicUrl, name)
  const onRetry = (retry: object): void => logger.warn({ ...retry, source: name }, 'registering webhooks waits')
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const done = await source.subscriptions.ensure({ url, signal, onRetry })
      logger.info({ source: name, url }, done)
      return
    } catch (thrown) {
      if (signal.aborted) return
      const error = classify(thrown)
      const waitMs = Math.ceil(backoffMs(attempt, BACKOFF, random))
      logger.warn(
        { err: error, source: name, url, waitMs },
        'webhooks were not registered; changes are found by schedule until they are',
      )
      await clock.sleep(waitMs, signal)
    }
  }
}
