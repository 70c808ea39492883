import type { IntegrationStatus, SyncRun } from '@tidemark/api'
import type { PartitionStatus } from '@tidemark/diff-processor'
import type { IntegrationStatus as IngressStatus, NamedSource } from '@tidemark/ingress'
import type { SyncTracker } from './syncTracker.ts'

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

/** Ingress's picture of its listings, as the status route shows it. */
export function integrationStatuses(
  integrations: readonly IngressStatus[],
  sources: readonly NamedSource[],
): IntegrationStatus[] {
  const byName = new Map(sources.map((source) => [source.name, source]))
  return integrations.map(({ integrationId, source, isWaitingForProvider, streams }) => ({
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

/** The processor as the status route shows it. */
export function processorStatus(partitions: readonly PartitionStatus[]): Record<string, unknown> {
  return {
    lag: partitions.reduce((sum, p) => sum + p.lag, 0),
    partitions: partitions.map(({ partition, state, position, lag, error }) => ({
      partition,
      state,
      position,
      lag,
      error,
    })),
  }
}

const RUNS_SHOWN = 20

/** The newest sync runs as the status route shows them. */
export function syncsStatus(syncs: SyncTracker): Record<string, unknown> {
  const shown = ({ startedAt, finishedAt, syncId, integrationId, ...run }: SyncRun): Record<string, unknown> => ({
    sync_id: syncId,
    integration_id: integrationId,
    ...run,
    started_at: iso(startedAt),
    finished_at: iso(finishedAt),
  })
  return { runs: syncs.runs().slice(0, RUNS_SHOWN).map(shown) }
}
