/**
 * Sync runs and what ats.syncs says of them. A run owns streams of one integration, each from the moment it is asked for until its
 * outcome; the run is finished when all its streams have one.
 *
 *   (asked) --announce--> started --> progress* --> stream_finished, one a stream --> finished
 *
 * A quiet run is a retry: it is announced only when it brings something new, a first page or another failure than before. So a
 * provider that is down for days does not fill the topic.
 */
import type { Clock, TidemarkError } from '@tidemark/base'
import type { ModelName, SyncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'
import { count, type Tally } from './observe.ts'
import type { SyncLog } from './syncLog.ts'

export type Outcome = 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | 'AUTHENTICATION_FAILED'

export type RunState = Outcome | 'PARTIALLY_FAILED'

export interface RunSpec {
  readonly id: string
  readonly source: string
  readonly integrationId: string
  readonly kind: 'full' | 'delta'
  readonly streams: readonly string[]
  readonly quiet?: boolean
}

export interface StreamResult {
  readonly kind: 'full' | 'delta'
  readonly watermark: number | null
  readonly pages: number
  readonly tally: Tally
  readonly message: string | null
}

const PROGRESS_EVERY_MS = 1000

export class Run {
  readonly spec: RunSpec
  /** Resolves with the state of the run when every stream has an outcome. */
  readonly finished: Promise<RunState>
  #resolveFinished: (state: RunState) => void = () => undefined
  readonly #syncs: SyncLog
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #outcomes = new Map<string, Outcome | null>()
  readonly #tally: Tally = new Map()
  #pages = 0
  #announced = false
  #finished = false
  #progressAtMs: number
  #pendingReported = false

  constructor(spec: RunSpec, deps: { readonly syncs: SyncLog; readonly clock: Clock; readonly logger: Logger }) {
    this.spec = spec
    this.#syncs = deps.syncs
    this.#clock = deps.clock
    this.#logger = deps.logger
    this.#progressAtMs = deps.clock.now()
    this.finished = new Promise((resolve) => {
      this.#resolveFinished = resolve
    })
    for (const stream of spec.streams) this.#outcomes.set(stream, null)
    if (!spec.quiet) this.announce()
  }

  /** Writes `started` once. */
  announce(): void {
    if (this.#announced) return
    this.#announced = true
    this.#progressAtMs = this.#clock.now()
    this.#report(this.#event({ event: 'started', streams: this.spec.streams }))
  }

  /** A page of a stream is stored. Written as `progress` at most once a second. */
  page(stream: string, tally: Tally): void {
    this.announce()
    this.#pages++
    for (const [model, { observed, failed }] of tally) {
      count(this.#tally, model, 'observed', observed)
      count(this.#tally, model, 'failed', failed)
    }
    const now = this.#clock.now()
    if (now - this.#progressAtMs < PROGRESS_EVERY_MS) return
    this.#progressAtMs = now
    this.#report(this.#event({ event: 'progress', stream, pages: this.#pages, counts: countsOf(this.#tally) }))
  }

  /** The last page of a stream is stored. Durable when resolved, and with it the watermark. */
  async succeeded(stream: string, result: StreamResult): Promise<void> {
    this.announce()
    await this.#syncs.append(
      this.#event({
        event: 'stream_finished',
        kind: result.kind,
        stream,
        state: 'SUCCEEDED',
        watermark: result.watermark,
        pages: result.pages,
        counts: countsOf(result.tally),
        message: result.message,
      }),
    )
    this.#settle(stream, 'SUCCEEDED', null)
  }

  /** A stream has failed for this run. `isNews` is false when a retry failed as the try before it did. */
  failed(stream: string, error: TidemarkError, isNews: boolean): void {
    const state = error.code === 'PROVIDER_AUTHENTICATION' ? 'AUTHENTICATION_FAILED' : 'FAILED'
    if (isNews) this.announce()
    if (this.#announced)
      this.#report(
        this.#event({ event: 'stream_finished', stream, state, error_code: error.code, message: error.message }),
      )
    this.#settle(stream, state, error)
  }

  /** The provider is not ready; the run waits. Written once a run. */
  waiting(stream: string, error: TidemarkError): void {
    if (this.#pendingReported) return
    this.#pendingReported = true
    this.announce()
    this.#report(
      this.#event({ event: 'progress', stream, state: 'PENDING', error_code: error.code, message: error.message }),
    )
  }

  /** The stream will not be fetched: its integration is gone, or the process stops. */
  cancelled(stream: string): void {
    this.#settle(stream, 'CANCELLED', null)
  }

  #settle(stream: string, outcome: Outcome, error: TidemarkError | null): void {
    if (this.#outcomes.get(stream) !== null) return
    this.#outcomes.set(stream, outcome)
    this.#finishIfDone(error)
  }

  #finishIfDone(error: TidemarkError | null): void {
    const outcomes = [...this.#outcomes.values()]
    if (this.#finished || outcomes.includes(null)) return
    const state = stateOf(outcomes as Outcome[])
    this.#finished = true
    if (this.#announced)
      this.#report(
        this.#event({
          event: 'finished',
          state,
          pages: this.#pages,
          counts: countsOf(this.#tally),
          error_code: error?.code ?? null,
          message: error?.message ?? null,
        }),
      )
    this.#resolveFinished(state)
  }

  /** Events that only inform are not waited for; one that cannot be written is logged, the work it tells of has its own fate. */
  #report(event: SyncEvent): void {
    this.#syncs.append(event).catch((error: unknown) => {
      this.#logger.error({ err: error, event: event.event, sync_id: event.sync_id }, 'sync event was not written')
    })
  }

  #event(fields: Partial<SyncEvent> & Pick<SyncEvent, 'event'>): SyncEvent {
    const { id, source, integrationId, kind } = this.spec
    return syncEvent({
      source,
      integration_id: integrationId,
      at: this.#clock.now(),
      sync_id: id,
      kind,
      ...fields,
    })
  }
}

/** Overall state of a run from its streams'. */
export function stateOf(outcomes: readonly Outcome[]): RunState {
  const first = outcomes[0]
  if (first === undefined) return 'SUCCEEDED'
  if (outcomes.every((outcome) => outcome === first)) return first
  if (outcomes.includes('SUCCEEDED')) return 'PARTIALLY_FAILED'
  return outcomes.includes('AUTHENTICATION_FAILED') ? 'AUTHENTICATION_FAILED' : 'FAILED'
}

/** Counts per model, in model name order. */
export function countsOf(tally: Tally): SyncEvent['counts'] {
  const entries = [...tally].sort(([a], [b]) => (a < b ? -1 : 1)) as [ModelName, { observed: number; failed: number }][]
  return entries.map(([model, { observed, failed }]) => ({ model, observed, failed }))
}

/** A sync event with everything absent null. */
export function syncEvent(
  fields: Partial<SyncEvent> & Pick<SyncEvent, 'source' | 'integration_id' | 'event' | 'at'>,
): SyncEvent {
  return {
    sync_id: null,
    kind: null,
    stream: null,
    streams: [],
    state: null,
    watermark: null,
    pages: null,
    counts: [],
    error_code: null,
    message: null,
    ...fields,
  }
}
