import type { StateReader, StateWrite } from '@tidemark/log'

/** Reads through the writes of the slice in progress: committed state shows only what was committed. */
export interface Overlay {
  get(key: Buffer): Buffer | undefined
  set(key: Buffer, value: Buffer): void
  /** Entries whose key begins with the prefix, committed or of this slice, in key order. */
  scan(prefix: string): Iterable<{ readonly key: Buffer; readonly value: Buffer }>
  writes(): StateWrite[]
}

export function createOverlay(state: StateReader): Overlay {
  const written = new Map<string, StateWrite & { readonly value: Buffer }>()
  const nameOf = (key: Buffer): string => key.toString('latin1')
  return {
    get: (key) => (written.size === 0 ? undefined : written.get(nameOf(key))?.value) ?? state.get(key),
    set: (key, value) => void written.set(nameOf(key), { key, value }),
    scan(prefix) {
      const found = new Map<string, { readonly key: Buffer; readonly value: Buffer }>()
      const bytes = Buffer.from(prefix, 'utf8')
      for (const entry of state.scan(bytes)) found.set(nameOf(entry.key), entry)
      const start = nameOf(bytes)
      for (const [name, { key, value }] of written) {
        if (name.startsWith(start)) found.set(name, { key: key as Buffer, value })
      }
      // In key order whether written or committed: what a sweep emits must not depend on where slices begin.
      return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
    },
    writes: () => [...written.values()],
  }
}
