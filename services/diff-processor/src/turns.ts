/** Lets at most `max` pieces of work run at a time, in the order asked for. */
export interface Turns {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createTurns(max: number): Turns {
  let free = max
  const waiting: (() => void)[] = []
  return {
    async run(work) {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await work()
      } finally {
        // A turn is handed on, not given back, so that nobody slips in between.
        const next = waiting.shift()
        if (next) next()
        else free++
      }
    },
  }
}
