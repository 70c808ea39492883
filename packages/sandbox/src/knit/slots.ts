/** Time of day in UTC. */
export interface StartTime {
  readonly hour: number
  readonly minute: number
}

export interface Planning {
  readonly nowMs: number
  /** Pause between delta runs. */
  readonly periodMs: number
  /** When the next delta run was to begin; null when none was planned. */
  readonly plannedMs: number | null
  /** The run that ended keeps the slot of the next one where it is. */
  readonly honorScheduler: boolean
  /** Where the slots of a day are anchored; null: counted from the end of the last run. */
  readonly start: StartTime | null
}

const DAY_MS = 86_400_000

/** When the next delta run begins: the slot that was planned, the next one of the day, or a period from now. */
export function nextSlotMs({ nowMs, periodMs, plannedMs, honorScheduler, start }: Planning): number {
  if (honorScheduler && plannedMs !== null && plannedMs > nowMs) return plannedMs
  if (start === null) return nowMs + periodMs
  const midnightMs = Math.floor(nowMs / DAY_MS) * DAY_MS
  const firstMs = midnightMs + (start.hour * 60 + start.minute) * 60_000
  const periods = Math.floor((nowMs - firstMs) / periodMs) + 1
  return firstMs + periods * periodMs
}
