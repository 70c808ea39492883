/**
 * Runs in which a provider sends records by itself, one event each. A complete one is swept as a complete listing is: it begins before its first
 * record is observed, and ends when the provider says that every event was acknowledged and as many were observed here.
 *
 * Which runs are open is known to this process only. One that another process began cannot be counted any more, so it is not swept, and the
 * next complete run is.
 */
import { type Clock, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { Mapped, PushedRun, WebhookEffect } from '@tidemark/connector'
import type { EventLog } from '@tidemark/log'
import type { Logger } from '@tidemark/telemetry'
import type { NamedSource } from './fetchStream.ts'
import { count, type Tally, type Unread } from './observe.ts'
import { Run } from './runs.ts'
import { FullListing } from './sweeps/fullListing.ts'
import type { SyncLog } from './syncLog.ts'

export interface PushedRunsDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  readonly partitions: number
  readonly syncLog: SyncLog
}

type EndEffect = WebhookEffect & { readonly kind: 'pushed_run' }

interface Open {
  readonly run: Run
  /** Of complete runs. */
  readonly listing: FullListing | null
  readonly tally: Tally
  /** Events with records that were observed; repeated ones are not. */
  events: number
}

/** Ids of runs that are over; a late event of one is an event like others. The oldest are forgotten. */
const OVER_MAX = 1_000

/** The runs of all integrations, told by the webhooks in their order. */
export class PushedRuns {
  readonly #deps: PushedRunsDeps
  readonly #open = new Map<string, Open>()
  readonly #over = new Set<string>()

  constructor(deps: PushedRunsDeps) {
    this.#deps = deps
  }

  /** To be awaited before a record of a run is observed: its first record begins it, and ends the one before as cancelled. */
  async begin(from: NamedSource, integrationId: string, pushed: PushedRun): Promise<void> {
    const key = keyOf(integrationId, pushed.stream)
    const known = this.#open.get(key)
    if (known?.run.spec.id === pushed.id || this.#over.has(pushed.id)) return
    if (known) {
      this.#end(key, known)
      known.run.cancelled(pushed.stream)
    }
    const { syncLog: syncs, clock, logger } = this.#deps
    const kind = pushed.isComplete ? 'full' : 'delta'
    const { id, stream } = pushed
    const spec = { id, source: from.name, integrationId, kind, streams: [stream], reason: 'provider' } as const
    const of = { source: from.name, integrationId, stream, syncId: id, causeKind: 'full_sync' }
    const listing = pushed.isComplete ? await FullListing.begin(this.#deps, of, from.source) : null
    this.#open.set(key, { run: new Run(spec, { syncs, clock, logger }), listing, tally: new Map(), events: 0 })
  }

  /** A record event of a run was observed. */
  seen(integrationId: string, pushed: PushedRun, mapped: Mapped, tally: Tally, unread: readonly Unread[]): void {
    const open = this.#open.get(keyOf(integrationId, pushed.stream))
    if (open?.run.spec.id !== pushed.id) return
    open.events++
    open.listing?.page(mapped, unread)
    for (const [model, { observed, failed }] of tally) {
      count(open.tally, model, 'observed', observed)
      count(open.tally, model, 'failed', failed)
    }
    open.run.page(pushed.stream, tally)
  }

  /** The provider says that a run is over. Durable when resolved. */
  async end(from: NamedSource, integrationId: string, effect: EndEffect): Promise<void> {
    const { run: pushed, outcome, events, startedAtMs, message } = effect
    if (this.#over.has(pushed.id)) return
    await this.begin(from, integrationId, pushed)
    const key = keyOf(integrationId, pushed.stream)
    const open = this.#open.get(key) as Open
    this.#end(key, open)
    if (outcome === 'failed') {
      const what = `The provider's run ${pushed.id} of ${pushed.stream} of ${integrationId} failed`
      open.run.failed(
        pushed.stream,
        new TidemarkError('PROVIDER_UNAVAILABLE', `${what}: ${message ?? 'no reason'}.`),
        true,
      )
      await open.run.finished
      return
    }
    const agrees = events !== null && events === open.events
    if (open.listing && agrees) open.run.beforeSuccess(() => (open.listing as FullListing).end(pushed.id))
    const said = agrees
      ? message
      : `what is gone is not told: ${events ?? 'an unknown number of'} events were sent, ${open.events} observed`
    await open.run.succeeded(pushed.stream, {
      kind: pushed.isComplete ? 'full' : 'delta',
      // Every event is in the log, whoever observed it: what was there when the provider began to read is known.
      watermark: startedAtMs,
      pages: open.events,
      tally: open.tally,
      message: open.listing ? said : message,
    })
    await open.run.finished
  }

  #end(key: string, { run }: Open): void {
    this.#open.delete(key)
    this.#over.add(run.spec.id)
    const [oldest] = this.#over
    if (this.#over.size > OVER_MAX && oldest !== undefined) this.#over.delete(oldest)
  }
}

const keyOf = (integrationId: string, stream: string): string => `${integrationId}\0${stream}`
