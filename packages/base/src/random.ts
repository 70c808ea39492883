/** A source of randomness that is handed in, so that a seed reproduces a run. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, below). */
  int(below: number): number
  /** One element; throws on an empty list. */
  pick<T>(items: readonly T[]): T
  /** True with the given probability. */
  chance(probability: number): boolean
}

/** Seeded generator (mulberry32, public domain by Tommy Ettinger): fast, 32 bits of state, not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return fromNext(next)
}

/** Wraps any uniform [0, 1) source. */
export function fromNext(next: () => number): Random {
  const int = (below: number): number => Math.floor(next() * below)
  return {
    next,
    int,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError('pick from an empty list')
      return items[int(items.length)] as T
    },
    chance: (probability) => next() < probability,
  }
}
