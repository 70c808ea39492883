/** Key-value state over a sorted map in memory, as the StateReader port describes it. */
export class MemoryState {
  readonly #entries = new Map<string, { readonly key: Buffer; readonly value: Buffer }>()

  get(key: Uint8Array): Buffer | undefined {
    return this.#entries.get(Buffer.from(key).toString('latin1'))?.value
  }

  *scan(prefix: Uint8Array): Iterable<{ readonly key: Buffer; readonly value: Buffer }> {
    const name = Buffer.from(prefix).toString('latin1')
    const names = [...this.#entries.keys()].filter((n) => n.startsWith(name)).sort()
    for (const n of names) yield this.#entries.get(n) as { key: Buffer; value: Buffer }
  }

  apply(writes: readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[]): void {
    for (const { key, value } of writes) {
      const name = Buffer.from(key).toString('latin1')
      if (value === null) this.#entries.delete(name)
      else this.#entries.set(name, { key: Buffer.from(key), value: Buffer.from(value) })
    }
  }

  get size(): number {
    return this.#entries.size
  }
}
