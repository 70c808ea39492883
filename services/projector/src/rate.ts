/** Events per second over the last full seconds, in constant memory. */
export interface Rate {
  add(count: number, nowMs: number): void
  perSecond(nowMs: number): number
}

const SECONDS = 10

export function createRate(): Rate {
  const counts = new Array<number>(SECONDS).fill(0)
  let last = 0
  let first: number | undefined

  const forward = (nowMs: number): number => {
    const second = Math.floor(nowMs / 1000)
    first ??= second
    for (let s = Math.max(last + 1, second - SECONDS + 1); s <= second; s++) counts[s % SECONDS] = 0
    last = Math.max(last, second)
    return last
  }
  return {
    add(count, nowMs) {
      const slot = forward(nowMs) % SECONDS
      counts[slot] = (counts[slot] as number) + count
    },
    perSecond(nowMs) {
      const second = forward(nowMs)
      const span = Math.min(SECONDS, second - (first as number) + 1)
      return counts.reduce((sum, count) => sum + count, 0) / span
    },
  }
}
