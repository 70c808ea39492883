import { type Clock, classify, systemClock, TidemarkError } from '@tidemark/base'
import type { FastifyInstance } from 'fastify'
import { Faults } from './faults.ts'
import { Delivery, type DeliveryReport } from './kombo/delivery.ts'
import type { Integration, IntegrationState, QaStatus } from './kombo/integration.ts'
import { Mirror } from './kombo/mirror.ts'
import { createServer } from './kombo/server.ts'
import { Syncs } from './kombo/syncs.ts'
import { Webhooks } from './kombo/webhooks.ts'
import {
  type IntegrationOptions,
  initialIntegrations,
  resolveOptions,
  type SandboxOptions,
  type Settings,
} from './options.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'
import { createStats, type SandboxStats } from './stats.ts'
import type { Company } from './world/company.ts'
import type { Mutation } from './world/types.ts'
import { World } from './world/world.ts'

/** A running company behind a running Kombo. */
export interface Sandbox {
  /** Listens on 127.0.0.1. `url` is Kombo's base URL (with `/v1`), `origin` that of the controls under `/sandbox`. */
  start(): Promise<{ readonly url: string; readonly origin: string }>
  /** Ends the server, all timers and deliveries. The company stays: a later start() goes on with it, on the same port. */
  stop(): Promise<void>
  /** Where webhooks are posted; null: nowhere. */
  setWebhookTarget(url: string | null): void
  readonly apiKey: string
  readonly webhookSecret: string
  /** Ids of all integrations. */
  readonly integrations: readonly string[]
  readonly world: World
  readonly faults: Faults
  readonly clock: Clock
  readonly stats: SandboxStats
  /** The last 1,000 finished webhook deliveries. */
  readonly deliveries: readonly DeliveryReport[]
  /** Connects one more company: `integration-created`, then its first sync. Returns the integration's id. */
  createIntegration(options?: IntegrationOptions): string
  /** Disconnects: `integration-deleted`; from then on reads answer 404. */
  deleteIntegration(integrationId: string): void
  /** Sets state or QA status and sends `integration-state-changed`. An INACTIVE integration refuses reads, only an ACTIVE one is synced. */
  setIntegrationState(
    integrationId: string,
    change: { readonly state?: IntegrationState; readonly qaStatus?: QaStatus },
  ): void
  /** Does a whole sync at this moment: what is pending becomes visible, with `data-changed` and `sync-finished`. */
  syncNow(integrationId: string, type?: 'FULL' | 'DELTA'): void
  /** Lets things happen by themselves at this rate, over all companies. */
  startActivity(actionsPerMinute: number): void
  stopActivity(): void
  /** Resolves when no webhook is being sent. Deliveries that wait for a retry are not waited for. */
  settled(): Promise<void>
}

/** Creates a sandbox; nothing runs before start(). Throws CONFIG_INVALID for an option that is out of range. */
export function createSandbox(options: SandboxOptions = {}): Sandbox {
  return new SandboxProcess(options)
}

class SandboxProcess implements Sandbox {
  readonly apiKey: string
  readonly webhookSecret: string
  readonly world: World
  readonly faults = new Faults()
  readonly clock: Clock
  readonly stats = createStats()
  readonly #options: SandboxOptions
  readonly #settings: Settings
  readonly #scheduler: Scheduler
  readonly #delivery: Delivery
  readonly #webhooks: Webhooks
  readonly #syncs: Syncs
  readonly #integrations = new Map<string, Integration>()
  #server: FastifyInstance | null = null
  #stopped = new AbortController()
  #port: number
  #activity: (() => void) | null = null
  /** True while start() makes up for the time since the founding. */
  #replaying = false
  #started = false

