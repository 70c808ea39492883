import type { Clock, ErrorCode, Random, TidemarkError } from '@tidemark/base'
import type { ModelName, RecordInput } from '@tidemark/model'
import type { Attachments } from './attachments.ts'
import type { Passthrough } from './passthrough.ts'

/** A provider's listing that can be fetched page by page, such as `candidates`. */
export type StreamName = string

/** One record, mapped but not yet normalized. */
export interface MappedRecord {
  readonly model: ModelName
  /** Composite remote key (`remoteKey(...)` of the model package); a child's begins with its parent's. */
  readonly remoteKey: string
  readonly kind: 'record' | 'deleted' | 'merged' | 'anonymized'
  /**
   * When the provider says this state of the record is from, in ms (`parseTime`). An observation with a smaller one than the record already has is
   * dropped, whatever it holds: give it only if the provider raises it with every change and never lowers it; in doubt null.
   */
  readonly remoteVersion: number | null
  /** Public id of the survivor, for `merged`. */
  readonly mergedIntoId?: string
  /** Provider values by field name of the model; absent means not delivered. `id` is set by the connector where the provider's is kept, else absent. */
  readonly record: RecordInput
  /** How a deletion is known, for `deleted`. */
  readonly evidence?: { readonly kind: 'provider_event' | 'provider_flag' | 'point_read'; readonly detail: string }
}

/** The complete list of a parent's children of one model, as one page showed it. */
export interface ChildList {
  readonly parentModel: ModelName
  readonly parentRemoteKey: string
  readonly model: ModelName
  /** Remote keys of the children, in the order of the records. */
  readonly children: readonly string[]
}

/** A provider record that could not be mapped. It never blocks its neighbours. */
export interface MappingFailure {
  readonly error: TidemarkError
  readonly model: ModelName | null
  /** Remote key when it could be read. */
  readonly remoteKey: string | null
  /** The provider's record as JSON text, at most 64 KiB. */
  readonly json: string
}

/** What one provider page or record-bearing webhook maps to, in the order in which it must be appended: parents, children, child lists. */
export interface Mapped {
  readonly records: readonly MappedRecord[]
  readonly childLists: readonly ChildList[]
  readonly failures: readonly MappingFailure[]
  /** Models of which the page may hold records that it does not show: a run with such a page says nothing about what is gone. */
  readonly incompleteModels?: readonly ModelName[]
}

export interface Page {
  /** Method and URL without secrets. */
  readonly route: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Exactly as received; of a failure without our secrets, if it repeats them. */
  readonly body: Uint8Array
  readonly requestedAtMs: number
  readonly receivedAtMs: number
  readonly mapped: Mapped
  /** Total number of records of the listing, where the provider says so; for progress only. */
  readonly total: number | null
  /**
   * Why the provider does not offer this stream to this integration, when the answer says so; such a page is the only one of its
   * fetch and maps to nothing. An absent stream is reported, it is neither a failure nor a watermark.
   */
  readonly notOffered: string | null
}

export interface FetchOptions {
  readonly integrationId: string
  readonly stream: StreamName
  /**
   * What changed since is enough; absent: everything. A provider that cannot tell delivers everything: what is equal makes no change, and nothing is
   * taken for gone but in fetches without it.
   */
  readonly updatedAfterMs?: number
  readonly signal: AbortSignal
  /** Part of a full pass: leaves some of the provider's request quota to fetches that are not. */
  readonly isBulk?: boolean
  /** Called before each wait and retry, for status and logs. */
  readonly onRetry?:
    | ((event: {
        readonly code: ErrorCode
        readonly message: string
        readonly waitMs: number
        readonly attempt: number
      }) => void)
    | undefined
}

/** Asks for single records of one model. */
export interface PointReadOptions extends Pick<FetchOptions, 'integrationId' | 'signal' | 'onRetry'> {
  readonly model: ModelName
  /** Remote keys, as in {@link MappedRecord}; any number, asked for in batches. */
  readonly remoteKeys: readonly string[]
}

