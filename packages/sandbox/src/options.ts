import { type Clock, TidemarkError } from '@tidemark/base'
import type { WorldOptions } from './world/world.ts'

/** How soon Kombo hears of what happens in an ATS: `all` pushes every announced mutation, `tool` only what the simulated tool pushes, `none` leaves all to syncs. */
export type UpstreamMode = 'all' | 'tool' | 'none'

export interface IntegrationOptions {
  /** Slug of the tool; the known ones are greenhouse, personio, traffit, lever, recruitee and workable. Default greenhouse. */
  readonly tool?: string
  /** `<tool>:<opaque>`; default derived from the seed. */
  readonly id?: string
  readonly jobs?: number
  readonly candidates?: number
  readonly applications?: number
  readonly organization?: string
}

export interface SandboxOptions {
  /** The same seed, times and calls give the same company. Default 1. */
  readonly seed?: number
  /** Default the machine's clock. */
  readonly clock?: Clock
  /**
   * When the initial companies were founded, in ms; default now. If it is in the past, start() first makes happen what would have happened
   * since at `actionsPerMinute` (up to 250,000 acts), so that a second process with the same seed, sizes, rate and founding time finds the
   * company of the first, grown older. Explicit mutations are not part of that.
   */
  readonly foundedAtMs?: number
  /** Port on 127.0.0.1; 0, the default, takes a free one. A later start of the same sandbox takes the same port again. */
  readonly port?: number
  /** Integrations at the start: a number (tools in turn, sizes split 50/30/20 %) or one entry each. Default 3. */
  readonly integrations?: number | readonly IntegrationOptions[]
  /** Totals over all integrations whose own sizes are not given. Defaults: 300 jobs, 3,000 candidates, 8,000 applications. */
  readonly sizes?: { readonly jobs?: number; readonly candidates?: number; readonly applications?: number }
  /** `synced` (default): the first sync of the initial integrations lies in the past. `connecting`: it begins with start(). */
  readonly initial?: 'synced' | 'connecting'
  /** Default `sandbox-api-key`. */
  readonly apiKey?: string
  /** Default `sandbox-webhook-secret`. */
  readonly webhookSecret?: string
  readonly webhookTarget?: string
  /** Acts per minute in real (or simulated) time from start(). Default 0: nothing happens by itself. */
  readonly actionsPerMinute?: number
  readonly upstream?: UpstreamMode
  /** From the event in the ATS to Kombo's copy, in ms. Default 0. */
  readonly upstreamDelayMs?: number
  readonly sync?: {
    /** Duration of a first sync. Default 5,000 ms. */
    readonly firstMs?: number
    /** Duration of a later sync. Default 1,000 ms. */
    readonly durationMs?: number
    /** Pause between full syncs; null: never. Default 10 h for tools with delta syncs, else 3 h. */
    readonly fullIntervalMs?: number | null
    /** Pause between delta syncs; null: never. Default 3 h. */
    readonly deltaIntervalMs?: number | null
  }
  /** Deleted rows are blanked after 14 days and removed after 28, unless told otherwise. In ms. */
  readonly deletion?: { readonly blankAfterMs?: number; readonly removeAfterMs?: number }
  readonly webhooks?: {
    /** Window of the leading-edge debounce of `data-changed`, per integration. Default 30,000 ms; 0 sends every change on its own. */
    readonly debounceMs?: number
    /** Further attempts after a failed one. Default 3. */
    readonly retries?: number
    /** Wait before the first retry; doubles each time. Default 1,000 ms. */
    readonly retryMs?: number
    /** Time given to the receiver. Default 10,000 ms of real time. */
    readonly timeoutMs?: number
  }
  /** Requests per API key and window; null: no limit. Default 300 per 60 s. */
  readonly rateLimit?: { readonly limit: number; readonly windowMs?: number } | null
  readonly listing?: {
    /** Default `stable`. See the README for `numbered`. */
    readonly ordering?: 'stable' | 'numbered'
    /** Whether a row that changed exactly at `updated_after` is listed. Default `inclusive`. */
    readonly updatedAfter?: 'inclusive' | 'exclusive'
    /** Largest `page_size`. Default 250, as the contract says; more is for measurements. */
    readonly pageSizeMax?: number
  }
  /** How reads are refused before the first sync ended: HTTP 409 with a code (default), or the older 503 with only a message. */
  readonly setupErrors?: 'conflict' | 'legacy-503'
  /** `full` (default): every tool delivers everything. `tool`: models and fields that the tool lacks are missing, as documented for TRAFFIT. */
  readonly coverage?: 'full' | 'tool'
  /** Told of tasks that failed inside the sandbox; default: kept in `stats.lastError`. */
  readonly onError?: (error: unknown) => void
  /** Told of every mutation of the world. */
  readonly onMutation?: WorldOptions['onMutation']
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const SHARES = [0.5, 0.3, 0.2]
const TOOLS_IN_TURN = ['greenhouse', 'personio', 'traffit', 'lever', 'recruitee', 'workable']
const DEFAULT_SIZES = { jobs: 300, candidates: 3000, applications: 8000 }

/** Sizes of the initial integrations, with defaults and shares resolved. */
export function initialIntegrations(
  options: SandboxOptions,
): (IntegrationOptions & Required<Pick<IntegrationOptions, 'jobs' | 'candidates' | 'applications' | 'tool'>>)[] {
  const wanted = options.integrations ?? 3
  const count = typeof wanted === 'number' ? wanted : wanted.length
  nonNegative('integrations', count)
  const totals = { ...DEFAULT_SIZES, ...options.sizes }
  const specs: readonly IntegrationOptions[] =
    typeof wanted === 'number' ? Array.from({ length: count }, () => ({})) : wanted
  return specs.map((spec, index) => {
    const size = (name: keyof typeof totals): number =>
      nonNegative(name, spec[name] ?? shareOf(totals[name], index, count))
    const tool = spec.tool ?? spec.id?.split(':', 1)[0] ?? (TOOLS_IN_TURN[index % TOOLS_IN_TURN.length] as string)
    return { ...spec, tool, jobs: size('jobs'), candidates: size('candidates'), applications: size('applications') }
  })
}

/** The part of a total that one integration gets; the first gets the rounding. With three: 50, 30 and 20 %. */
function shareOf(total: number, index: number, count: number): number {
  const share = (i: number): number => Math.floor(total * (count === 3 ? (SHARES[i] as number) : 1 / count))
  if (index > 0) return share(index)
  let rest = total
  for (let i = 1; i < count; i++) rest -= share(i)
  return rest
}

/** All settings with their defaults; throws CONFIG_INVALID naming the option that is out of range. */
export function resolveOptions(options: SandboxOptions) {
  const webhooks = options.webhooks ?? {}
  const sync = options.sync ?? {}
  const rate = options.rateLimit === undefined ? { limit: 300 } : options.rateLimit
  return {
    seed: options.seed ?? 1,
    port: nonNegative('port', options.port ?? 0),
    apiKey: options.apiKey ?? 'sandbox-api-key',
    webhookSecret: options.webhookSecret ?? 'sandbox-webhook-secret',
    actionsPerMinute: nonNegative('actionsPerMinute', options.actionsPerMinute ?? 0),
    upstream: options.upstream ?? 'all',
    upstreamDelayMs: nonNegative('upstreamDelayMs', options.upstreamDelayMs ?? 0),
    initial: options.initial ?? 'synced',
    coverage: options.coverage ?? 'full',
    setupErrors: options.setupErrors ?? 'conflict',
    sync: {
      firstMs: nonNegative('sync.firstMs', sync.firstMs ?? 5000),
      durationMs: nonNegative('sync.durationMs', sync.durationMs ?? 1000),
      fullIntervalMs: sync.fullIntervalMs,
      deltaIntervalMs: sync.deltaIntervalMs === undefined ? 3 * HOUR_MS : sync.deltaIntervalMs,
    },
    deletion: {
      blankAfterMs: nonNegative('deletion.blankAfterMs', options.deletion?.blankAfterMs ?? 14 * DAY_MS),
      removeAfterMs: nonNegative('deletion.removeAfterMs', options.deletion?.removeAfterMs ?? 28 * DAY_MS),
    },
    webhooks: {
      debounceMs: nonNegative('webhooks.debounceMs', webhooks.debounceMs ?? 30_000),
      retries: nonNegative('webhooks.retries', webhooks.retries ?? 3),
      retryMs: nonNegative('webhooks.retryMs', webhooks.retryMs ?? 1000),
      timeoutMs: nonNegative('webhooks.timeoutMs', webhooks.timeoutMs ?? 10_000),
    },
    rateLimit: rate && { limit: nonNegative('rateLimit.limit', rate.limit), windowMs: rate.windowMs ?? 60_000 },
    listing: {
      ordering: options.listing?.ordering ?? 'stable',
      updatedAfter: options.listing?.updatedAfter ?? 'inclusive',
      pageSizeMax: nonNegative('listing.pageSizeMax', options.listing?.pageSizeMax ?? 250),
    },
  } as const
}

export type Settings = ReturnType<typeof resolveOptions>

/** Pause between full syncs of a tool, in ms; null: none. */
export function fullIntervalMs(settings: Settings, hasDelta: boolean): number | null {
  const { fullIntervalMs: given } = settings.sync
  return given === undefined ? (hasDelta ? 10 : 3) * HOUR_MS : given
}

function nonNegative(name: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value
  throw new TidemarkError('CONFIG_INVALID', `sandbox option ${name} is ${value}; give a number of 0 or more`)
}
