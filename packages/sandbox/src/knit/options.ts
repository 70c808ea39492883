import { type Clock, systemClock, TidemarkError } from '@tidemark/base'
import type { Company } from '../world/company.ts'

/** One connected customer: a company of the world behind a Knit integration. */
export interface KnitAccountOptions {
  readonly company: Company
  /** Default the company's own id. */
  readonly integrationId?: string
  /** Slug of the connected tool; default the company's. */
  readonly app?: string
}

export type Frequency = 'standard' | 'medium' | 'high'

export interface KnitSimulatorOptions {
  /** Default the machine's clock. */
  readonly clock?: Clock
  readonly accounts: readonly KnitAccountOptions[]
  /** Authorizes calls and signs events. Default `knit-api-key`. */
  readonly apiKey?: string
  /** Where events go unless a sync has a destination of its own. */
  readonly webhookTarget?: string
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number
  /** Whether events carry `triggeredAt`, which only the live API was seen to send. Default true. */
  readonly triggeredAt?: boolean
  /** Whether `record.deleted` leaves the ids in `eventData` empty, as Knit's samples do. Default true. */
  readonly emptyDeletedIds?: boolean
  /** How long a run reads before it emits, in ms. Default 0: it emits before its start is answered. */
  readonly runMs?: number
  /** Pause between heartbeats of a run that reads. Default 60,000 ms. */
  readonly heartbeatMs?: number
  /** Pause between delta runs. Knit publishes none; default 24, 12 and 6 h. */
  readonly periods?: Partial<Readonly<Record<Frequency, number>>>
  /** Requests to the receiver at a time. Default 4: order is not kept. */
  readonly concurrency?: number
  /** Time given to the receiver, in ms of real time. Default 10,000. */
  readonly timeoutMs?: number
  /** Records on a page of the on-demand listings. Default 50. */
  readonly pageSize?: number
  /** Told of tasks that failed inside the simulator; default: kept in `stats.lastError`. */
  readonly onError?: (error: unknown) => void
}

const HOUR_MS = 3_600_000

/** All settings with their defaults; throws CONFIG_INVALID naming the option that is out of range. */
export function resolveKnitOptions(options: KnitSimulatorOptions) {
  return {
    clock: options.clock ?? systemClock,
    apiKey: options.apiKey ?? 'knit-api-key',
    port: atLeast('port', 0, options.port ?? 0),
    triggeredAt: options.triggeredAt ?? true,
    emptyDeletedIds: options.emptyDeletedIds ?? true,
    runMs: atLeast('runMs', 0, options.runMs ?? 0),
    heartbeatMs: atLeast('heartbeatMs', 1, options.heartbeatMs ?? 60_000),
    periods: { standard: 24 * HOUR_MS, medium: 12 * HOUR_MS, high: 6 * HOUR_MS, ...options.periods },
    concurrency: atLeast('concurrency', 1, options.concurrency ?? 4),
    timeoutMs: atLeast('timeoutMs', 1, options.timeoutMs ?? 10_000),
    pageSize: atLeast('pageSize', 1, options.pageSize ?? 50),
  }
}

export type KnitSettings = ReturnType<typeof resolveKnitOptions>

function atLeast(name: string, min: number, value: number): number {
  if (Number.isFinite(value) && value >= min) return value
  throw new TidemarkError('CONFIG_INVALID', `${name}: expected a number of at least ${min}, got ${value}`)
}