/** The answer to a part of a point read. */
export interface PointRead extends Page {
  /**
   * What was asked for and does not exist, as the provider says (404, 410, or not in a complete answer for these very keys). `record`
   * holds the `id` where the provider's is kept.
   */
  readonly absent: readonly Pick<MappedRecord, 'remoteKey' | 'record'>[]
}

/** Reading records by their key, which proves whether they exist. */
export interface PointReads {
  readonly models: ReadonlySet<ModelName>
  /**
   * Answers in the order of the keys. Throws as `fetch` does; a key that an answer does not settle is neither observed nor absent. So is one that may
   * not be read: its answer says so (`notOffered`), and the others go on.
   */
  read(options: PointReadOptions): AsyncIterable<PointRead>
}

/** What the credentials of a source allow of one model. */
export interface AccessCheck {
  readonly model: ModelName
  readonly ok: boolean
  /** The provider's name of the permission that is missing; null when none is, or it does not say. */
  readonly missing: string | null
  /** What was found and what to do about it; null when all is well. */
  readonly message: string | null
}

/** What a verified webhook asks for. */
export interface WebhookReading {
  /** The provider's event id, for deduplication; null when it has none. */
  readonly eventId: string | null
  /** The provider's event name. */
  readonly eventName: string
  readonly integrationId: string | null
  readonly effects: readonly WebhookEffect[]
}

/** A run in which a provider sends records by itself, an event each. */
export interface PushedRun {
  readonly id: string
  readonly stream: StreamName
  /** Everything that there is of the stream is sent: what a run that ended well did not have is gone. */
  readonly isComplete: boolean
}

export type WebhookEffect =
  /**
   * These streams of the integration have changed. `unknownModels`: names in the event that no stream is the origin of; they are counted and logged.
   * Usually [].
   */
  | { readonly kind: 'fetch'; readonly streams: readonly StreamName[]; readonly unknownModels: readonly string[] }
  /**
   * These records may have changed: the event is a hint, they are read one by one ({@link Source.pointReads} must read their model). What
   * is found is observed; what is not there is deleted, with the event as evidence.
   */
  | {
      readonly kind: 'read'
      readonly model: ModelName
      readonly remoteKeys: readonly string[]
      /** What the event says of the records beyond "look": they are blanked (if there), or went into the record of this remote key (if not there). */
      readonly meaning?: { readonly kind: 'anonymized' } | { readonly kind: 'merged'; readonly intoRemoteKey: string }
    }
  /** The event itself carries records. */
  | { readonly kind: 'records'; readonly mapped: Mapped; readonly run?: PushedRun }
  /** A run in which the provider sent records by itself is over. */
  | {
      readonly kind: 'pushed_run'
      readonly run: PushedRun
      readonly outcome: 'complete' | 'failed'
      /** Events with records that the run sent and saw acknowledged; null when its counters do not agree: it then says nothing about what is gone. */
      readonly events: number | null
      /** When the provider began to read; null when it does not say. */
      readonly startedAtMs: number | null
      readonly message: string | null
    }
  /** The life of an integration at the provider. */
  | {
      readonly kind: 'integration'
      readonly event: 'created' | 'deleted' | 'state_changed'
      readonly state: string | null
    }
  /** A provider's own sync ended. */
  | { readonly kind: 'provider_sync'; readonly state: string; readonly startedAtMs: number | null }
  /** Understood as a webhook of the provider, of a type that means nothing to us: kept and counted. */
  | { readonly kind: 'ignored'; readonly reason: string }

export interface WebhookRequest {
  /** Names in lower case; without those of {@link Connector.secretHeaders} once stored. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Empty once stored: it may hold secrets. */
  readonly query: Readonly<Record<string, string | undefined>>
  /** Exactly as received. */
  readonly rawBody: Uint8Array
}

export interface ConnectorDeps {
  readonly clock: Clock
  readonly random: Random
}

