import { type RecordKey, recordKey } from '@tidemark/model'
import type { SimClock } from '../sync/clock.ts'
import { History } from '../sync/history.ts'
import type { Existing, SimulatedProvider } from './provider.ts'

/** Since when each record exists at a provider, or does not any more, as its company tells. */
export class Existence {
  readonly history = new History()
  /** Models of which all records are known. */
  readonly models: ReadonlySet<string>
  readonly #provider: SimulatedProvider
  readonly #clock: SimClock
  #before: ReadonlySet<RecordKey> = new Set()

  constructor(provider: SimulatedProvider, clock: SimClock) {
    this.#provider = provider
    this.#clock = clock
    this.models = new Set(provider.existing().keys())
    this.look()
  }

  /** Takes note of what is different now. */
  look(): void {
    const { integration } = this.#provider
    const now = keysOf(integration, this.#provider.existing())
    const atMs = this.#clock.now()
    for (const key of now) if (!this.#before.has(key)) this.history.begin(key, atMs)
    for (const key of this.#before) if (!now.has(key)) this.history.end(key, atMs)
    this.#before = now
  }
}

/** Record keys of everything. */
export const keysOf = (integration: string, existing: Existing): Set<RecordKey> =>
  new Set([...existing].flatMap(([model, keys]) => [...keys].map((key) => recordKey(integration, model, key))))
