import type { Clock } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { Attachments, Passthrough } from '@tidemark/connector'
import type { EventLog } from '@tidemark/log'
import type { ModelCount } from '@tidemark/model'
import type { JsonObject } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { ApiKey } from './auth.ts'
import type { RateLimit } from './rateLimit.ts'

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

/** How far an integration has come: its data can be read once it is READY, and ever after. The others are Kombo's error codes. */
export type SetupState = 'READY' | 'SETUP_SYNC_PENDING' | 'SETUP_INCOMPLETE' | 'QA_FAILED' | 'INACTIVE'

/** How the provider is reached now: INVALID credentials and what was made INACTIVE stop the syncs, not the reads. */
export type ConnectionState = 'ACTIVE' | 'INVALID' | 'INACTIVE'

export interface IntegrationStatus {
  readonly integrationId: string
  readonly source: string
  readonly state: string | null
  readonly streams: readonly StreamStatus[]
  /** Absent: READY. Anything else refuses the reads of `/v1/ats`. */
  readonly setup?: SetupState
  /** Absent: ACTIVE. */
  readonly connection?: ConnectionState
  /** Why nothing is fetched by schedule any more; absent while it is. */
  readonly stoppedBecause?: string
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
  /** Why it began: first, schedule, request, webhook, restart, retry. */
  readonly reason?: string | null
  /** By model: what was observed, and what that came to so far. */
  readonly counts?: readonly ModelCount[]
  /** What a complete run did not have, by model. */
  readonly sweeps?: readonly SweepState[]
}

export interface SweepState {
  readonly model: string
  /** PENDING, NOTHING, DELETED, HELD, UNCONFIRMED, SKIPPED, CONFIRMED, DISCARDED. */
  readonly state: string
  /** Records that are gone, or are thought to be. */
  readonly suspects: number | null
  readonly message: string | null
}

/** A mass deletion that waits for a decision. */
export interface HeldSweep {
  readonly integrationId: string
  readonly source: string
  readonly model: string
  readonly syncId: string
  readonly atMs: number
  readonly suspects: number
  readonly records: number
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
  /** Mass deletions that wait for a decision. */
  heldSweeps?(): readonly HeldSweep[]
  /** Id of a sync of this kind that is queued or running for the integration. */
  queuedSync(integrationId: string, type: 'FULL' | 'DELTA'): string | null
}

/** A source of this process, as far as its provider is asked for what somebody waits for. */
export interface LiveSource {
  /** Name of its connector: the tool of integrations whose ids do not say it. */
  readonly connector: string
  /** undefined: the connector sends nothing on. */
  readonly passthrough: Passthrough | undefined
  /** undefined, or absent: the provider cannot be asked for files. */
  readonly attachments?: Attachments | undefined
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
  /** Sources of this process by name, as {@link IntegrationStatus.source} says it. Absent: none. */
  readonly sources?: ReadonlyMap<string, LiveSource>
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
  /** Requests per key, or per address without keys; false: no limit. Default 300 in 60 s with keys, none without. */
  readonly rateLimit?: RateLimit | false
  /** Time for what a provider is asked while somebody waits, with all that is waited for. Default 100 s. */
  readonly providerMs?: number
  /** Address under which this API is reached, http or https, for what it names of its own. Default: where each request was sent to. */
  readonly publicUrl?: string
}
