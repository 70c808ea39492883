import type { Run } from './runs.ts'
import type { Schedulable } from './scheduler.ts'

/** The webhook that made a stream worth fetching. */
export interface Trigger {
  readonly eventName: string
  readonly eventId: string | null
}

/** One wanted fetch of a stream. */
export interface FetchRequest extends Schedulable {
  readonly trigger: Trigger | null
  /** The runs that wait for this fetch. The first one's id is the sync id of what it brings. */
  readonly runs: readonly [Run, ...Run[]]
  /** Lowest offset of ats.raw per partition whose webhook waits for this fetch; the committed position stays at or below it. */
  readonly holds: ReadonlyMap<number, number>
  /**
   * Asked for while the first complete fetch of the stream was under way: begin of that fetch. What has changed since is fetched without waiting
   * for it; a watermark does not follow from that.
   */
  readonly besideMs: number | null
}

/** Lowest offset per partition of two. */
export function lowestHolds(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): Map<number, number> {
  const holds = new Map(a)
  for (const [partition, offset] of b) holds.set(partition, Math.min(offset, holds.get(partition) ?? offset))
  return holds
}

const earliest = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b)

/** One request for two of the same stream: full when either is, for the runs of both, holding what either holds. */
export function mergeRequests(pending: FetchRequest, incoming: FetchRequest): FetchRequest {
  const [first, ...rest] = pending.runs
  return {
    full: pending.full || incoming.full,
    hinted: pending.hinted || incoming.hinted,
    trigger: pending.trigger ?? incoming.trigger,
    runs: [first, ...rest, ...incoming.runs.filter((run) => !pending.runs.includes(run))],
    holds: lowestHolds(pending.holds, incoming.holds),
    besideMs: earliest(pending.besideMs, incoming.besideMs),
  }
}
