import type { Clock } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { Connector, Page, Source } from '@tidemark/connector'
import type { EventLog } from '@tidemark/log'
import type { ObservationCause, RawPosition } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { count, observe, type Sighting, type Tally } from './observe.ts'
import { rawPage, rawPosition, rawRecord } from './raw.ts'
import type { FetchRequest } from './request.ts'
import type { StreamId } from './scheduler.ts'
import type { IngressState } from './state.ts'

/** A configured source with the connector it was created by. */
export interface NamedSource {
  readonly name: string
  readonly connector: Connector
  readonly source: Source
}

export interface FetchDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly partitions: number
  readonly state: IngressState
}

/**
 * Fetches a stream to its last page. Each page is stored verbatim, then its observations, child lists and dead letters in one append.
 * The watermark is the time at which the fetch began, and is written only behind the last page; a stream that is not offered has none.
 * Rejects with what the source or the log threw; everything appended until then stays, which repetition makes harmless.
 */
export async function fetchStream(
  deps: FetchDeps,
  from: NamedSource,
  id: StreamId,
  request: FetchRequest,
  signal: AbortSignal,
  onProgress: (pages: number, tally: Tally) => void,
): Promise<void> {
  const { clock, logger } = deps
  const { integrationId, stream } = id
  const startedAtMs = clock.now()
  const since = request.full ? undefined : deps.state.watermark(integrationId, stream)
  const kind = since === undefined ? 'full' : 'delta'
  const tally: Tally = new Map()
  let pages = 0
  let notOffered: string | null = null
  onProgress(pages, tally)
  const options = {
    integrationId,
    stream,
    signal,
    ...(since === undefined ? {} : { updatedAfterMs: since }),
    onRetry: (retry: { readonly code: string; readonly message: string; readonly waitMs: number }) =>
      logger.warn({ ...retry, source: id.source, integration_id: integrationId, stream }, 'fetch waits'),
  }
  for await (const page of from.source.fetch(options)) {
    signal.throwIfAborted()
    const seen = await storePage(deps, from, id, page, causeOf(request, kind))
    for (const [model, { observed, failed }] of seen) {
      count(tally, model, 'observed', observed)
      count(tally, model, 'failed', failed)
    }
    pages++
    notOffered = page.notOffered
    onProgress(pages, tally)
    for (const run of request.runs) run.page(stream, seen)
  }
  signal.throwIfAborted()
  const watermark = notOffered === null ? startedAtMs : null
  const message = notOffered === null ? null : `not offered by the provider: ${notOffered}`
  const result = { kind, watermark, pages, tally, message } as const
  await Promise.all(request.runs.map((run) => run.succeeded(stream, result)))
}

function causeOf(request: FetchRequest, kind: 'full' | 'delta'): Omit<ObservationCause, 'raw'> {
  const trigger = kind === 'delta' ? request.trigger : null
  return {
    kind: kind === 'full' ? 'full_sync' : trigger === null ? 'delta_sync' : 'webhook',
    sync_id: request.runs[0].spec.id,
    event_name: trigger?.eventName ?? null,
    event_id: trigger?.eventId ?? null,
    actor: null,
    evidence: null,
  }
}

async function storePage(
  deps: FetchDeps,
  from: NamedSource,
  id: StreamId,
  page: Page,
  cause: Omit<ObservationCause, 'raw'>,
): Promise<Tally> {
  const { log, codec, partitions, metrics } = deps
  const { integrationId } = id
  metrics.providerRequests.observe(
    { source: from.name, stream: id.stream },
    Math.max(0, page.receivedAtMs - page.requestedAtMs) / 1000,
  )
  const origin = { source: from.name, integrationId, syncId: cause.sync_id ?? '' }
  const raw = rawRecord(codec, rawPage(page, origin, from.connector.secretHeaders), partitions)
  const [offset] = await log.append([raw])
  const position: RawPosition = rawPosition(raw, offset ?? 0)
  const sighting: Sighting = {
    source: from.name,
    integrationId,
    fetchStartedAtMs: page.requestedAtMs,
    observedAtMs: page.receivedAtMs,
    cause: { ...cause, raw: position },
  }
  const { appends, tally, deadLetters } = observe(codec, partitions, page.mapped, sighting)
  if (appends.length > 0) await log.append(appends)
  countObserved(metrics, integrationId, tally, deadLetters)
  return tally
}

/** Metrics of what was appended. */
export function countObserved(
  metrics: Metrics,
  integration: string,
  tally: Tally,
  deadLetters: readonly { readonly stage: string; readonly code: string }[],
): void {
  for (const [model, { observed }] of tally) metrics.observed.inc({ integration, model }, observed)
  for (const labels of deadLetters) metrics.deadLetters.inc(labels)
}
