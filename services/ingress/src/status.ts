import type { ErrorCode } from '@tidemark/base'
import type { ModelCount } from '@tidemark/model'
import type { Integrations } from './integrations.ts'
import type { IngressState } from './state.ts'
import type { Syncs } from './syncs.ts'

export interface StreamStatus {
  readonly stream: string
  /** `waiting`: for a retry, or for the provider to be ready. */
  readonly state: 'idle' | 'ready' | 'running' | 'waiting'
  /** Every provider change up to this time is in the log; null before the first complete fetch. */
  readonly watermarkMs: number | null
  readonly lastStartedAtMs: number | null
  readonly lastEndedAtMs: number | null
  readonly nextAttemptAtMs: number | null
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
  readonly streams: readonly StreamStatus[]
}

/** A picture of every live integration, in id order. */
export function statusOf(integrations: Integrations, syncs: Syncs, state: IngressState): IntegrationStatus[] {
  return integrations.list().map(({ id: integrationId, source: { name, source } }) => ({
    integrationId,
    source: name,
    isWaitingForProvider: syncs.isWaitingForProvider(integrationId),
    streams: source.streams.map((stream) => streamStatus(syncs, state, { source: name, integrationId, stream })),
  }))
}

function streamStatus(
  syncs: Syncs,
  state: IngressState,
  id: { readonly source: string; readonly integrationId: string; readonly stream: string },
): StreamStatus {
  const view = syncs.view(id)
  const progress = syncs.progressOf(id)
  return {
    stream: id.stream,
    state: view?.state ?? 'idle',
    watermarkMs: state.watermark(id.integrationId, id.stream) ?? null,
    lastStartedAtMs: view?.startedAtMs ?? null,
    lastEndedAtMs: view?.endedAtMs ?? null,
    nextAttemptAtMs: view?.nextAttemptAtMs ?? null,
    pages: progress?.pages ?? 0,
    counts: progress?.counts ?? [],
    error: view?.error ? { code: view.error.code, message: view.error.message } : null,
  }
}
