import type { Clock } from '@tidemark/base'
import { isTaken, postWebhook } from '../postWebhook.ts'
import type { SandboxStats } from '../stats.ts'
import { signWebhook } from './signature.ts'

export interface Webhook {
  readonly id: string
  readonly type: string
  readonly integrationId: string
  readonly body: Uint8Array
}

/** A finished delivery, for tests and measurements. */
export interface DeliveryReport {
  readonly id: string
  readonly type: string
  readonly integrationId: string
  readonly attempts: number
  /** HTTP status of the last attempt, or null when there was no answer. */
  readonly status: number | null
  readonly delivered: boolean
}

export interface DeliveryOptions {
  readonly clock: Clock
  readonly stats: SandboxStats
  readonly secret: string
  readonly retries: number
  readonly retryMs: number
  readonly timeoutMs: number
}

const IN_FLIGHT_MAX = 16
const WAITING_MAX = 10_000
const REPORTS_MAX = 1000

/**
 * Posts webhooks, at most 16 at a time, each with bounded retries. Order is not kept, as Kombo promises none. When 10,000 wait, new
 * ones are dropped and counted.
 */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #waiting: Webhook[] = []
  readonly #reports: DeliveryReport[] = []
  #target: string | null = null
  #inFlight = 0
  /** Of those in flight, the deliveries that wait for their retry. */
  #pausing = 0
  #stop = new AbortController()
  #settled: (() => void)[] = []

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  setTarget(url: string | null): void {
    this.#target = url
  }

  get reports(): readonly DeliveryReport[] {
    return this.#reports
  }

  start(): void {
    this.#stop = new AbortController()
  }

  /** Ends attempts and waiting; what was not delivered is forgotten. */
  stop(): void {
    this.#waiting.length = 0
    this.#stop.abort()
  }

  send(webhook: Webhook): void {
    const { stats } = this.#options
    if (this.#target === null || this.#waiting.length >= WAITING_MAX || this.#stop.signal.aborted) {
      stats.webhooksDropped++
      return
    }
    stats.webhooksSent++
    this.#waiting.push(webhook)
    this.#pump()
  }

  /** Counts a webhook that is lost on purpose. */
  lose(): void {
    this.#options.stats.webhooksDropped++
  }

  /** Resolves when nothing is being sent; deliveries that wait for a retry are not waited for. */
  settled(): Promise<void> {
    if (this.#isSettled()) return Promise.resolve()
    return new Promise((resolve) => this.#settled.push(resolve))
  }

  #pump(): void {
    while (this.#inFlight < IN_FLIGHT_MAX) {
      const webhook = this.#waiting.shift()
      if (!webhook) return
      this.#inFlight++
      void this.#deliver(webhook).finally(() => {
        this.#inFlight--
        this.#pump()
        this.#noteSettled()
      })
    }
  }

  async #deliver(webhook: Webhook): Promise<void> {
    const { clock, stats, retries, retryMs } = this.#options
    const { signal } = this.#stop
    let status: number | null = null
    for (let attempt = 1; attempt <= retries + 1; attempt++) {
      if (attempt > 1) {
        await this.#pause(clock.sleep(retryMs * 2 ** (attempt - 2), signal))
        stats.webhookRetries++
      }
      if (signal.aborted) return
      status = await this.#attempt(webhook, signal)
      if (isTaken(status)) {
        stats.webhooksDelivered++
        this.#report(webhook, attempt, status, true)
        return
      }
    }
    stats.webhooksFailed++
    this.#report(webhook, retries + 1, status, false)
  }

  /** HTTP status, or null when there was no answer. */
  async #attempt({ id, body }: Webhook, stopped: AbortSignal): Promise<number | null> {
    const { secret, timeoutMs, stats } = this.#options
    const headers = { 'user-agent': 'Kombo-Webhooks (sandbox)', 'x-kombo-signature': signWebhook(secret, body) }
    const onFailure = (reason: string): void => {
      stats.lastError = `webhook ${id}: ${reason}`
    }
    return await postWebhook({ url: this.#target as string, headers, body, timeoutMs, stopped, onFailure })
  }

  async #pause(sleeping: Promise<void>): Promise<void> {
    this.#pausing++
    this.#noteSettled()
    await sleeping
    this.#pausing--
  }

  #report(webhook: Webhook, attempts: number, status: number | null, delivered: boolean): void {
    const { id, type, integrationId } = webhook
    this.#reports.push({ id, type, integrationId, attempts, status, delivered })
    if (this.#reports.length > REPORTS_MAX) this.#reports.shift()
  }

  #isSettled(): boolean {
    return this.#inFlight === this.#pausing && (this.#waiting.length === 0 || this.#inFlight === IN_FLIGHT_MAX)
  }

  #noteSettled(): void {
    if (!this.#isSettled()) return
    for (const resolve of this.#settled.splice(0)) resolve()
  }
}
