import type { SyncRun } from '@tidemark/api'
import type { Codec } from '@tidemark/codec'
import { type EventLog, openTail, type Tail } from '@tidemark/log'
import { SYNCS_TOPIC, type SyncEvent } from '@tidemark/model'

const RUNS_MAX = 1_000

/** Follows ats.syncs and remembers the newest runs, so that a caller who asked for a sync can learn how it went. */
export interface SyncTracker {
  /** Newest first. */
  runs(): readonly SyncRun[]
  /** Id of a run of this kind that has not finished; runs that an earlier process left behind do not count. */
  unfinished(integrationId: string, kind: 'full' | 'delta'): string | null
  stop(): Promise<void>
}

export async function startSyncTracker(deps: {
  readonly log: EventLog
  readonly codec: Codec
  readonly partitions: number
  readonly startedAtMs: number
  readonly onError: (error: unknown) => void
}): Promise<SyncTracker> {
  const runs = new Map<string, SyncRun>()
  const stopping = new AbortController()
  const starts = []
  for (let partition = 0; partition < deps.partitions; partition++) {
    // A bounded look back: what is older than this is not running any more.
    const { start, end } = await deps.log.bounds(SYNCS_TOPIC, partition)
    starts.push({ topic: SYNCS_TOPIC, partition, offset: Math.max(start, end - RUNS_MAX) })
  }
  const tail = openTail(deps.log, starts)
  const loop = follow(tail, deps.codec, runs, stopping.signal).catch(deps.onError)
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
      await tail.close()
      await loop
    },
  }
}

async function follow(tail: Tail, codec: Codec, runs: Map<string, SyncRun>, signal: AbortSignal): Promise<void> {
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

function note(runs: Map<string, SyncRun>, event: SyncEvent): void {
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
