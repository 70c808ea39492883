import type { Clock } from '@tidemark/base'
import type { Faults } from '../faults.ts'
import { WEBHOOK_FAULTS } from '../faults.ts'
import { isTaken, postWebhook } from '../postWebhook.ts'
import type { JsonObject } from '../world/types.ts'
import type { Event } from './events.ts'

export interface Subscription {
  readonly id: number
  readonly type: string
  readonly url: string
}

export interface SubscriptionsOptions {
  readonly clock: Clock
  readonly faults: Faults
  readonly integrationId: string
  /** Waits before each further try. */
  readonly retryMs: readonly number[]
  readonly timeoutMs: number
}

/** What became of the deliveries. */
export interface WebhookStats {
  sent: number
  delivered: number
  retried: number
  /** Given up, lost by a fault, or dropped because too many waited. */
  lost: number
}

const SUBSCRIPTIONS_MAX = 200
const WAITING_MAX = 10_000
const IN_FLIGHT_MAX = 8

/** The subscriptions of a tenant, and the deliveries to them: unsigned, at least once, in no promised order. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #waiting: { readonly url: string; readonly body: string }[] = []
  readonly stats: WebhookStats = { sent: 0, delivered: 0, retried: 0, lost: 0 }
  /** `right`: as it was registered. Others spoil what a receiver checks. */
  secrets: 'right' | 'wrong' | 'missing' = 'right'
  #next = 1
  #inFlight = 0
  /** Of those in flight, the ones that wait for their next try. */
  #pausing = 0
  #stop = new AbortController()
  #settled: (() => void)[] = []

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  list(): readonly Subscription[] {
    return [...this.#subscriptions.values()]
  }

  /** Null when there are too many. */
  add(type: string, url: string): Subscription | null {
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX) return null
    const subscription = { id: this.#next++, type, url }
    this.#subscriptions.set(subscription.id, subscription)
    return subscription
  }

  remove(id: number): boolean {
    return this.#subscriptions.delete(id)
  }

  /** Sends an event to everybody who subscribed to its type. */
  send({ type, payload }: Event): void {
    const { faults, integrationId } = this.#options
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.type !== type) continue
      const [fault] = faults.take(WEBHOOK_FAULTS, { endpoint: type, integrationId })
      const copies = fault?.kind === 'lost_webhook' ? 0 : fault?.kind === 'duplicate_webhook' ? 2 : 1
      if (copies === 0) this.stats.lost++
      const delayMs = fault?.kind === 'late_webhook' ? (fault.delayMs ?? 1000) : 0
      for (let i = 0; i < copies; i++) void this.#enqueue(this.#spoiled(subscription.url), payload, delayMs)
    }
  }

  /** Resolves when nothing is being sent; what waits for its next try is not waited for. */
  settled(): Promise<void> {
    if (this.#isSettled()) return Promise.resolve()
    return new Promise((resolve) => this.#settled.push(resolve))
  }

  stop(): void {
    this.#waiting.length = 0
    this.#stop.abort()
    this.#stop = new AbortController()
  }

  #spoiled(url: string): string {
    const target = new URL(url)
    if (this.secrets === 'wrong') target.searchParams.set('secret', 'not-the-secret')
    if (this.secrets === 'missing') target.searchParams.delete('secret')
    return target.href
  }

  async #enqueue(url: string, payload: JsonObject, delayMs: number): Promise<void> {
    const { signal } = this.#stop
    if (delayMs > 0) await this.#options.clock.sleep(delayMs, signal)
    if (signal.aborted) return
    if (this.#waiting.length >= WAITING_MAX) {
      this.stats.lost++
      return
    }
    this.stats.sent++
    this.#waiting.push({ url, body: JSON.stringify(payload) })
    this.#pump()
  }

  #pump(): void {
    while (this.#inFlight < IN_FLIGHT_MAX) {
      const next = this.#waiting.shift()
      if (!next) return
      this.#inFlight++
      void this.#deliver(next.url, next.body).finally(() => {
        this.#inFlight--
        this.#pump()
        this.#noteSettled()
      })
    }
  }

  async #deliver(url: string, body: string): Promise<void> {
    const { signal } = this.#stop
    const { timeoutMs, retryMs } = this.#options
    for (const waitMs of [0, ...retryMs]) {
      if (waitMs > 0) {
        await this.#pause(waitMs, signal)
        this.stats.retried++
      }
      if (signal.aborted) return
      if (isTaken(await postWebhook({ url, body, timeoutMs, stopped: signal }))) {
        this.stats.delivered++
        return
      }
    }
    this.stats.lost++
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    this.#pausing++
    this.#noteSettled()
    await this.#options.clock.sleep(ms, signal)
    this.#pausing--
  }

  #isSettled(): boolean {
    // Those that pause keep their places, so what waits behind them waits as long.
    const isFull = this.#inFlight === IN_FLIGHT_MAX
    return this.#inFlight === this.#pausing && (this.#waiting.length === 0 || isFull)
  }

  #noteSettled(): void {
    if (!this.#isSettled()) return
    for (const resolve of this.#settled.splice(0)) resolve()
  }
}