/** Having the provider send its webhooks here. Both may be repeated: what is as it should be is left alone. */
export interface Subscriptions {
  /**
   * Makes the provider send every event that the connector knows to `url`, the public address of `POST /webhooks/<source>`; what proves them is
   * added by the connector. Returns one sentence on what was done. Throws as `fetch` does.
   */
  ensure(options: SubscriptionOptions): Promise<string>
  /** Removes what sends to `url`. Returns one sentence on what was done. */
  remove(options: SubscriptionOptions): Promise<string>
}

export interface SubscriptionOptions extends Pick<FetchOptions, 'signal' | 'onRetry'> {
  readonly url: string
}

/** See {@link Source.pagingOf}. */
export type Paging = 'stable' | 'shifting' | 'partial'

/** One configured source: a provider account with its integrations. */
export interface Source {
  /** Integrations known from the configuration. */
  readonly integrations: readonly string[]
  /** True when more integrations may appear by webhook. */
  readonly acceptsNewIntegrations: boolean
  readonly streams: readonly StreamName[]
  /**
   * True when the provider sends records by itself. A fetch then asks it for a complete run and is one page that says so (`notOffered`); what
   * has changed needs no asking.
   */
  readonly pushes?: boolean
  /** Models each stream is the origin of. */
  readonly modelsOf: (stream: StreamName) => readonly ModelName[]
  /** Models whose absence from a complete listing of the stream means that they are gone; absent: all of {@link modelsOf}. */
  readonly sweptModelsOf?: (stream: StreamName) => readonly ModelName[]
  /**
   * What a complete listing says about what it lacks. `stable`: a record that exists throughout is on one of the pages, whatever changes meanwhile.
   * `shifting`: it may be missed (page numbers, or cursors that may hide them), so what a listing of several pages lacks is a suspicion, to be
   * confirmed before it is deleted. `partial`: a record may exist and never be listed, so what any listing lacks is a suspicion.
   */
  readonly pagingOf: (stream: StreamName) => Paging
  /** null: the provider cannot be asked for single records; suspicions are then confirmed by a second complete run. */
  readonly pointReads: PointReads | null
  /** Absent: webhooks are set up at the provider by hand. */
  readonly subscriptions?: Subscriptions
  /** Absent: no requests of others are sent to the provider's own API. */
  readonly passthrough?: Passthrough
  /** Absent: the provider cannot be asked for files. */
  readonly attachments?: Attachments
  /** Constant-time check over the raw bytes, before anything is parsed. */
  verifyWebhook(request: WebhookRequest): boolean
  /** Integration id if the (verified) body says one, without throwing; for keying ats.raw. */
  integrationOf(request: WebhookRequest): string | null
  /** Pure; throws TidemarkError WEBHOOK_UNMAPPABLE with a reason. */
  readWebhook(request: WebhookRequest): WebhookReading
  /**
   * Pages of a stream in order. Ends normally only after the last page; every failure throws a TidemarkError after its bounded retries
   * (PROVIDER_NOT_READY, PROVIDER_AUTHENTICATION, PROVIDER_REFUSED …). Rate limits are waited for. An abort rejects too (with
   * anything): a fetch that was cut short never looks complete.
   */
  fetch(options: FetchOptions): AsyncIterable<Page>
  /**
   * Asks the provider for as little as possible of each model, and says which may be read. Throws where that cannot be told: the provider is
   * away (PROVIDER_UNAVAILABLE), or refuses the credentials altogether (PROVIDER_AUTHENTICATION).
   */
  checkAccess(options: Pick<FetchOptions, 'integrationId' | 'signal' | 'onRetry'>): Promise<readonly AccessCheck[]>
  close(): Promise<void>
}

export interface Connector {
  /** Name as in the configuration. */
  readonly name: string
  readonly version: string
  /** Header names (lower case) that hold secrets and must not reach ats.raw. */
  readonly secretHeaders: readonly string[]
  /** Names of options that hold secrets. They belong sealed or in the environment, and appear in no message, page or log line. */
  readonly secretOptions: readonly string[]
  /** Parses a source's own options; throws CONFIG_INVALID naming the key, and no value. */
  parseOptions(options: Readonly<Record<string, unknown>>): unknown
  create(options: unknown, deps: ConnectorDeps): Source
}
