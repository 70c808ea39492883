import { createHmac } from 'node:crypto'
import type { Clock } from '@tidemark/base'
import type { Faults } from '../faults.ts'
import { isTaken, postWebhook } from '../postWebhook.ts'
import type { Company } from '../world/company.ts'
import type { Mutation } from '../world/types.ts'
import { applicantUuid } from './ids.ts'
import type { Settings } from './options.ts'
import type { Registry } from './registry.ts'

/** base64 of HMAC-SHA256 over `<job id>.<timestamp>`: what `x-hrworks-signature` holds. */
export const signWebhook = (secretAccessKey: string, jobId: string, timestamp: string): string =>
  createHmac('sha256', secretAccessKey).update(`${jobId}.${timestamp}`).digest('base64')

/** How the proof of a webhook can be spoiled. */
export type SignatureFault = 'wrong_signature' | 'stale_timestamp'

interface Delivery {
  readonly url: string
  readonly jobId: string
  readonly action: string
  readonly body: string
  readonly spoil: SignatureFault | null
}

export interface WebhookStats {
  sent: number
  delivered: number
  retries: number
  failed: number
  dropped: number
}

const IN_FLIGHT_MAX = 16
const WAITING_MAX = 10_000
const STALE_MS = 3_600_000

export interface WebhookDeps {
  readonly settings: Settings
  readonly faults: Faults
  readonly registry: Registry
  readonly nextJobId: () => string
  /** Base URL of the API, as resource locations name it. */
  readonly baseUrl: () => string
}

/**
 * Tells the registered receivers of what happens to applicants. At most 16 deliveries at a time; when 10,000 wait, new
 * ones are dropped.
 */
export class Webhooks {
  readonly stats: WebhookStats = { sent: 0, delivered: 0, retries: 0, failed: 0, dropped: 0 }
  readonly #deps: WebhookDeps
  readonly #clock: Clock
  readonly #waiting: Delivery[] = []
  #inFlight = 0
  #pausing = 0
  #spoil: { readonly kind: SignatureFault; left: number } | null = null
  #stop = new AbortController()
  #settled: (() => void)[] = []

  constructor(deps: WebhookDeps) {
    this.#deps = deps
    this.#clock = deps.settings.clock
  }

  start(): void {
    this.#stop = new AbortController()
  }

  /** Ends attempts and waiting; what was not delivered is forgotten. */
  stop(): void {
    this.#waiting.length = 0
    this.#stop.abort()
  }

  /** Spoils the proof of the next webhooks. */
  spoil(kind: SignatureFault, count: number): void {
    this.#spoil = { kind, left: count }
  }

  /** Resolves when nothing is being sent; deliveries that wait for a retry are not waited for. */
  settled(): Promise<void> {
    return this.#isSettled() ? Promise.resolve() : new Promise((resolve) => this.#settled.push(resolve))
  }

  /** Sends what a mutation means for applicants: posts and applications have no webhooks of their own. */
  observe(company: Company, mutation: Mutation): void {
    if (!mutation.announced) return
    for (const [candidateId, action] of applicantActions(company, mutation)) this.#announce(candidateId, action)
  }

  #announce(candidateId: string, action: string): void {
    const { registry, faults, nextJobId, baseUrl } = this.#deps
    for (const { url } of registry.list({ onlyActive: true, resource: 'applicant', action })) {
      const jobId = nextJobId()
      const resourceLocation = `${baseUrl()}/applicant-management/applicants/${applicantUuid(candidateId)}`
      const body = JSON.stringify({ event: 'serverEvent', resourceLocation, jobId, action })
      const delivery = { url, jobId, action, body, spoil: this.#takeSpoil() }
      const [fault] = faults.take(['duplicate_webhook', 'lost_webhook', 'late_webhook'], {
        endpoint: action,
        integrationId: null,
      })
      if (fault?.kind === 'lost_webhook') this.stats.dropped++
      else if (fault?.kind === 'late_webhook') void this.#later(delivery, fault.delayMs ?? 1000)
      else this.#send(delivery)
      if (fault?.kind === 'duplicate_webhook') this.#send(delivery)
    }
  }

  #takeSpoil(): SignatureFault | null {
    if (this.#spoil === null || this.#spoil.left-- <= 0) return null
    return this.#spoil.kind
  }

  async #later(delivery: Delivery, delayMs: number): Promise<void> {
    const { signal } = this.#stop
    await this.#clock.sleep(delayMs, signal)
    if (!signal.aborted) this.#send(delivery)
  }

  #send(delivery: Delivery): void {
    if (this.#waiting.length >= WAITING_MAX || this.#stop.signal.aborted) {
      this.stats.dropped++
      return
    }
    this.stats.sent++
    this.#waiting.push(delivery)
    this.#pump()
  }

  #pump(): void {
    while (this.#inFlight < IN_FLIGHT_MAX) {
      const delivery = this.#waiting.shift()
      if (!delivery) return
      this.#inFlight++
      void this.#deliver(delivery).finally(() => {
        this.#inFlight--
        this.#pump()
        this.#noteSettled()
      })
    }
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { signal } = this.#stop
    for (const waitMs of [0, ...this.#deps.settings.webhookRetriesMs]) {
      if (waitMs > 0) await this.#pause(waitMs, signal)
      if (signal.aborted) return
      if (await this.#attempt(delivery, signal)) {
        this.stats.delivered++
        return
      }
    }
    this.stats.failed++
  }

  async #pause(waitMs: number, signal: AbortSignal): Promise<void> {
    this.stats.retries++
    this.#pausing++
    this.#noteSettled()
    await this.#clock.sleep(waitMs, signal)
    this.#pausing--
  }

  async #attempt({ url, jobId, body, spoil }: Delivery, stopped: AbortSignal): Promise<boolean> {
    const { secretAccessKey, webhookTimeoutMs } = this.#deps.settings
    const sentMs = this.#clock.now() - (spoil === 'stale_timestamp' ? STALE_MS : 0)
    const timestamp = String(Math.floor(sentMs / 1000))
    const key = spoil === 'wrong_signature' ? `${secretAccessKey} of another` : secretAccessKey
    const headers = {
      'x-hrworks-timestamp': timestamp,
      'x-hrworks-signature': signWebhook(key, jobId, timestamp),
    }
    return isTaken(await postWebhook({ url, headers, body, timeoutMs: webhookTimeoutMs, stopped }))
  }

  #isSettled(): boolean {
    return this.#inFlight === this.#pausing && (this.#waiting.length === 0 || this.#inFlight === IN_FLIGHT_MAX)
  }

  #noteSettled(): void {
    if (!this.#isSettled()) return
    for (const resolve of this.#settled.splice(0)) resolve()
  }
}

/** What a mutation means for each applicant it touches. Whoever has no application is none. */
export function applicantActions(company: Company, mutation: Mutation): ReadonlyMap<string, string> {
  const actions = new Map<string, string>()
  const touch = (candidateId: string, action: string): void => {
    if (company.children('applications', candidateId).length > 0) actions.set(candidateId, action)
  }
  for (const { model, id } of mutation.changed) {
    if (model === 'candidates' && !actions.has(id)) touch(id, 'resourceUpdated')
    if (model !== 'applications') continue
    const candidateId = company.tables.applications.get(id)?.fields.candidate_id ?? ''
    const isFirst =
      mutation.kind === 'application_created' && company.children('applications', candidateId).length === 1
    touch(candidateId, isFirst ? 'resourceCreated' : 'resourceUpdated')
  }
  for (const { model, id } of mutation.deleted) if (model === 'candidates') actions.set(id, 'resourceDeleted')
  return actions
}
