import type { Clock } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { Connector, Page, Source } from '@tidemark/connector'
import type { EventLog } from '@tidemark/log'
import type { ObservationCause, RawPosition } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { count, observe, type Sighting, type Tally, type Unread } from './observe.ts'
import { rawPage, rawPosition, rawRecord } from './raw.ts'
import type { FetchRequest } from './request.ts'
import type { Schedule } from './schedule.ts'
import type { StreamId } from './scheduler.ts'
import type { IngressState } from './state.ts'
import { FullListing } from './sweeps/fullListing.ts'
import type { SyncLog } from './syncLog.ts'

/** A configured source with the connector it was created by. */
export interface NamedSource {
  readonly name: string
  readonly connector: Connector
  readonly source: Source
  /** Default: every hour what has changed, every week everything. */
  readonly schedule?: Schedule
}

export interface FetchDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly partitions: number
  readonly state: IngressState
  readonly syncLog: SyncLog
  /** Waits while more is in the log than the diff processor keeps up with. */
  readonly pace: (signal: AbortSignal) => Promise<void>
}

/**
 * Fetches a stream to its last page. Each page is stored verbatim, then its observations, child lists and dead letters in one append.
 * The watermark is the time at which the fetch began, and is written only behind the last page; a stream that is not offered has none.
 * A complete listing is swept when a run that it was fetched for has succeeded.
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
  const known = request.full ? undefined : deps.state.watermark(integrationId, stream)
  const since = known ?? (request.full ? undefined : (request.besideMs ?? undefined))
  const kind = since === undefined ? 'full' : 'delta'
  const tally: Tally = new Map()
  let pages = 0
  let notOffered: string | null = null
  onProgress(pages, tally)
  const cause = causeOf(request, kind)
  const listing = kind === 'full' ? await beginListing(deps, from, id, cause) : null
  const options = {
    integrationId,
    stream,
    signal,
    isBulk: kind === 'full',
    ...(since === undefined ? {} : { updatedAfterMs: since }),
    onRetry: (retry: { readonly code: string; readonly message: string; readonly waitMs: number }) =>
      logger.warn({ ...retry, source: id.source, integration_id: integrationId, stream }, 'fetch waits'),
  }
  for await (const page of from.source.fetch(options)) {
    signal.throwIfAborted()
    const { tally: seen, unread } = await storePage(deps, from, id, page, cause)
    listing?.page(page.mapped, unread)
    for (const [model, { observed, failed }] of seen) {
      count(tally, model, 'observed', observed)
      count(tally, model, 'failed', failed)
    }
    pages++
    notOffered = page.notOffered
    onProgress(pages, tally)
    for (const run of request.runs) run.page(stream, seen)
    if (listing) await deps.pace(signal)
  }
  signal.throwIfAborted()
  // What was fetched beside the first complete fetch says nothing about what was there before.
  const watermark = notOffered === null && (known !== undefined || kind === 'full') ? startedAtMs : null
  const message = notOffered === null ? null : `not offered by the provider: ${notOffered}`
  // Which of the runs that share the listing ends well is not known yet; the first one that does has it swept.
  if (listing && notOffered === null) for (const run of request.runs) run.beforeSuccess(() => listing.end(run.spec.id))
  const result = { kind, watermark, pages, tally, message } as const
  await Promise.all(request.runs.map((run) => run.succeeded(stream, result)))
  if (watermark === null) return
  for (const model of from.source.modelsOf(stream))
    deps.metrics.watermark.set({ integration: integrationId, model }, watermark / 1000)
}

const beginListing = (
  deps: FetchDeps,
  { source }: NamedSource,
  id: StreamId,
  { kind, sync_id: syncId }: Omit<ObservationCause, 'raw'>,
): Promise<FullListing> => FullListing.begin(deps, { ...id, syncId: syncId ?? '', causeKind: kind }, source)

function causeOf(request: FetchRequest, kind: 'full' | 'delta'): Omit<ObservationCause, 'raw'> {
  const trigger = kind === 'delta' ? request.trigger : null
  // A scheduled full pass looks for what the feed should have brought.
  const full = request.runs.some(({ spec }) => spec.reason === 'schedule' && spec.kind === 'full')
    ? 'reconcile'
    : 'full_sync'
  return {
    kind: kind === 'full' ? full : trigger === null ? 'delta_sync' : 'webhook',
    sync_id: request.runs[0].spec.id,
    event_name: trigger?.eventName ?? null,
    event_id: trigger?.eventId ?? null,
    actor: null,
    evidence: null,
  }
}

/** Stores a page verbatim, then what it maps to in one append. */
export async function storePage(
  deps: Pick<FetchDeps, 'log' | 'codec' | 'partitions' | 'metrics'>,
  from: NamedSource,
  id: Pick<StreamId, 'integrationId' | 'stream'>,
  page: Page,
  cause: Omit<ObservationCause, 'raw'>,
): Promise<{ readonly tally: Tally; readonly unread: readonly Unread[]; readonly raw: RawPosition }> {
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
  const { appends, tally, deadLetters, unread } = observe(codec, partitions, page.mapped, sighting)
  if (appends.length > 0) await log.append(appends)
  countObserved(metrics, integrationId, tally, deadLetters)
  return { tally, unread, raw: position }
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
