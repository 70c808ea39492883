import type { SweepState, SyncRun } from '@tidemark/api'
import { type Clock, classify } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import { type EventLog, openTail, type Tail, type TailStart } from '@tidemark/log'
import { type ModelCount, modelCount, SYNCS_TOPIC, type SyncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'

const RUNS_MAX = 1_000
/** Events looked back at when it begins, per partition; a run has some five. */
const EVENTS_MAX = 5_000
const AGAIN_MS = 1_000

type Runs = Map<string, SyncRun>

/** Follows ats.syncs and remembers the newest runs, so that a caller who asked for a sync can learn how it went. */
export interface SyncTracker {
  /** Newest first. */
  runs(): readonly SyncRun[]
  /** Id of a run of this kind that has not finished; runs that an earlier process left behind do not count. */
  unfinished(integrationId: string, kind: 'full' | 'delta'): string | null
  stop(): Promise<void>
}

interface TrackerDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly partitions: number
  readonly startedAtMs: number
  readonly clock: Clock
  readonly logger: Logger
}

export async function startSyncTracker(deps: TrackerDeps): Promise<SyncTracker> {
  const runs = new Map<string, SyncRun>()
  const stopping = new AbortController()
  const starts = []
  for (let partition = 0; partition < deps.partitions; partition++) {
    // A bounded look back: what is older than this is not running any more.
    const { start, end } = await deps.log.bounds(SYNCS_TOPIC, partition)
    starts.push({ topic: SYNCS_TOPIC, partition, offset: Math.max(start, end - EVENTS_MAX) })
  }
  const loop = follow(deps, starts, runs, stopping.signal)
  return {
    runs: () => [...runs.values()].sort((a, b) => b.startedAt - a.startedAt),
    unfinished: (integrationId, kind) =>
      [...runs.values()].find(
        (r) =>
          r.integrationId === integrationId &&
          r.kind === kind &&
          r.finishedAt === null &&
          r.startedAt >= deps.startedAtMs,
      )?.syncId ?? null,
    async stop() {
      stopping.abort()
      await loop
    },
  }
}

/** Whatever fails, it goes on behind the last event noted: it tells how things stand, nothing depends on it. */
async function follow(deps: TrackerDeps, starts: readonly TailStart[], runs: Runs, signal: AbortSignal): Promise<void> {
  for (let from = starts; !signal.aborted; ) {
    const tail = openTail(deps.log, from)
    try {
      await readAll(tail, deps.codec, runs, signal)
    } catch (error) {
      if (signal.aborted) return
      deps.logger.warn({ err: classify(error) }, 'ats.syncs cannot be followed; tried again')
      await deps.clock.sleep(AGAIN_MS, signal)
    } finally {
      from = tail.readers.map(({ topic, partition, position }) => ({ topic, partition, offset: position }))
      await tail.close()
    }
  }
}

async function readAll(tail: Tail, codec: Codec, runs: Runs, signal: AbortSignal): Promise<void> {
  while (await tail.ready(signal)) {
    for (const reader of tail.readers) {
      await reader.refill()
      while (reader.head) {
        const { value } = reader.shift()
        if (value) note(runs, codec.decode('SyncEvent', value))
      }
    }
  }
}

const OF_A_RUN = new Set(['started', 'progress', 'finished', 'counted', 'swept', 'mass_deletion_held', 'held_decided'])

function note(runs: Runs, event: SyncEvent): void {
  if (event.sync_id === null || !OF_A_RUN.has(event.event)) return
  // A command to sync everything has one id for all its integrations.
  const key = `${event.sync_id} ${event.integration_id}`
  const known = runs.get(key) ?? newRun(event, event.sync_id)
  runs.delete(key)
  runs.set(key, noted(known, event))
  const oldest = runs.keys().next().value
  if (runs.size > RUNS_MAX && oldest !== undefined) runs.delete(oldest)
}

const newRun = (event: SyncEvent, syncId: string): SyncRun => ({
  ...{ syncId, integrationId: event.integration_id, kind: event.kind === 'full' ? 'full' : 'delta', state: 'RUNNING' },
  ...{
    startedAt: event.at,
    finishedAt: null,
    observed: 0,
    failed: 0,
    message: null,
    reason: null,
    counts: [],
    sweeps: [],
  },
})

function noted(run: SyncRun, event: SyncEvent): SyncRun {
  switch (event.event) {
    case 'counted':
      return { ...run, counts: added(run.counts ?? [], event.counts) }
    case 'swept':
    case 'mass_deletion_held':
    case 'held_decided':
      return { ...run, sweeps: swept(run.sweeps ?? [], event) }
    default:
      return lived(run, event)
  }
}

function lived(run: SyncRun, event: SyncEvent): SyncRun {
  const sum = (of: 'observed' | 'failed'): number => event.counts.reduce((total, count) => total + count[of], 0)
  const hasCounts = event.counts.length > 0
  const isEnd = event.event === 'finished'
  return {
    ...run,
    kind: (event.kind ?? run.kind) === 'full' ? 'full' : 'delta',
    state: event.state ?? 'RUNNING',
    startedAt: event.event === 'started' ? event.at : run.startedAt,
    finishedAt: isEnd ? event.at : null,
    observed: hasCounts ? sum('observed') : run.observed,
    failed: hasCounts ? sum('failed') : run.failed,
    message: event.message,
    reason: event.reason ?? run.reason ?? null,
    counts: hasCounts ? observedOf(run.counts ?? [], event.counts) : (run.counts ?? []),
    sweeps: isEnd ? pending(run.sweeps ?? [], event.details) : (run.sweeps ?? []),
  }
}

type Counts = readonly ModelCount[]

const byModel = (counts: Counts): Map<string, ModelCount> => new Map(counts.map((count) => [count.model, count]))

const inOrder = (counts: ReadonlyMap<string, ModelCount>): ModelCount[] =>
  [...counts.values()].sort((a, b) => (a.model < b.model ? -1 : 1))

/** What the diff processor counted comes in parts, each once. */
function added(counts: Counts, more: Counts): Counts {
  const sums = byModel(counts)
  for (const { model, created, updated, deleted, unchanged, drift } of more) {
    const sum = sums.get(model) ?? modelCount({ model })
    sums.set(model, {
      ...sum,
      ...{ created: sum.created + created, updated: sum.updated + updated, deleted: sum.deleted + deleted },
      ...{ unchanged: sum.unchanged + unchanged, drift: sum.drift + drift },
    })
  }
  return inOrder(sums)
}

/** What ingress has observed is told in whole each time. */
function observedOf(counts: Counts, latest: Counts): Counts {
  const sums = byModel(counts)
  for (const { model, observed, failed } of latest)
    sums.set(model, { ...(sums.get(model) ?? modelCount({ model })), observed, failed })
  return inOrder(sums)
}

/** The models that a run sweeps from its end on, but for those that were faster. */
function pending(sweeps: readonly SweepState[], details: string | null): readonly SweepState[] {
  const { swept: models } = JSON.parse(details ?? '{"swept":[]}') as { readonly swept: readonly string[] }
  const waiting = models.filter((model) => !sweeps.some((sweep) => sweep.model === model))
  return [...sweeps, ...waiting.map((model) => ({ model, state: 'PENDING', suspects: null, message: null }))]
}

function swept(sweeps: readonly SweepState[], { event, model, state, suspects, message }: SyncEvent): SweepState[] {
  if (model === null) return [...sweeps]
  const one = { model, state: event === 'mass_deletion_held' ? 'HELD' : (state ?? ''), suspects, message }
  return [...sweeps.filter((sweep) => sweep.model !== model), one]
}
