import { type Clock, type Random, TidemarkError } from '@tidemark/base'
import { type ModelCount, syncEvent } from '@tidemark/model'
import { type FetchDeps, fetchStream, type NamedSource } from './fetchStream.ts'
import type { Tally } from './observe.ts'
import { type FetchRequest, mergeRequests, type Trigger } from './request.ts'
import { countsOf, Run, type RunReason, type RunSpec } from './runs.ts'
import { Scheduler, type StreamId, type TaskView } from './scheduler.ts'
import type { SyncLog } from './syncLog.ts'

export interface SyncsDeps extends FetchDeps {
  readonly random: Random
  readonly syncs: SyncLog
  readonly sources: ReadonlyMap<string, NamedSource>
  /** Fetches in flight per source. */
  readonly concurrency: number
  /** A fetch that takes longer is ended as TIMED_OUT and begun anew. */
  readonly fetchTimeoutMs: number
}

export interface Ask {
  readonly source: string
  readonly integrationId: string
  readonly streams: readonly string[]
  readonly full: boolean
  /** The run's id when somebody waits for this very run, who then always gets one of his own. */
  readonly runId?: string
  readonly trigger?: Trigger
  readonly reason: RunReason
  /** Position in ats.raw that must not be passed before the fetches have ended well. */
  readonly hold?: { readonly partition: number; readonly offset: number }
}

interface Wanted {
  readonly id: StreamId
  readonly full: boolean
  readonly besideMs: number | null
  readonly joins: FetchRequest | null
}

/** Turns what is asked for into runs and scheduled fetches, and failures into retries. */
export class Syncs {
  readonly #deps: SyncsDeps
  readonly #scheduler: Scheduler<FetchRequest>
  /** Pages and records of the fetch in flight, else of the last one. */
  readonly #progress = new Map<string, { readonly pages: number; readonly tally: Tally }>()

