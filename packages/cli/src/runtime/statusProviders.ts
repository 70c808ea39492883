import type { IntegrationStatus, SyncRun } from '@tidemark/api'
import type { PartitionStatus } from '@tidemark/diff-processor'
import type { IntegrationStatus as IngressStatus, NamedSource } from '@tidemark/ingress'
import type { ModelCount } from '@tidemark/model'
import type { SyncTracker } from './syncTracker.ts'

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

/** Ingress's picture of its listings, as the status route shows it. */
export function integrationStatuses(
  integrations: readonly IngressStatus[],
  sources: readonly NamedSource[],
  runs: readonly SyncRun[],
): IntegrationStatus[] {
  const byName = new Map(sources.map((source) => [source.name, source]))
  return integrations.map(({ integrationId, source, isWaitingForProvider, health, streams }) => ({
    integrationId,
    source,
    state: isWaitingForProvider ? 'SETUP_SYNC_PENDING' : health.connection,
    setup: health.setup,
    connection: health.connection,
    ...(health.stoppedBecause === null ? {} : { stoppedBecause: health.stoppedBecause }),
    streams: streams.map((s) => ({
      stream: s.stream,
      models: byName.get(source)?.source.modelsOf(s.stream) ?? [],
      state: s.state.toUpperCase(),
      watermark: s.watermarkMs,
      details: {
        last_started_at: iso(s.lastStartedAtMs),
        last_ended_at: iso(s.lastEndedAtMs),
        next_attempt_at: iso(s.nextAttemptAtMs),
        last_full_at: iso(s.lastFullAtMs),
        next_full_at: iso(s.nextFullAtMs),
        next_delta_at: iso(s.nextDeltaAtMs),
        pages: s.pages,
        observed: s.counts.reduce((sum, c) => sum + c.observed, 0),
        failed: s.counts.reduce((sum, c) => sum + c.failed, 0),
        error: s.error ? { code: s.error.code, message: s.error.message } : null,
        drift: driftOf(runs, integrationId, byName.get(source)?.source.modelsOf(s.stream) ?? []),
      },
    })),
  }))
}

type Drift = { readonly records: number; readonly sync_id: string; readonly started_at: string | null }

/** What the last scheduled complete pass of these models found that the feed should have brought; null when none is remembered. */
function driftOf(runs: readonly SyncRun[], integrationId: string, models: readonly string[]): Drift | null {
  const isOf = ({ model }: ModelCount): boolean => models.includes(model)
  const run = runs.find(
    (each) =>
      each.integrationId === integrationId &&
      each.kind === 'full' &&
      each.reason === 'schedule' &&
      each.finishedAt !== null &&
      each.counts?.some(isOf),
  )
  if (!run) return null
  const records = (run.counts ?? []).filter(isOf).reduce((sum, { drift }) => sum + drift, 0)
  return { records, sync_id: run.syncId, started_at: iso(run.startedAt) }
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
