import type { IntegrationStatus } from '@tidemark/api'
import type { Processor } from '@tidemark/diff-processor'
import type { Ingress, NamedSource } from '@tidemark/ingress'
import type { Projector } from '@tidemark/projector'
import type { SyncTracker } from './syncTracker.ts'

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

/** Ingress's picture of its listings, as the status route shows it. */
export function integrationStatuses(ingress: Ingress, sources: readonly NamedSource[]): IntegrationStatus[] {
  const byName = new Map(sources.map((source) => [source.name, source]))
  return ingress.status().map(({ integrationId, source, isWaitingForProvider, streams }) => ({
    integrationId,
    source,
    state: isWaitingForProvider ? 'SETUP_SYNC_PENDING' : 'ACTIVE',
    streams: streams.map((s) => ({
      stream: s.stream,
      models: byName.get(source)?.source.modelsOf(s.stream) ?? [],
      state: s.state.toUpperCase(),
      watermark: s.watermarkMs,
      details: {
        last_started_at: iso(s.lastStartedAtMs),
        last_ended_at: iso(s.lastEndedAtMs),
        next_attempt_at: iso(s.nextAttemptAtMs),
        pages: s.pages,
        observed: s.counts.reduce((sum, c) => sum + c.observed, 0),
        failed: s.counts.reduce((sum, c) => sum + c.failed, 0),
        error: s.error ? { code: s.error.code, message: s.error.message } : null,
      },
    })),
  }))
}

const RUNS_SHOWN = 20

/** How far each service is, and the newest sync runs. */
export function serviceStatuses({
  processor,
  projector,
  syncs,
}: {
  readonly processor: Processor
  readonly projector: Projector
  readonly syncs: SyncTracker
}): Record<string, Record<string, unknown>> {
  const partitions = processor.status()
  return {
    'diff-processor': {
      lag: partitions.reduce((sum, p) => sum + p.lag, 0),
      partitions: partitions.map(({ partition, state, position, lag, error }) => ({
        partition,
        state,
        position,
        lag,
        error,
      })),
    },
    projector: { ...projector.status() },
    syncs: {
      runs: syncs
        .runs()
        .slice(0, RUNS_SHOWN)
        .map(({ startedAt, finishedAt, syncId, integrationId, ...run }) => ({
          sync_id: syncId,
          integration_id: integrationId,
          ...run,
          started_at: iso(startedAt),
          finished_at: iso(finishedAt),
        })),
    },
  }
}