  constructor(deps: SyncsDeps) {
    this.#deps = deps
    this.#scheduler = new Scheduler<FetchRequest>({
      clock: deps.clock,
      random: deps.random,
      concurrency: deps.concurrency,
      merge: mergeRequests,
      execute: (id, request, signal) => this.#execute(id, request, signal),
      failed: (id, request, error, previous) => this.#failed(id, request, error, previous),
      cancelled: (id, request) => {
        for (const run of request.runs) run.cancelled(id.stream)
      },
    })
  }

  /**
   * Asks for fetches that begin from now on. Streams for which one is pending already join it; the others get a new run, which is
   * returned. Undefined when all have joined.
   */
  ask(ask: Ask): Run | undefined {
    const { source, integrationId } = ask
    const wanted = ask.streams.map((stream) => this.#wanted(ask, { source, integrationId, stream }))
    const fresh = wanted.filter(({ joins }) => joins === null).map(({ id }) => id.stream)
    const run = fresh.length === 0 ? undefined : this.#run(ask, fresh)
    for (const { id, full, besideMs, joins } of wanted) {
      const runs = joins?.runs ?? (run === undefined ? undefined : ([run] as const))
      if (runs === undefined) continue
      this.#scheduler.submit(id, {
        full,
        hinted: ask.trigger !== undefined,
        trigger: ask.trigger ?? null,
        runs,
        holds: new Map(ask.hold ? [[ask.hold.partition, ask.hold.offset]] : []),
        besideMs,
      })
    }
    return run
  }

  /**
   * What is to be fetched of a stream, and which pending request that joins. A listing that was never read completely is: its changes can only be
   * told from a beginning. While that is under way, what changes meanwhile is told from its beginning.
   */
  #wanted(ask: Ask, id: StreamId): Wanted {
    const isKnown = this.#deps.state.watermark(id.integrationId, id.stream) !== undefined
    const besideMs = ask.full || isKnown ? null : this.#scheduler.fullStartedAtMs(id)
    const full = ask.full || (!isKnown && besideMs === null)
    const mayJoin = ask.runId === undefined
    const same = mayJoin ? this.#scheduler.pendingOf(id, full) : null
    if (same !== null || full || ask.trigger !== undefined) return { id, full, besideMs, joins: same }
    // Nobody waits for it, so a complete fetch that comes anyway will do.
    const complete = mayJoin ? this.#scheduler.pendingOf(id, true) : null
    return { id, full: complete !== null, besideMs, joins: complete }
  }

  /** The provider says something about the integration: if it was not ready, it is asked at once. */
  wake(integrationId: string): void {
    this.#scheduler.wake(integrationId)
  }

  /** Ends everything of an integration; resolves when nothing of it is in flight. */
  async remove(integrationId: string): Promise<void> {
    await this.#scheduler.remove(integrationId)
    for (const key of this.#progress.keys()) if (key.startsWith(`${integrationId}\0`)) this.#progress.delete(key)
  }

  /** How far the fetch in flight has come, else how far the last one came; undefined before the first. */
  progressOf(id: StreamId): { readonly pages: number; readonly counts: readonly ModelCount[] } | undefined {
    const progress = this.#progress.get(progressKey(id))
    return progress && { pages: progress.pages, counts: countsOf(progress.tally) }
  }

  /** The lowest offset of an ats.raw partition that a fetch still owes its end to; undefined when there is none. */
  lowestHold(partition: number): number | undefined {
    let lowest: number | undefined
    for (const { holds } of this.#scheduler.outstanding()) {
      const offset = holds.get(partition)
      if (offset !== undefined) lowest = Math.min(offset, lowest ?? offset)
    }
    return lowest
  }

  view(id: StreamId): TaskView | undefined {
    return this.#scheduler.view(id)
  }

  isWaitingForProvider(integrationId: string): boolean {
    return this.#scheduler.isGated(integrationId)
  }

  /** Aborts what is in flight and resolves when it has ended; runs that were announced are written as cancelled. */
  stop(): Promise<void> {
    return this.#scheduler.stop()
  }

  #run(
    ask: Pick<Ask, 'source' | 'integrationId' | 'full' | 'runId' | 'reason'>,
    streams: readonly string[],
    quiet = false,
  ): Run {
    const { clock, random, logger, syncs } = this.#deps
    const spec: RunSpec = {
      id: ask.runId ?? newRunId(clock, random),
      source: ask.source,
      integrationId: ask.integrationId,
      kind: ask.full ? 'full' : 'delta',
      streams,
      quiet,
      reason: ask.reason,
    }
    return new Run(spec, { syncs, clock, logger })
  }

  async #execute(id: StreamId, request: FetchRequest, signal: AbortSignal): Promise<void> {
    const from = this.#deps.sources.get(id.source)
    if (!from) throw new RangeError(`no source ${id.source}`)
    const { clock, fetchTimeoutMs } = this.#deps
    await endedAfter(clock, fetchTimeoutMs, id, signal, (limited) =>
      fetchStream(this.#deps, from, id, request, limited, (pages, tally) => {
        this.#progress.set(progressKey(id), { pages, tally })
      }),
    )
    await this.#resume(id)
  }

  /** The credentials are good again: what was stopped goes on. */
  async #resume({ source, integrationId }: StreamId): Promise<void> {
    const { state, syncs, clock } = this.#deps
    if (state.stoppedBecause(integrationId) === undefined) return
    await syncs.append(
      syncEvent({
        ...{ source, integration_id: integrationId, event: 'schedule_resumed', at: clock.now(), state: 'ACTIVE' },
        message: 'The provider accepts the credentials again.',
      }),
    )
  }

  /** Three days of refused credentials stop the schedule; said once. */
  #isGivenUp({ source, integrationId }: StreamId): boolean {
    const { state, clock, syncs, logger } = this.#deps
    const since = state.refusedSince(integrationId)
    const now = clock.now()
    if (since === undefined || now - since < REFUSED_MAX_MS) return false
    if (state.stoppedBecause(integrationId) === undefined) {
      const message =
        `The provider has refused the credentials of ${integrationId} since ${new Date(since).toISOString()}: nothing is fetched by schedule ` +
        'any more. Have the integration reconnected, or mend the credentials, then: tidemark sync'
      const event = {
        source,
        integration_id: integrationId,
        event: 'schedule_stopped',
        at: now,
        state: 'INVALID',
        message,
      }
      syncs.append(syncEvent(event)).catch((err: unknown) => logger.error({ err }, 'sync event was not written'))
      logger.error({ source, integration_id: integrationId }, message)
    }
    return true
  }

  #failed(
    id: StreamId,
    request: FetchRequest,
    error: TidemarkError,
    previous: TidemarkError | null,
  ): FetchRequest | null {
    const isNews = previous?.code !== error.code
    const fields = { err: error, source: id.source, integration_id: id.integrationId, stream: id.stream }
    // A first sync that is under way at the provider is no fault of anybody.
    const level = !isNews ? 'debug' : error.code === 'PROVIDER_NOT_READY' ? 'info' : 'warn'
    this.#deps.logger[level](fields, 'fetch failed, will be tried again')
    if (error.code === 'PROVIDER_NOT_READY') {
      for (const run of request.runs) run.waiting(id.stream, error)
      return request
    }
    for (const run of request.runs) run.failed(id.stream, error, isNews)
    if (error.code === 'PROVIDER_AUTHENTICATION' && this.#isGivenUp(id)) return null
    // Scheduled passes stay what they are: their findings are drift whichever try makes them.
    const reason = request.runs.some(({ spec }) => spec.reason === 'schedule') ? 'schedule' : 'retry'
    return { ...request, runs: [this.#run({ ...id, full: request.full, reason }, [id.stream], true)] }
  }
}

/** Refused credentials are tried for this long before the schedule of their integration stops; like Kombo (reference section 5.3). */
const REFUSED_MAX_MS = 3 * 86_400_000

const progressKey = (id: StreamId): string => `${id.integrationId}\0${id.stream}`

/** Time first, so that the ids of runs sort as they were opened, then enough chance to be unique. */
function newRunId(clock: Clock, random: Random): string {
  let tail = ''
  for (let i = 0; i < 10; i++) tail += random.int(36).toString(36)
  return `${clock.now().toString(36)}-${tail}`
}

/** Ends work by its signal when it takes too long, and tells so. */
async function endedAfter(
  clock: Clock,
  ms: number,
  { integrationId, stream }: StreamId,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const limited = new AbortController()
  const done = new AbortController()
  const follow = (): void => limited.abort(signal.reason)
  signal.addEventListener('abort', follow, { once: true })
  let isLate = false
  const timer = clock.sleep(ms, done.signal).then(() => {
    if (done.signal.aborted) return
    isLate = true
    limited.abort()
  })
  try {
    await work(limited.signal)
  } catch (error) {
    if (!isLate) throw error
    const hours = Math.round(ms / 360_000) / 10
    const message = `The fetch of ${stream} of ${integrationId} took longer than ${hours} hours and was ended; it is begun again.`
    throw new TidemarkError('SYNC_TIMED_OUT', message, { cause: error })
  } finally {
    signal.removeEventListener('abort', follow)
    done.abort()
    await timer
  }
}
