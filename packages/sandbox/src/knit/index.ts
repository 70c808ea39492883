import { classify, TidemarkError } from '@tidemark/base'
import type { FastifyInstance } from 'fastify'
import { createScheduler, type Scheduler } from '../scheduler.ts'
import { type Account, jobOf, type Run, type SyncType } from './accounts.ts'
import { type Attempt, KnitDelivery } from './delivery.ts'
import { KnitFaults } from './faults.ts'
import type { DataType } from './models.ts'
import { type KnitAccountOptions, type KnitSettings, type KnitSimulatorOptions, resolveKnitOptions } from './options.ts'
import { createKnitServer } from './server.ts'
import { createKnitStats, type KnitStats } from './stats.ts'
import { Syncs } from './syncs.ts'

export type { Run, SyncType } from './accounts.ts'
export { ATTEMPTS_AT_MS, type Attempt } from './delivery.ts'
export type { KnitFaultKind, KnitFaultSpec } from './faults.ts'
export type { DataType } from './models.ts'
export type { KnitAccountOptions, KnitSimulatorOptions } from './options.ts'
export { signKnit } from './signature.ts'
export type { KnitStats } from './stats.ts'

/** A simulated Knit in front of companies of the simulated world. */
export interface KnitSimulator {
  /** Key that calls use and events are signed with now. */
  readonly apiKey: string
  readonly faults: KnitFaults
  readonly stats: KnitStats
  readonly integrations: readonly string[]
  /** The last 1,000 attempts to deliver an event. */
  readonly attempts: readonly Attempt[]
  /** Events that were neither acknowledged nor given up. */
  readonly open: number
  /** Base URL with `/v1.0`, for the connector, and without. */
  start(): Promise<{ readonly url: string; readonly origin: string }>
  stop(): Promise<void>
  /** Where events go, unless a sync has a destination of its own; null: nowhere, they wait for their next attempt. */
  setWebhookTarget(url: string | null): void
  /** Connects one more customer; tells nobody. Returns the integration's id. */
  connect(account: KnitAccountOptions): string
  /** Sends `app.integration.activate`, with validation errors if there are any. */
  activate(integrationId: string, errors?: readonly string[]): void
  /** Begins a run without a call; null while another one reads. */
  run(integrationId: string, dataType: DataType, syncType: SyncType): Run | null
  /** When the next delta run begins, in ms; null when none is planned. */
  plannedRun(integrationId: string, dataType: DataType): number | null
  /** Signs with a new key from now on; calls are accepted with both until {@link endRotation}. */
  rotateKey(apiKey: string): void
  endRotation(): void
  /** Resolves when no event is being sent. Those that wait for a retry are not waited for. */
  settled(): Promise<void>
}

/** Creates a simulator; nothing runs before start(). Throws CONFIG_INVALID for an option that is out of range. */
export function createKnitSimulator(options: KnitSimulatorOptions): KnitSimulator {
  return new KnitProcess(options)
}

class KnitProcess implements KnitSimulator {
  readonly faults = new KnitFaults()
  readonly stats = createKnitStats()
  readonly #settings: KnitSettings
  readonly #scheduler: Scheduler
  readonly #delivery: KnitDelivery
  readonly #syncs: Syncs
  readonly #accounts = new Map<string, Account>()
  #apiKey: string
  #previousKey: string | null = null
  #server: FastifyInstance | null = null
  #port: number

  constructor(options: KnitSimulatorOptions) {
    const settings = resolveKnitOptions(options)
    this.#settings = settings
    this.#apiKey = settings.apiKey
    this.#port = settings.port
    const { clock, concurrency, timeoutMs } = settings
    this.#scheduler = createScheduler(clock, (error) => {
      this.stats.lastError = classify(error).message
      options.onError?.(error)
    })
    const shared = { clock, scheduler: this.#scheduler, faults: this.faults, stats: this.stats }
    this.#delivery = new KnitDelivery({ ...shared, concurrency, timeoutMs, signingKey: () => this.#apiKey })
    this.#delivery.setTarget(options.webhookTarget ?? null)
    this.#syncs = new Syncs({ ...shared, settings, delivery: this.#delivery })
    for (const account of options.accounts) this.connect(account)
  }

  get apiKey(): string {
    return this.#apiKey
  }

  get integrations(): readonly string[] {
    return [...this.#accounts.keys()]
  }

  get attempts(): readonly Attempt[] {
    return this.#delivery.attempts
  }

  get open(): number {
    return this.#delivery.open
  }

  async start(): Promise<{ readonly url: string; readonly origin: string }> {
    if (this.#server) throw new TidemarkError('INTERNAL', 'the simulator is running already; stop() it first')
    const server = createKnitServer({
      syncs: this.#syncs,
      pageSize: this.#settings.pageSize,
      faults: this.faults,
      stats: this.stats,
      keys: () => (this.#previousKey === null ? [this.#apiKey] : [this.#apiKey, this.#previousKey]),
      account: (id) => this.#accounts.get(id),
    })
    const origin = await server.listen({ host: '127.0.0.1', port: this.#port })
    this.#server = server
    this.#port = Number(new URL(origin).port)
    this.#delivery.start()
    this.#scheduler.start()
    return { url: `${origin}/v1.0`, origin }
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    this.#delivery.stop()
    for (const { jobs } of this.#accounts.values()) for (const job of jobs.values()) job.running = null
    await this.#scheduler.stop()
    await server?.close()
  }

  setWebhookTarget(url: string | null): void {
    this.#delivery.setTarget(url)
  }

  connect({ company, integrationId = company.integrationId, app = company.tool.slug }: KnitAccountOptions): string {
    if (this.#accounts.has(integrationId))
      throw new TidemarkError('CONFIG_INVALID', `integration ${integrationId} is connected already`)
    this.#accounts.set(integrationId, { integrationId, company, app, isActive: true, jobs: new Map() })
    return integrationId
  }

  activate(integrationId: string, errors: readonly string[] = []): void {
    const account = this.#find(integrationId)
    account.isActive = errors.length === 0
    this.#syncs.activate(account, errors)
  }

  run(integrationId: string, dataType: DataType, syncType: SyncType): Run | null {
    return this.#syncs.begin(this.#find(integrationId), dataType, syncType, true)
  }

  plannedRun(integrationId: string, dataType: DataType): number | null {
    return jobOf(this.#find(integrationId), dataType).plannedMs
  }

  rotateKey(apiKey: string): void {
    this.#previousKey = this.#apiKey
    this.#apiKey = apiKey
  }

  endRotation(): void {
    this.#previousKey = null
  }

  settled(): Promise<void> {
    return this.#delivery.settled()
  }

  #find(integrationId: string): Account {
    const account = this.#accounts.get(integrationId)
    if (account) return account
    const known = this.integrations.join(', ') || 'none'
    throw new TidemarkError('RECORD_INVALID', `no integration ${integrationId} in the simulated Knit; it has: ${known}`)
  }
}
