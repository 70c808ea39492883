/**
 * Sync runs and what ats.syncs says of them. A run owns streams of one integration, each from the moment it is asked for until its
 * outcome; the run is finished when all its streams have one.
 *
 *   (asked) --announce--> started --> progress* --> stream_finished, one a stream --> finished
 *
 * A quiet run is a retry: it is announced only when it brings something new, a first page or another failure than before. So a
 * provider that is down for days does not fill the topic.
 */
import { type Clock, classify, type TidemarkError } from '@tidemark/base'
import { type ModelName, modelCount, type SyncEvent, syncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'
import { count, type Tally } from './observe.ts'
import type { SyncLog } from './syncLog.ts'

export type Outcome = 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT' | 'AUTHENTICATION_FAILED'

export type RunState = Outcome | 'PARTIALLY_FAILED'

/** Why a run began. */
export type RunReason = 'first' | 'schedule' | 'request' | 'webhook' | 'restart' | 'retry' | 'provider'

export interface RunSpec {
  readonly id: string
  readonly source: string
  readonly integrationId: string
  readonly kind: 'full' | 'delta'
  readonly streams: readonly string[]
  readonly quiet?: boolean
  readonly reason: RunReason
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
  readonly #beforeSuccess: (() => Promise<readonly ModelName[]>)[] = []

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
    this.#report(this.#event({ event: 'started', streams: this.spec.streams, reason: this.spec.reason }))
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

  /** To be done when all streams of the run have succeeded, before that is said; returns the models that are swept from then on. */
  beforeSuccess(work: () => Promise<readonly ModelName[]>): void {
    this.#beforeSuccess.push(work)
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
    await this.#settle(stream, 'SUCCEEDED', null)
  }

  /** A stream has failed for this run. `isNews` is false when a retry failed as the try before it did. */
  failed(stream: string, error: TidemarkError, isNews: boolean): void {
    const state = outcomeOf(error)
    if (isNews) this.announce()
    if (this.#announced)
      this.#report(
        this.#event({ event: 'stream_finished', stream, state, error_code: error.code, message: error.message }),
      )
    void this.#settle(stream, state, error)
  }

  /** The provider is not ready; the run waits. Written once a run. */
  waiting(stream: string, error: TidemarkError): void {
    if (this.#pendingReported) return
    this.#pendingReported = true
    this.announce()
    this.#report(
      this.#event({
        ...{ event: 'progress', stream, state: 'PENDING', error_code: error.code, message: error.message },
        details: typeof error.fields['provider_code'] === 'string' ? error.fields['provider_code'] : null,
      }),
    )
  }

  /** The stream will not be fetched: its integration is gone, or the process stops. */
  cancelled(stream: string): void {
    void this.#settle(stream, 'CANCELLED', null)
  }

  async #settle(stream: string, outcome: Outcome, error: TidemarkError | null): Promise<void> {
    if (this.#outcomes.get(stream) !== null) return
    this.#outcomes.set(stream, outcome)
    const outcomes = [...this.#outcomes.values()]
    if (this.#finished || outcomes.includes(null)) return
    this.#finished = true
    const state = stateOf(outcomes as Outcome[])
    if (state !== 'SUCCEEDED') return this.#finish(state, error)
    try {
      const swept: ModelName[] = []
      for (const work of this.#beforeSuccess) swept.push(...(await work()))
      this.#finish(state, null, swept)
    } catch (thrown) {
      this.#finish('FAILED', classify(thrown))
    }
  }

  #finish(state: RunState, error: TidemarkError | null, swept: readonly ModelName[] = []): void {
    if (this.#announced)
      this.#report(
        this.#event({
          event: 'finished',
          state,
          pages: this.#pages,
          counts: countsOf(this.#tally),
          error_code: error?.code ?? null,
          message: error?.message ?? null,
          details: swept.length === 0 ? null : JSON.stringify({ swept }),
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

function outcomeOf({ code }: TidemarkError): Outcome {
  if (code === 'PROVIDER_AUTHENTICATION') return 'AUTHENTICATION_FAILED'
  return code === 'SYNC_TIMED_OUT' ? 'TIMED_OUT' : 'FAILED'
}

/** Overall state of a run from its streams'. */
export function stateOf(outcomes: readonly Outcome[]): RunState {
  const first = outcomes[0]
  if (first === undefined) return 'SUCCEEDED'
  if (outcomes.every((outcome) => outcome === first)) return first
  if (outcomes.includes('SUCCEEDED')) return 'PARTIALLY_FAILED'
  if (outcomes.includes('AUTHENTICATION_FAILED')) return 'AUTHENTICATION_FAILED'
  return outcomes.includes('FAILED') ? 'FAILED' : 'TIMED_OUT'
}

/** Counts per model, in model name order. */
export function countsOf(tally: Tally): SyncEvent['counts'] {
  const entries = [...tally].sort(([a], [b]) => (a < b ? -1 : 1)) as [ModelName, { observed: number; failed: number }][]
  return entries.map(([model, { observed, failed }]) => modelCount({ model, observed, failed }))
}
