import type { Clock } from '@tidemark/base'
import { postWebhook } from '../postWebhook.ts'
import type { Scheduler } from '../scheduler.ts'
import type { KnitFaults } from './faults.ts'
import { signKnit } from './signature.ts'
import type { KnitStats } from './stats.ts'

/** An event on its way to the receiver. */
export interface OutgoingEvent {
  readonly eventId: string
  readonly eventType: string
  readonly integrationId: string
  readonly dataType: string
  readonly recordId: string | undefined
  readonly body: Uint8Array
  /** URL of its own; null: the account's. */
  readonly destination: string | null
  /** Called once, at the first answer 200. */
  readonly onAcknowledged: () => void
}

/** One attempt, for tests. */
export interface Attempt {
  readonly eventId: string
  readonly eventType: string
  readonly recordId: string | undefined
  readonly attempt: number
  /** HTTP status, or null where there was no answer. */
  readonly status: number | null
  readonly atMs: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** When the attempts happen, counted from the first; Knit only says that they are spread over four days. */
export const ATTEMPTS_AT_MS: readonly number[] = [
  ...[0, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS],
  ...[2, 6, 12, 24, 48, 72, 96].map((hours) => hours * HOUR_MS),
]

/** More events than this never wait; the rest is dropped and counted. */
const WAITING_MAX = 100_000
const ATTEMPTS_KEPT = 1000

export interface DeliveryDeps {
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly faults: KnitFaults
  readonly stats: KnitStats
  readonly concurrency: number
  readonly timeoutMs: number
  /** The key that signs now. */
  readonly signingKey: () => string
}

interface Waiting {
  readonly event: OutgoingEvent
  readonly firstAtMs: number
  attempt: number
  /** Attempts that still get lost on their way. */
  held: number
  wasAcknowledged: boolean
}

/** Posts events until each was answered with 200, and nothing else, or four days have passed. */
export class KnitDelivery {
  readonly #deps: DeliveryDeps
  readonly #due: Waiting[] = []
  readonly #attempts: Attempt[] = []
  #target: string | null = null
  /** Events that are due, in flight, or wait for a retry. */
  #open = 0
  #inFlight = 0
  #stop = new AbortController()
  #settled: (() => void)[] = []

  constructor(deps: DeliveryDeps) {
    this.#deps = deps
  }

  get attempts(): readonly Attempt[] {
    return this.#attempts
  }

  /** Events that were not acknowledged yet and are not given up. */
  get open(): number {
    return this.#open
  }

  setTarget(url: string | null): void {
    this.#target = url
  }

  start(): void {
    this.#stop = new AbortController()
  }

  /** Ends attempts and waiting; what was not delivered is forgotten. */
  stop(): void {
    this.#due.length = 0
    this.#open = 0
    this.#stop.abort()
  }

  send(event: OutgoingEvent): void {
    if (this.#open >= WAITING_MAX) {
      this.#deps.stats.dropped++
      return
    }
    const fault = this.#deps.faults.take(['duplicate', 'held'], event)
    const waiting = (): Waiting => ({
      ...{ event, firstAtMs: this.#deps.clock.now(), attempt: 0, wasAcknowledged: false },
      held: fault?.kind === 'held' ? (fault.attempts ?? 1) : 0,
    })
    this.#enqueue(waiting())
    // The same event again, whose acknowledgement nobody counts.
    if (fault?.kind === 'duplicate') this.#enqueue({ ...waiting(), wasAcknowledged: true })
  }

  /** Resolves when nothing is being sent; events that wait for a retry are not waited for. */
  settled(): Promise<void> {
    if (this.#isSettled()) return Promise.resolve()
    return new Promise((resolve) => this.#settled.push(resolve))
  }

  #enqueue(waiting: Waiting): void {
    this.#open++
    this.#due.push(waiting)
    this.#pump()
  }

  #pump(): void {
    while (this.#inFlight < this.#deps.concurrency) {
      const waiting = this.#due.shift()
      if (!waiting) break
      this.#inFlight++
      void this.#attempt(waiting).finally(() => {
        this.#inFlight--
        this.#pump()
      })
    }
    if (this.#isSettled()) for (const resolve of this.#settled.splice(0)) resolve()
  }

  #isSettled(): boolean {
    return this.#inFlight === 0 && this.#due.length === 0
  }

  async #attempt(waiting: Waiting): Promise<void> {
    const { signal } = this.#stop
    const { event } = waiting
    const isHeld = waiting.held > 0
    if (isHeld) waiting.held--
    const status = isHeld ? null : await this.#post(event, signal)
    if (signal.aborted) return
    waiting.attempt++
    this.#note(waiting, status)
    if (status !== 200) return this.#retry(waiting)
    this.#open--
    this.#deps.stats.acknowledged++
    if (!waiting.wasAcknowledged) event.onAcknowledged()
    waiting.wasAcknowledged = true
  }

  #retry(waiting: Waiting): void {
    const { stats, scheduler } = this.#deps
    const afterMs = ATTEMPTS_AT_MS[waiting.attempt]
    if (afterMs === undefined) {
      this.#open--
      stats.dropped++
      return
    }
    scheduler.at(waiting.firstAtMs + afterMs, () => {
      this.#due.push(waiting)
      this.#pump()
    })
  }

  /** HTTP status, or null when there was no answer. */
  async #post(event: OutgoingEvent, stopped: AbortSignal): Promise<number | null> {
    const { stats, timeoutMs, faults, signingKey } = this.#deps
    const target = event.destination ?? this.#target
    if (target === null) return null
    stats.attempts++
    const isForged = faults.take(['wrong_signature'], event) !== undefined
    const headers = {
      'x-knit-signature': signKnit(isForged ? 'another key' : signingKey(), event.body),
      'x-knit-integration-id': event.integrationId,
    }
    const onFailure = (reason: string): void => {
      stats.lastError = `event ${event.eventId}: ${reason}`
    }
    return await postWebhook({ url: target, headers, body: event.body, timeoutMs, stopped, onFailure })
  }

  #note({ event, attempt }: Waiting, status: number | null): void {
    const { eventId, eventType, recordId } = event
    this.#attempts.push({ eventId, eventType, recordId, attempt, status, atMs: this.#deps.clock.now() })
    if (this.#attempts.length > ATTEMPTS_KEPT) this.#attempts.shift()
  }
}