  constructor(options: SandboxOptions) {
    const settings = resolveOptions(options)
    this.#options = options
    this.#settings = settings
    this.#port = settings.port
    this.apiKey = settings.apiKey
    this.webhookSecret = settings.webhookSecret
    this.clock = options.clock ?? systemClock
    const { clock, faults, stats } = this
    this.#scheduler = createScheduler(clock, (error) => this.#onError(error))
    this.#delivery = new Delivery({ clock, stats, secret: settings.webhookSecret, ...settings.webhooks })
    this.#delivery.setTarget(options.webhookTarget ?? null)
    const { debounceMs } = settings.webhooks
    const shared = { clock, faults, scheduler: this.#scheduler }
    this.#webhooks = new Webhooks({ ...shared, delivery: this.#delivery, debounceMs, seed: settings.seed })
    this.#syncs = new Syncs({ ...shared, webhooks: this.#webhooks, settings, stats })
    this.world = new World({
      seed: settings.seed,
      now: () => clock.now(),
      onMutation: (mutation) => this.#onMutation(mutation),
    })
    this.world.actionsPerMinute = settings.actionsPerMinute
    const foundedAtMs = options.foundedAtMs ?? clock.now()
    for (const spec of initialIntegrations(options)) this.#connect(spec, foundedAtMs)
  }

  get integrations(): readonly string[] {
    return [...this.#integrations.keys()]
  }

  get deliveries(): readonly DeliveryReport[] {
    return this.#delivery.reports
  }

  async start(): Promise<{ readonly url: string; readonly origin: string }> {
    if (this.#server)
      throw new TidemarkError('INTERNAL', 'the sandbox is running already; stop() it before starting it again')
    this.#stopped = new AbortController()
    const server = createServer({
      clock: this.clock,
      settings: this.#settings,
      faults: this.faults,
      stats: this.stats,
      syncs: this.#syncs,
      integration: (id) => this.#integrations.get(id),
      deleteIntegration: (id) => this.deleteIntegration(id),
      stopped: this.#stopped.signal,
    })
    const origin = await server.listen({ host: '127.0.0.1', port: this.#port })
    this.#server = server
    this.#port = Number(new URL(origin).port)
    this.#delivery.start()
    if (!this.#started) this.#replay()
    this.#started = true
    for (const integration of this.#integrations.values()) {
      const wasThere = !integration.firstSyncDone && this.#settings.initial === 'synced'
      if (wasThere) this.#syncs.assumeSynced(integration)
      this.#syncs.arm(integration)
    }
    this.#scheduler.start()
    if (this.world.actionsPerMinute > 0) this.startActivity(this.world.actionsPerMinute)
    return { url: `${origin}/v1`, origin }
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    this.#activity = null
    this.#stopped.abort()
    this.#delivery.stop()
    this.#webhooks.reset()
    await this.#scheduler.stop()
    await server?.close()
  }

  setWebhookTarget(url: string | null): void {
    this.#delivery.setTarget(url)
  }

  createIntegration(options: IntegrationOptions = {}): string {
    const tool = options.tool ?? options.id?.split(':', 1)[0] ?? 'greenhouse'
    const integration = this.#connect({ jobs: 20, candidates: 100, applications: 200, ...options, tool })
    this.#webhooks.integrationCreated(integration)
    if (this.#server) this.#syncs.trigger(integration, 'FULL')
    return integration.id
  }

  deleteIntegration(integrationId: string): void {
    const integration = this.#find(integrationId)
    integration.cancelSchedule()
    integration.running = null
    this.#integrations.delete(integrationId)
    this.world.dissolve(integrationId)
    this.#webhooks.integrationDeleted(integration)
  }

  setIntegrationState(
    integrationId: string,
    change: { readonly state?: IntegrationState; readonly qaStatus?: QaStatus },
  ): void {
    const integration = this.#find(integrationId)
    const before = integration.state
    integration.state = change.state ?? integration.state
    integration.qaStatus = change.qaStatus ?? integration.qaStatus
    if (integration.state !== before) this.#syncs.onState(integration)
    this.#webhooks.integrationStateChanged(integration)
  }

  syncNow(integrationId: string, type: 'FULL' | 'DELTA' = 'FULL'): void {
    this.#syncs.now(this.#find(integrationId), type)
  }

  startActivity(actionsPerMinute: number): void {
    this.stopActivity()
    this.world.actionsPerMinute = actionsPerMinute
    const tick = (): void => {
      const nextMs = this.world.tick(this.clock.now())
      this.#activity = nextMs === null ? null : this.#scheduler.at(nextMs, tick)
    }
    tick()
  }

  stopActivity(): void {
    this.#activity?.()
    this.#activity = null
    this.world.actionsPerMinute = 0
  }

  settled(): Promise<void> {
    return this.#delivery.settled()
  }

  #connect(spec: IntegrationOptions & { readonly tool: string }, foundedAtMs = this.clock.now()): Integration {
    const sizes = { jobs: spec.jobs ?? 0, candidates: spec.candidates ?? 0, applications: spec.applications ?? 0 }
    const company = this.world.found(sizes, spec.tool, spec.id, foundedAtMs)
    const integration = this.#integrationOf(company, spec.organization)
    this.#integrations.set(integration.id, integration)
    return integration
  }

  #integrationOf(company: Company, organization: string | undefined): Integration {
    const { deletion, coverage } = this.#settings
    const number = this.#integrations.size + 1
    return {
      id: company.integrationId,
      company,
      mirror: new Mirror(company, { ...deletion, absentModels: coverage === 'tool' ? company.tool.absentModels : [] }),
      endUser: {
        organization_name: organization ?? `${company.tool.label} Customer ${number}`,
        creator_email: `admin@customer-${number}.example.com`,
        origin_id: String(number),
      },
      createdAtMs: this.clock.now(),
      state: 'ACTIVE',
      qaStatus: 'PENDING',
      setupStatus: 'FINAL_SYNC_PENDING',
      firstSyncDone: false,
      running: null,
      lastFullMs: this.clock.now(),
      lastSyncMs: this.clock.now(),
      cancelSchedule: () => undefined,
    }
  }

  #replay(): void {
    const { foundedAtMs } = this.#options
    if (foundedAtMs === undefined) return
    this.#replaying = true
    this.world.replay(foundedAtMs, this.clock.now())
    this.#replaying = false
  }

  #onMutation(mutation: Mutation): void {
    if (this.#replaying) return
    this.stats.mutations++
    const integration = this.#integrations.get(mutation.integrationId)
    if (integration) this.#syncs.onMutation(integration, mutation)
    this.#options.onMutation?.(mutation)
  }

  #find(integrationId: string): Integration {
    const integration = this.#integrations.get(integrationId)
    if (integration) return integration
    const known = this.integrations.join(', ') || 'none'
    throw new TidemarkError('RECORD_INVALID', `no integration ${integrationId} in the sandbox; it has: ${known}`)
  }

  #onError(error: unknown): void {
    this.stats.lastError = classify(error).message
    this.#options.onError?.(error)
  }
}
