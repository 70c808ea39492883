import type { SyncRun } from '@tidemark/api'
import { type Clock, classify } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import { type EventLog, openTail, type Tail, type TailStart } from '@tidemark/log'
import { SYNCS_TOPIC, type SyncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'

const RUNS_MAX = 1_000
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
    starts.push({ topic: SYNCS_TOPIC, partition, offset: Math.max(start, end - RUNS_MAX) })
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

function note(runs: Runs, event: SyncEvent): void {
  if (event.sync_id === null || (event.event !== 'started' && event.event !== 'progress' && event.event !== 'finished'))
    return
  // A command to sync everything has one id for all its integrations.
  const key = `${event.sync_id} ${event.integration_id}`
  const sum = (of: 'observed' | 'failed'): number => event.counts.reduce((total, count) => total + count[of], 0)
  const known = runs.get(key)
  runs.delete(key)
  runs.set(key, {
    syncId: event.sync_id,
    integrationId: event.integration_id,
    kind: (event.kind ?? known?.kind) === 'full' ? 'full' : 'delta',
    state: event.state ?? 'RUNNING',
    startedAt: known?.startedAt ?? event.at,
    finishedAt: event.event === 'finished' ? event.at : null,
    observed: event.counts.length > 0 ? sum('observed') : (known?.observed ?? 0),
    failed: event.counts.length > 0 ? sum('failed') : (known?.failed ?? 0),
    message: event.message,
  })
  const oldest = runs.keys().next().value
  if (runs.size > RUNS_MAX && oldest !== undefined) runs.delete(oldest)
}
