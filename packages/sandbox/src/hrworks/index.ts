import type { FastifyInstance } from 'fastify'
import { Faults } from '../faults.ts'
import type { Mutation } from '../world/types.ts'
import { Api } from './api.ts'
import { type JobMode, JobQueue } from './jobQueue.ts'
import { type HrworksSimulatorOptions, type Resource, resolveOptions } from './options.ts'
import { Registry } from './registry.ts'
import { createServer, type Stats } from './server.ts'
import { TokenIssuer } from './tokens.ts'
import { type SignatureFault, type WebhookStats, Webhooks } from './webhooks.ts'
import { Documents } from './writes.ts'

export { applicantUuid, personUuid, postUuid, shortId } from './ids.ts'
export type { JobMode } from './jobQueue.ts'
export type { HrworksSimulatorOptions, Resource } from './options.ts'
export { type SignatureFault, signWebhook } from './webhooks.ts'

/** A tenant of HR WORKS on 127.0.0.1, over a company of the simulated world. */
export interface HrworksSimulator {
  /** Listens; the answer is the base URL with `/v2`. */
  start(): Promise<string>
  /** Ends the server and all deliveries. What is registered stays. */
  stop(): Promise<void>
  /** Is to be told of every mutation of the company: they become webhooks. */
  observe(mutation: Mutation): void
  readonly accessKey: string
  readonly secretAccessKey: string
  /** HTTP faults by resource (`posts`, `applicants`, …, `authentication`), webhook faults by action. */
  readonly faults: Faults
  readonly stats: Readonly<Stats> & { readonly tokens: number; readonly webhooks: Readonly<WebhookStats> }
  /** What the key pair may not use; to be changed at any time. */
  readonly forbidden: Set<Resource>
  /** Refuses every token that was issued until now. */
  revokeTokens(): void
  /** What becomes of the next writes. */
  setJobMode(mode: JobMode): void
  /** Spoils the proof of the next webhooks. */
  spoilWebhooks(kind: SignatureFault, count?: number): void
  /** Resolves when no webhook is being sent; those that wait for a retry are not waited for. */
  settled(): Promise<void>
}

/** Creates a simulator; nothing runs before start(). */
export function createHrworksSimulator(options: HrworksSimulatorOptions): HrworksSimulator {
  const settings = resolveOptions(options)
  const { company, accessKey, secretAccessKey } = settings
  const faults = new Faults()
  const forbidden = new Set<Resource>()
  const jobs = new JobQueue(settings.pendingPolls)
  const registry = new Registry(accessKey)
  const tokens = new TokenIssuer(settings.clock, settings.tokenLifeMs, secretAccessKey)
  const stats: Stats = { requests: 0, errors: 0, rateLimited: 0 }
  let url = ''
  const baseUrl = (): string => url
  const api = new Api({ company, jobs, registry, documents: new Documents(), baseUrl })
  const webhooks = new Webhooks({ settings, faults, registry, baseUrl, nextJobId: () => jobs.nextId() })
  let server: FastifyInstance | null = null
  let stopped = new AbortController()
  return {
    ...{ accessKey, secretAccessKey, faults, forbidden },
    async start() {
      stopped = new AbortController()
      webhooks.start()
      server = createServer({ settings, api, faults, tokens, forbidden, stats, stopped: stopped.signal })
      url = `${await server.listen({ host: '127.0.0.1', port: settings.port })}/v2`
      return url
    },
    async stop() {
      stopped.abort()
      webhooks.stop()
      await server?.close()
      server = null
    },
    observe: (mutation) => {
      if (mutation.integrationId === company.integrationId) webhooks.observe(company, mutation)
    },
    get stats() {
      return { ...stats, tokens: tokens.issued, webhooks: { ...webhooks.stats } }
    },
    revokeTokens: () => tokens.revoke(),
    setJobMode: (mode) => {
      jobs.mode = mode
    },
    spoilWebhooks: (kind, count = 1) => webhooks.spoil(kind, count),
    settled: () => webhooks.settled(),
  }
}
