import { seededRandom } from '@tidemark/base'
import type { Source } from '@tidemark/connector'
import type { NamedSource } from '@tidemark/ingress'
import type { SimClock } from '../sync/clock.ts'
import type { SourceWork } from '../sync/stage.ts'
import type { Front } from './front.ts'
import { type Between, Calls, livelySource, SleepCounter } from './lively.ts'
import type { SimulatedProvider } from './provider.ts'
import { during } from './reading.ts'

/** How far time goes by at once at most for a request that waits. */
const MOVE_MS = 500

/** The real connectors of all providers, made anew for each life of ingress, and what they are doing. */
export class Sources implements SourceWork {
  readonly hanging = 0
  readonly front: Front
  between: (provider: SimulatedProvider) => Promise<void> = async () => undefined
  readonly #clock: SimClock
  readonly #sleeper: SleepCounter
  readonly #calls = new Calls()
  readonly #providers: readonly SimulatedProvider[]
  #current: ReadonlyMap<SimulatedProvider, NamedSource> = new Map()
  #lives = 0

  constructor(providers: readonly SimulatedProvider[], clock: SimClock, front: Front) {
    this.#providers = providers
    this.#clock = clock
    this.#sleeper = new SleepCounter(clock)
    this.front = front
  }

  /** Sleeping requests wait for time alone. */
  get busy(): number {
    return Math.max(0, this.#calls.open - this.#sleeper.sleeping)
  }

  async settled(): Promise<void> {
    await Promise.all(this.#providers.map((provider) => provider.settled()))
  }

  moveOn(): boolean {
    if (this.#calls.open === 0) return false
    this.#clock.tickToNext(MOVE_MS)
    return true
  }

  /** Sources for a new life of ingress. */
  open(): NamedSource[] {
    const before = this.#current
    this.#lives++
    this.#current = new Map(this.#providers.map((provider) => [provider, this.#named(provider)]))
    for (const { source } of before.values()) void source.close()
    return [...this.#current.values()]
  }

  sourceOf(provider: SimulatedProvider): Source {
    return (this.#current.get(provider) as NamedSource).source
  }

  /** Has every provider send its webhooks to the front. */
  async subscribe(): Promise<void> {
    const { signal } = new AbortController()
    for (const provider of this.#providers) {
      const url = this.front.urlOf(provider.name)
      provider.setWebhookTarget(url)
      const subscribing = this.sourceOf(provider).subscriptions?.ensure({ url, signal })
      if (subscribing) await during(this.#clock, subscribing)
    }
  }

  async close(): Promise<void> {
    for (const { source } of this.#current.values()) await source.close()
  }

  #named(provider: SimulatedProvider): NamedSource {
    const { name, connector, options } = provider
    const random = seededRandom(this.#lives)
    const source = connector.create(connector.parseOptions(options), { clock: this.#sleeper, random })
    const between: Between = () => this.between(provider)
    return { name, connector, source: livelySource(source, this.#calls, between) }
  }
}
