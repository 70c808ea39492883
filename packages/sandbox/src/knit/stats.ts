/** Counters since the simulator was created. */
export interface KnitStats {
  calls: number
  runs: number
  eventsEmitted: number
  attempts: number
  /** Answered with 200. */
  acknowledged: number
  /** Given up after the last attempt, or not taken because too many waited. */
  dropped: number
  lastError: string | null
}

/** Counters at zero. */
export const createKnitStats = (): KnitStats => ({
  ...{ calls: 0, runs: 0, eventsEmitted: 0, attempts: 0, acknowledged: 0, dropped: 0 },
  lastError: null,
})
