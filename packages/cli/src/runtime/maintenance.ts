import type { Clock } from '@tidemark/base'
import type { Embedded } from '@tidemark/log-embedded'
import type { Logger } from '@tidemark/telemetry'

export interface Maintenance {
  stop(): Promise<void>
}

const EVERY_MS = 10 * 60_000

/** Applies retention and compaction to the embedded log every ten minutes. A failed round is told and tried again. */
export function startMaintenance({
  embedded,
  clock,
  logger,
}: {
  readonly embedded: Embedded
  readonly clock: Clock
  readonly logger: Logger
}): Maintenance {
  const stopping = new AbortController()
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(EVERY_MS, stopping.signal)
      if (stopping.signal.aborted) return
      try {
        const report = await embedded.maintain(clock.now())
        logger.info({ report }, 'retention and compaction')
      } catch (error) {
        if (!stopping.signal.aborted)
          logger.error({ err: error }, 'retention and compaction failed; the next round tries again')
      }
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await loop
    },
  }
}
