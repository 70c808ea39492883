import type { Random } from '@tidemark/base'
import type { SimClock } from '../sync/clock.ts'
import type { Ledger } from '../sync/ledger.ts'
import { act, newMemory } from './acts.ts'
import { Deletions } from './deletions.ts'
import { Existence } from './existence.ts'
import type { SimulatedProvider } from './provider.ts'
import type { RawReader } from './rawReader.ts'

/** One provider of a play, with what is known and checked of it. */
export class Side {
  readonly provider: SimulatedProvider
  readonly integration: string
  readonly existence: Existence
  readonly deletions: Deletions
  /** Of the last comparison: records known that are gone, those of them that are shown so, records that were compared. */
  gone = 0
  found = 0
  compared = 0
  readonly #clock: SimClock
  readonly #memory: ReturnType<typeof newMemory>

  constructor(
    provider: SimulatedProvider,
    { clock, ledger, raws }: { readonly clock: SimClock; readonly ledger: Ledger; readonly raws: RawReader },
  ) {
    this.provider = provider
    this.integration = provider.integration
    this.existence = new Existence(provider, clock)
    this.deletions = new Deletions(this.integration, this.existence, ledger, raws)
    this.#clock = clock
    this.#memory = newMemory(provider)
    provider.onMutation = () => this.existence.look()
  }

  /** Something happens in the company. */
  act(random: Random): void {
    this.happen(() => act(this.provider, this.#memory, random))
  }

  /** Does something at a moment of its own: requests that were sent before saw nothing of it, and all that are sent after it do. */
  happen<T>(work: () => T): T {
    this.#clock.tick()
    const result = work()
    this.existence.look()
    this.#clock.tick()
    return result
  }
}
