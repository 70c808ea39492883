import { type Clock, systemClock } from '@tidemark/base'
import type { Company } from '../world/company.ts'

/** Parts of the API that a key pair may be allowed to use. */
export const RESOURCES = [
  'persons',
  'master-data',
  'organization-units',
  'posts',
  'applicants',
  'job-applications',
  'webhooks',
] as const

export type Resource = (typeof RESOURCES)[number]

export interface HrworksSimulatorOptions {
  /** The tenant: a company of a world. Tell the simulator of its mutations with `observe`. */
  readonly company: Company
  /** Default the machine's clock. */
  readonly clock?: Clock
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number
  /** Default `sandbox-access-key`. */
  readonly accessKey?: string
  /** Default `sandbox-secret-access-key`. */
  readonly secretAccessKey?: string
  /** Life of a token. Default 15 minutes. */
  readonly tokenLifeMs?: number
  /** Requests of the key pair and minute; null: no limit. Default 60, which is inferred. */
  readonly requestsPerMinute?: number | null
  /** How often a job is pending before it is finished. Default 1. */
  readonly pendingPolls?: number
  /**
   * Further tries of a webhook after a failed one, in ms after the one before. Default 30 s, 5 min, 30 min, which is
   * inferred.
   */
  readonly webhookRetriesMs?: readonly number[]
  /** Time given to the receiver of a webhook. Default 10,000 ms of real time. */
  readonly webhookTimeoutMs?: number
}

export type Settings = Required<HrworksSimulatorOptions>

/** All settings with their defaults. */
export const resolveOptions = (options: HrworksSimulatorOptions): Settings => ({
  company: options.company,
  clock: options.clock ?? systemClock,
  port: options.port ?? 0,
  accessKey: options.accessKey ?? 'sandbox-access-key',
  secretAccessKey: options.secretAccessKey ?? 'sandbox-secret-access-key',
  tokenLifeMs: options.tokenLifeMs ?? 900_000,
  requestsPerMinute: options.requestsPerMinute === undefined ? 60 : options.requestsPerMinute,
  pendingPolls: options.pendingPolls ?? 1,
  webhookRetriesMs: options.webhookRetriesMs ?? [30_000, 300_000, 1_800_000],
  webhookTimeoutMs: options.webhookTimeoutMs ?? 10_000,
})
