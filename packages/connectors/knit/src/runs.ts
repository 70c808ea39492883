/**
 * What Knit says about its runs: how many records one has read, how many events it sent and how many were acknowledged. Pure. Only an initial run
 * whose counters agree with each other ({@link disagreement}) and with what was received says anything about what it does not show; what was received
 * is counted where webhooks are taken.
 */
import { parseTime } from '@tidemark/model'
import type { Frame } from './frame.ts'
import type { Json } from './json.ts'
import { timeOf } from './json.ts'

/** The content of `sync.events.processed` or `sync.events.allConsumed`. */
export interface RunCounters {
  readonly dataType: string | null
  readonly syncType: string | null
  /** Never parsed: its prefix differs. */
  readonly syncRunId: string | null
  /** Records that Knit read. */
  readonly processed: number | null
  /** Events that it sent for them. */
  readonly emitted: number | null
  /** Events that were acknowledged; null in `processed`, which does not say. */
  readonly consumed: number | null
  readonly startedAtMs: number | null
  /** Knit's own word for it: true in `allConsumed` only. */
  readonly isComplete: boolean
}

const countIn = (data: Json, name: string): number | null => {
  const value = data[name]
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

/** Counters of a run's event; what is missing or no number is null. */
export function readCounters(frame: Frame): RunCounters {
  const { dataType, syncType, syncRunId } = frame
  const data = frame.data ?? {}
  return {
    ...{ dataType, syncType, syncRunId },
    processed: countIn(data, 'processed'),
    emitted: countIn(data, 'emitted'),
    consumed: countIn(data, 'consumed'),
    startedAtMs: parseTime(timeOf(data['startedAt'])) ?? null,
    isComplete: data['complete'] === true,
  }
}

/** What is wrong with the counters of one `allConsumed`; null when they agree with each other. */
export function disagreement({ emitted, consumed, isComplete }: RunCounters): string | null {
  if (emitted === null || consumed === null) return 'it does not say how many events were emitted and consumed'
  if (consumed !== emitted) return `${emitted} events were emitted, ${consumed} consumed`
  return isComplete ? null : 'it is not marked complete'
}
