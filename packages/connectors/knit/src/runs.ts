/**
 * What Knit says about its runs: how many records one has read, how many events it sent and how many were acknowledged. Pure. Whoever wants to
 * conclude from a run what is gone must ask {@link judgeRun} first: only an initial run that is complete and agrees with what was received
 * says anything about what it does not show.
 */
import { parseTime } from '@tidemark/model'
import type { Frame } from './frame.ts'
import type { Json } from './json.ts'
import { timeOf } from './json.ts'

/** The content of `sync.events.processed` or `sync.events.allConsumed`. */
export interface RunCounters {
  readonly dataType: string | null
  readonly syncType: string | null
  readonly syncJobId: string | null
  /** Never parsed: its prefix differs. */
  readonly syncRunId: string | null
  readonly status: string | null
  /** Records that Knit read. */
  readonly processed: number | null
  /** Events that it sent for them. */
  readonly emitted: number | null
  /** Events that were acknowledged; null in `processed`, which does not say. */
  readonly consumed: number | null
  readonly startedAtMs: number | null
  readonly processedAtMs: number | null
  readonly completedAtMs: number | null
  /** Knit's own word for it: true in `allConsumed` only. */
  readonly isComplete: boolean
}

const countIn = (data: Json, name: string): number | null => {
  const value = data[name]
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

const timeIn = (data: Json, name: string): number | null => parseTime(timeOf(data[name])) ?? null

/** Counters of a run's event; what is missing or no number is null. */
export function readCounters(frame: Frame): RunCounters {
  const { dataType, syncType, syncJobId, syncRunId } = frame
  const data = frame.data ?? {}
  return {
    ...{ dataType, syncType, syncJobId, syncRunId },
    status: typeof data['status'] === 'string' ? data['status'] : null,
    processed: countIn(data, 'processed'),
    emitted: countIn(data, 'emitted'),
    consumed: countIn(data, 'consumed'),
    startedAtMs: timeIn(data, 'startedAt'),
    processedAtMs: timeIn(data, 'processedAt'),
    completedAtMs: timeIn(data, 'completedAt'),
    isComplete: data['complete'] === true,
  }
}

/** What is wrong with the counters of one `allConsumed`; null when they agree with each other. */
export function disagreement({ emitted, consumed, isComplete }: RunCounters): string | null {
  if (emitted === null || consumed === null) return 'it does not say how many events were emitted and consumed'
  if (consumed !== emitted) return `${emitted} events were emitted, ${consumed} consumed`
  return isComplete ? null : 'it is not marked complete'
}

/** What is known of one run. */
export interface RunFacts {
  readonly processed: RunCounters | null
  readonly allConsumed: RunCounters | null
  /** `sync.failed` was received for it. */
  readonly hasFailed: boolean
  /** Different record events (by event id) received of it; null where nobody counted. */
  readonly received: number | null
}

export interface RunVerdict {
  readonly state: 'running' | 'complete' | 'disagrees' | 'failed'
  /** A complete initial run of which everything was received: a known record that it did not show is gone or inactive. */
  readonly showsAll: boolean
  /** One sentence for status and logs. */
  readonly reason: string
}

/** Judges a run by all that is known of it. A failed run stays failed, whatever comes later. */
export function judgeRun({ processed, allConsumed, hasFailed, received }: RunFacts): RunVerdict {
  const no = (state: RunVerdict['state'], reason: string): RunVerdict => ({ state, showsAll: false, reason })
  if (hasFailed) return no('failed', 'Knit reported that the run failed.')
  if (allConsumed === null) return no('running', 'Not every event of the run was acknowledged yet.')
  const problem = disagreement(allConsumed) ?? contradiction(processed, allConsumed)
  if (problem !== null) return no('disagrees', `The run ended, but ${problem}.`)
  const emitted = allConsumed.emitted as number
  if (received !== null && received < emitted)
    return no('disagrees', `The run ended, but of its ${emitted} events only ${received} arrived here.`)
  const showsAll = allConsumed.syncType === 'initial_sync' && received !== null
  return { state: 'complete', showsAll, reason: `The run ended; all ${emitted} of its events were consumed.` }
}

/** Where the two events of one run say different things. */
function contradiction(processed: RunCounters | null, allConsumed: RunCounters): string | null {
  if (processed === null) return null
  if (processed.syncRunId !== allConsumed.syncRunId)
    return `its counters are of two runs, ${processed.syncRunId} and ${allConsumed.syncRunId}`
  for (const name of ['processed', 'emitted'] as const)
    if (processed[name] !== null && allConsumed[name] !== null && processed[name] !== allConsumed[name])
      return `its two events disagree on \`${name}\`: ${processed[name]} and ${allConsumed[name]}`
  return null
}
