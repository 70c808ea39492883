import type { ErrorCode } from '@tidemark/base'
import type { ModelCount } from '@tidemark/model'
import type { NamedSource } from './fetchStream.ts'
import { type Health, healthOf } from './health.ts'
import type { Integrations } from './integrations.ts'
import type { IngressState } from './state.ts'
import type { Syncs } from './syncs.ts'
import { nextDue } from './timetable.ts'

export interface StreamStatus {
  readonly stream: string
  /** `waiting`: for a retry, or for the provider to be ready. */
  readonly state: 'idle' | 'ready' | 'running' | 'waiting'
  /** Every provider change up to this time is in the log; null before the first complete fetch. */
  readonly watermarkMs: number | null
  readonly lastStartedAtMs: number | null
  readonly lastEndedAtMs: number | null
  readonly nextAttemptAtMs: number | null
  /** Begin of the last complete listing, and when the schedule wants the next one; null before the first. */
  readonly lastFullAtMs: number | null
  readonly nextFullAtMs: number | null
  /** When the schedule wants what has changed; null before the first complete listing. */
  readonly nextDeltaAtMs: number | null
  /** Of the fetch in flight, else of the last one in this process. */
  readonly pages: number
  readonly counts: readonly ModelCount[]
  /** Why the last fetch failed; null when it did not. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | null
}

export interface IntegrationStatus {
  readonly integrationId: string
  readonly source: string
  /** The provider says that it is not ready. */
  readonly isWaitingForProvider: boolean
  readonly health: Health
  readonly streams: readonly StreamStatus[]
}

/** A picture of every live integration, in id order. */
export function statusOf(integrations: Integrations, syncs: Syncs, state: IngressState): IntegrationStatus[] {
  return integrations.list().map(({ id: integrationId, source: from }) => ({
    integrationId,
    source: from.name,
    isWaitingForProvider: syncs.isWaitingForProvider(integrationId),
    health: healthOf(state, integrationId, from.source.streams),
    streams: from.source.streams.map((stream) => streamStatus(syncs, state, from, integrationId, stream)),
  }))
}

function streamStatus(
  syncs: Syncs,
  state: IngressState,
  from: NamedSource,
  integrationId: string,
  stream: string,
): StreamStatus {
  const id = { source: from.name, integrationId, stream }
  const view = syncs.view(id)
  const progress = syncs.progressOf(id)
  return {
    ...storedStatus(state, from, integrationId, stream, view?.endedAtMs ?? null),
    state: view?.state ?? 'idle',
    lastStartedAtMs: view?.startedAtMs ?? null,
    lastEndedAtMs: view?.endedAtMs ?? null,
    nextAttemptAtMs: view?.nextAttemptAtMs ?? null,
    pages: progress?.pages ?? 0,
    counts: progress?.counts ?? [],
    error: view?.error ? { code: view.error.code, message: view.error.message } : null,
  }
}

/** What ats.syncs tells of a stream. */
export function storedStatus(
  state: IngressState,
  from: NamedSource | undefined,
  integrationId: string,
  stream: string,
  lastEndedAtMs: number | null = null,
): Pick<StreamStatus, 'stream' | 'watermarkMs' | 'lastFullAtMs' | 'nextFullAtMs' | 'nextDeltaAtMs'> {
  const due = from && nextDue(state, from, integrationId, stream, lastEndedAtMs)
  return {
    stream,
    watermarkMs: state.watermark(integrationId, stream) ?? null,
    lastFullAtMs: state.lastFullAt(integrationId, stream) ?? null,
    nextFullAtMs: due?.fullAtMs ?? null,
    nextDeltaAtMs: due?.deltaAtMs ?? null,
  }
}
