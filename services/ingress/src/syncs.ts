import type { Clock, Random, TidemarkError } from '@tidemark/base'
import type { ModelCount } from '@tidemark/model'
import { type FetchDeps, fetchStream, type NamedSource } from './fetchStream.ts'
import type { Tally } from './observe.ts'
import { type FetchRequest, mergeRequests, type Trigger } from './request.ts'
import { countsOf, Run, type RunSpec } from './runs.ts'
import { Scheduler, type StreamId, type TaskView } from './scheduler.ts'
import type { SyncLog } from './syncLog.ts'

export interface SyncsDeps extends FetchDeps {
  readonly random: Random
  readonly syncs: SyncLog
  readonly sources: ReadonlyMap<string, NamedSource>
  /** Fetches in flight per source. */
  readonly concurrency: number
}

export interface Ask {
  readonly source: string
  readonly integrationId: string
  readonly streams: readonly string[]
  readonly full: boolean
  /** The run's id when somebody waits for this very run, who then always gets one of his own. */
  readonly runId?: string
  readonly trigger?: Trigger
  /** Position in ats.raw that must not be passed before the fetches have ended well. */
  readonly hold?: { readonly partition: number; readonly offset: number }
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
    const joinable = (stream: string): FetchRequest | null => {
      const pending = ask.runId === undefined ? this.#scheduler.pendingOf({ source, integrationId, stream }) : null
      return pending !== null && (pending.full || !ask.full) ? pending : null
    }
    const fresh = ask.streams.filter((stream) => joinable(stream) === null)
    const run = fresh.length === 0 ? undefined : this.#run(ask, fresh)
    for (const stream of ask.streams) {
      const runs = joinable(stream)?.runs ?? (run === undefined ? undefined : ([run] as const))
      if (runs === undefined) continue
      this.#scheduler.submit(
        { source, integrationId, stream },
        {
          full: ask.full,
          hinted: ask.trigger !== undefined,
          trigger: ask.trigger ?? null,
          runs,
          holds: new Map(ask.hold ? [[ask.hold.partition, ask.hold.offset]] : []),
        },
      )
    }
    return run
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

  #run(ask: Pick<Ask, 'source' | 'integrationId' | 'full' | 'runId'>, streams: readonly string[], quiet = false): Run {
    const { clock, random, logger, syncs } = this.#deps
    const spec: RunSpec = {
      id: ask.runId ?? newRunId(clock, random),
      source: ask.source,
      integrationId: ask.integrationId,
      kind: ask.full ? 'full' : 'delta',
      streams,
      quiet,
    }
    return new Run(spec, { syncs, clock, logger })
  }

  async #execute(id: StreamId, request: FetchRequest, signal: AbortSignal): Promise<void> {
    const from = this.#deps.sources.get(id.source)
    if (!from) throw new RangeError(`no source ${id.source}`)
    await fetchStream(this.#deps, from, id, request, signal, (pages, tally) => {
      this.#progress.set(progressKey(id), { pages, tally })
    })
  }

  #failed(id: StreamId, request: FetchRequest, error: TidemarkError, previous: TidemarkError | null): FetchRequest {
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
    return { ...request, runs: [this.#run({ ...id, full: request.full }, [id.stream], true)] }
  }
}

const progressKey = (id: StreamId): string => `${id.integrationId}\0${id.stream}`

/** Time first, so that the ids of runs sort as they were opened, then enough chance to be unique. */
function newRunId(clock: Clock, random: Random): string {
  let tail = ''
  for (let i = 0; i < 10; i++) tail += random.int(36).toString(36)
  return `${clock.now().toString(36)}-${tail}`
}
