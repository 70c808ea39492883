import type { RecordKey } from '@tidemark/model'
import { iso } from './history.ts'
import type { KeyedChange, Ledger } from './ledger.ts'

/** Watches that no record goes back to an older version of the provider's, whatever arrives late. */
export class Order {
  readonly #ledger: Ledger
  readonly #versions = new Map<RecordKey, number>()
  #seen = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** Looks at what the ledger has got since the last time; returns what went back. */
  check(): string[] {
    const { changes } = this.#ledger
    const problems: string[] = []
    for (; this.#seen < changes.length; this.#seen++) {
      const { key, change } = changes[this.#seen] as KeyedChange
      const { remote_changed_at: version } = change
      if (version === null) continue
      const known = this.#versions.get(key)
      if (known !== undefined && version < known)
        problems.push(`${key} went back from its version of ${iso(known)} to that of ${iso(version)}`)
      this.#versions.set(key, version)
    }
    return problems
  }
}
