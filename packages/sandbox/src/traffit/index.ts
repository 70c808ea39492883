/** A simulated TRAFFIT tenant on loopback, over a company of the sandbox's world. */
import { type Clock, systemClock, TidemarkError } from '@tidemark/base'
import type { FastifyInstance } from 'fastify'
import { Faults } from '../faults.ts'
import type { Company } from '../world/company.ts'
import type { Mutation } from '../world/types.ts'
import { Directory, eventsOf } from './events.ts'
import { History } from './history.ts'
import { createServer } from './server.ts'
import { type Subscription, Subscriptions, type WebhookStats } from './subscriptions.ts'
import { TokenIssuer } from './tokens.ts'

export { EVENT_TYPES } from './events.ts'
export type { Subscription, WebhookStats } from './subscriptions.ts'

export interface TraffitSimulatorOptions {
  /** Whose records it shows. Give the world's `onMutation` on to {@link TraffitSimulator.onMutation}. */
  readonly company: Company
  /** Default: the machine's clock. */
  readonly clock?: Clock
  readonly clientId?: string
  readonly clientSecret?: string
  /** Scopes of the API client. Default: all that reading and webhooks need. */
  readonly scopes?: readonly string[]
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number
  /** Requests a second; null: no limit. Default 10. */
  readonly rateLimit?: number | null
  /** Whether the history of an application stays when it is removed, its last stay ended. Default true. */
  readonly historySurvives?: boolean
  /** Waits before each further try of a webhook. Default 10 s, 60 s, 300 s. */
  readonly webhookRetryMs?: readonly number[]
}

export interface TraffitSimulator {
  readonly clientId: string
  readonly clientSecret: string
  /** What goes wrong on request; endpoints are named in `routes.ts`, webhooks by their type. */
  readonly faults: Faults
  readonly webhooks: WebhookStats
  /** Requests so far. */
  readonly requests: number
  /** Tokens so far. */
  readonly tokensIssued: number
  start(): Promise<{ readonly origin: string }>
  stop(): Promise<void>
  /** Something happened in the company: the history goes on, and webhooks are sent. Mutations of other companies are passed over. */
  onMutation(mutation: Mutation): void
  /** Replaces the scopes of the API client, also of tokens that are out. */
  setScopes(scopes: readonly string[]): void
  /** Makes every token invalid, as an administrator does. */
  revokeTokens(): void
  /** Page `number` of every listing has one row less than it should; null: none. */
  setShortPage(number: number | null): void
  /** How webhooks carry the secret of their URL. */
  setWebhookSecrets(secrets: 'right' | 'wrong' | 'missing'): void
  subscriptions(): readonly Subscription[]
  /** Resolves when no webhook is being sent; those that wait for their next try are not waited for. */
  settled(): Promise<void>
}

const SCOPES = [
  'employee',
  'recruitment',
  'workflow',
  'user',
  'source',
  'file',
  'dictionary',
  'advert',
  'webhook',
] as const
const WEBHOOK_TIMEOUT_MS = 10_000

/** Creates a tenant; it answers from {@link TraffitSimulator.start} on. */
export function createTraffitSimulator(options: TraffitSimulatorOptions): TraffitSimulator {
  return new Simulator(options)
}

class Simulator implements TraffitSimulator {
  readonly clientId: string
  readonly clientSecret: string
  readonly faults = new Faults()
  requests = 0
  readonly #options: TraffitSimulatorOptions
  readonly #clock: Clock
  readonly #directory: Directory
  readonly #history: History
  readonly #tokens: TokenIssuer
  readonly #subscriptions: Subscriptions
  #shortPage: number | null = null
  #server: FastifyInstance | null = null
  #stopped = new AbortController()

  constructor(options: TraffitSimulatorOptions) {
    const { company, clock = systemClock, scopes = SCOPES } = options
    this.#options = options
    this.#clock = clock
    this.clientId = options.clientId ?? 'sandbox_tidemark'
    this.clientSecret = options.clientSecret ?? 'sandbox-client-secret'
    this.#directory = new Directory(company)
    this.#history = new History(company, options.historySurvives ?? true)
    this.#tokens = new TokenIssuer(clock, this.clientId, this.clientSecret, scopes)
    this.#subscriptions = new Subscriptions({
      ...{ clock, faults: this.faults, integrationId: company.integrationId, timeoutMs: WEBHOOK_TIMEOUT_MS },
      retryMs: options.webhookRetryMs ?? [10_000, 60_000, 300_000],
    })
  }

  get webhooks(): WebhookStats {
    return this.#subscriptions.stats
  }

  get tokensIssued(): number {
    return this.#tokens.issued
  }

  async start(): Promise<{ readonly origin: string }> {
    if (this.#server)
      throw new TidemarkError('INTERNAL', 'the simulator is running already; stop() it before starting it again')
    this.#stopped = new AbortController()
    this.#server = createServer({
      ...{ clock: this.#clock, company: this.#options.company, history: this.#history, tokens: this.#tokens },
      ...{ subscriptions: this.#subscriptions, faults: this.faults, stopped: this.#stopped.signal },
      rateLimit: this.#options.rateLimit === undefined ? 10 : this.#options.rateLimit,
      shortPage: () => this.#shortPage,
      onRequest: () => {
        this.requests++
      },
    })
    return { origin: await this.#server.listen({ host: '127.0.0.1', port: this.#options.port ?? 0 }) }
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    this.#stopped.abort()
    this.#subscriptions.stop()
    await server?.close()
  }

  onMutation(mutation: Mutation): void {
    const { company } = this.#options
    if (mutation.integrationId !== company.integrationId) return
    const events = eventsOf({ company, directory: this.#directory, history: this.#history }, mutation)
    this.#history.apply(mutation)
    this.#directory.apply(mutation)
    for (const event of events) this.#subscriptions.send(event)
  }

  setScopes(scopes: readonly string[]): void {
    this.#tokens.scopes = new Set(scopes)
  }

  revokeTokens(): void {
    this.#tokens.revoke()
  }

  setShortPage(number: number | null): void {
    this.#shortPage = number
  }

  setWebhookSecrets(secrets: 'right' | 'wrong' | 'missing'): void {
    this.#subscriptions.secrets = secrets
  }

  subscriptions(): readonly Subscription[] {
    return this.#subscriptions.list()
  }

  settled(): Promise<void> {
    return this.#subscriptions.settled()
  }
}
