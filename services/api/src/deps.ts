import type { Clock } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import type { JsonObject } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { ApiKey } from './auth.ts'

/** Sync state of one listing of an integration. Times in ms. */
export interface StreamStatus {
  readonly stream: string
  /** Models this listing is the origin of. */
  readonly models: readonly string[]
  /** As on ats.syncs, or `RUNNING`, or null before the first run. */
  readonly state: string | null
  /** Every provider change up to this time is in the log. */
  readonly watermark: number | null
  /** Whatever else the source tells: progress, last error, next run. */
  readonly details?: JsonObject
}

export interface IntegrationStatus {
  readonly integrationId: string
  readonly source: string
  readonly state: string | null
  readonly streams: readonly StreamStatus[]
}

/** One run of a sync, as ats.syncs tells it. Times in ms. */
export interface SyncRun {
  readonly syncId: string
  readonly integrationId: string
  readonly kind: 'full' | 'delta'
  readonly state: string
  readonly startedAt: number
  readonly finishedAt: number | null
  readonly observed: number
  readonly failed: number
  readonly message: string | null
}

/** What the other services tell about themselves. */
export interface StatusProviders {
  /** Integrations of all sources, also those without a record yet. */
  integrations(): readonly IntegrationStatus[]
  /** Status of each service by its name, with its lag. */
  services(): Readonly<Record<string, object>> | Promise<Readonly<Record<string, object>>>
  /** Why the process cannot serve yet; empty when it can. */
  notReady(): readonly string[]
  /** Runs of one sync, newest first; empty when nothing is known of it. */
  syncRuns(syncId: string): readonly SyncRun[]
  /** Id of a sync of this kind that is queued or running for the integration. */
  queuedSync(integrationId: string, type: 'FULL' | 'DELTA'): string | null
}

export interface ApiDeps {
  readonly store: SqlStore
  readonly log: EventLog
  readonly codec: Codec
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  /** A new unique id; of commands. */
  readonly newId: () => string
  /** PostgreSQL schema of the projection that is read. */
  readonly schema: string
  readonly status: StatusProviders
  /** Without any, only programs on this machine are served. */
  readonly apiKeys: readonly ApiKey[]
  readonly options?: ApiOptions
}

export interface ApiOptions {
  /** Clients of /v1/changes at the same time. Default 100. */
  readonly feedClientsMax?: number
  /** Between heartbeats on /v1/changes. Default 15 s. */
  readonly heartbeatMs?: number
  /** A feed client that takes nothing for this long is disconnected; it can resume. Default 5 min. */
  readonly stallMs?: number
}
