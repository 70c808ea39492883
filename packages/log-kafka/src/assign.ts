/** A member of a group, and what it owned in the generation before. */
export interface GroupMember {
  readonly id: string
  readonly owned: readonly number[]
}

/**
 * Deals partitions out evenly: no member has two more than another. A member keeps what it had, as far as that is even, because the state
 * of these partitions lies on its disk. Deterministic.
 */
export function assignPartitions(members: readonly GroupMember[], partitions: number): Map<string, number[]> {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1))
  const assigned = new Map(sorted.map(({ id }) => [id, [] as number[]]))
  if (sorted.length === 0) return assigned
  const least = Math.floor(partitions / sorted.length)
  let extra = partitions % sorted.length
  const free = new Set(Array.from({ length: partitions }, (_, i) => i))
  // Who owned most may keep one more than the least.
  for (const { id, owned } of [...sorted].sort((a, b) => b.owned.length - a.owned.length)) {
    const mine = assigned.get(id)!
    for (const partition of [...owned].sort((a, b) => a - b)) {
      const more = mine.length === least && extra > 0
      if (!free.has(partition) || (mine.length >= least && !more)) continue
      if (more) extra--
      free.delete(partition)
      mine.push(partition)
    }
  }
  for (const partition of free) {
    const id = [...assigned].reduce((a, b) => (b[1].length < a[1].length ? b : a))[0]
    assigned.get(id)!.push(partition)
  }
  for (const mine of assigned.values()) mine.sort((a, b) => a - b)
  return assigned
}
