/** Readers of this process that wait for a partition to grow. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Calls `wake` at the partition's next append, until it is removed by the function returned. */
  add(partition: string, wake: () => void): () => void {
    const set = this.#waiting.get(partition) ?? new Set()
    this.#waiting.set(partition, set.add(wake))
    return () => {
      set.delete(wake)
      if (set.size === 0 && this.#waiting.get(partition) === set) this.#waiting.delete(partition)
    }
  }

  wake(partitions: Iterable<string>): void {
    for (const partition of partitions) for (const wake of this.#waiting.get(partition) ?? []) wake()
  }

  wakeAll(): void {
    this.wake([...this.#waiting.keys()])
  }
}
