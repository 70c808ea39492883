import { parseTime } from '@tidemark/model'
import type { Frame } from './frame.ts'
import { isJson, timeOf } from './json.ts'
import type { RecordVersion } from './options.ts'

/** Versions of what one event shows, in ms; null: the order of arrival decides. */
export interface Versions {
  /** Of the job or application that the event is about. */
  readonly own: number | null
  /** Of the candidate, users, stages and others that are seen inside it. */
  readonly inside: number | null
}

/**
 * What orders the states of a record. Knit promises no order, and a retry may be four days late, so an event must say how old it is.
 *
 * - `triggered_at`: the time of the event, which is a version of everything that the event shows. It is the same in every retry (inferred:
 *   it stands in the signed body). An event without it has no version.
 * - `updated_at`: the source system's time of change, for accounts whose events carry no `triggeredAt`. It belongs to the job or application
 *   alone, and a deletion has none.
 *
 * The two are never mixed: an event of a moment shows an update of before that moment, so that the second of two such states would look older
 * than the first and be dropped.
 */
export function versionsOf(frame: Frame, scale: RecordVersion): Versions {
  if (scale === 'triggered_at') return { own: frame.triggeredAtMs, inside: frame.triggeredAtMs }
  const info = frame.data?.['info']
  return { own: (isJson(info) ? parseTime(timeOf(info['updatedAt'])) : undefined) ?? null, inside: null }
}
