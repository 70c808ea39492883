import { TidemarkError } from '@tidemark/base'

/** Faults of the API's answers. */
export const HTTP_FAULTS = [
  'rate_limited',
  'server_error',
  'html_bad_gateway',
  'empty_body',
  'cut_before_headers',
  'cut_mid_body',
  'slow',
  'malformed_json',
  'unmappable_record',
] as const

/** Faults of webhook deliveries. */
export const WEBHOOK_FAULTS = ['duplicate_webhook', 'lost_webhook', 'late_webhook'] as const

/** Faults of syncs between Kombo and the ATS. */
export const SYNC_FAULTS = ['sync_failed'] as const

export const SYNC_FAILURES = ['FAILED', 'PARTIALLY_FAILED', 'TIMED_OUT', 'CANCELLED', 'AUTHENTICATION_FAILED'] as const

export type FaultKind = (typeof HTTP_FAULTS)[number] | (typeof WEBHOOK_FAULTS)[number] | (typeof SYNC_FAULTS)[number]
export type SyncFailure = (typeof SYNC_FAILURES)[number]

/** What shall go wrong, where and how often. Every matcher that is absent matches all. */
export interface FaultSpec {
  readonly kind: FaultKind
  /** HTTP faults: last part of the path, such as `candidates` or `force-sync`. Webhook faults: the type, such as `data-changed`. */
  readonly endpoint?: string
  readonly integrationId?: string
  /** HTTP faults: only this page of a listing, counted from 1. */
  readonly page?: number
  /** How often it happens; default 1. */
  readonly count?: number
  /** `rate_limited`: seconds in `ratelimit-reset`; default 1. */
  readonly resetSeconds?: number
  /** `slow`, `late_webhook`: ms of the sandbox's clock; default 1,000. */
  readonly delayMs?: number
  /** `unmappable_record`: field to break and what to put there; default a `changed_at` in the year 0. */
  readonly field?: string
  readonly value?: unknown
  /** `unmappable_record`: position in the page; default 0. */
  readonly index?: number
  /** `sync_failed`: the state with which the sync ends; default FAILED. */
  readonly syncState?: SyncFailure
}

export interface Fault extends FaultSpec {
  readonly id: string
  /** How often it will still happen. */
  readonly remaining: number
}

/** Where something is about to happen that a fault may spoil. */
export interface FaultPoint {
  readonly endpoint: string
  readonly integrationId: string | null
  readonly page?: number
}

const FAULTS_MAX = 1000

/** The faults in force. At most 1,000. */
export class Faults {
  #faults: (FaultSpec & { readonly id: string; remaining: number })[] = []
  #next = 1
  /** Number of times that each kind happened. */
  readonly fired: Partial<Record<FaultKind, number>> = {}

  /** Adds a fault; returns its id. Throws CONFIG_INVALID for a fault that cannot happen. */
  add(spec: FaultSpec): string {
    check(spec)
    if (this.#faults.length >= FAULTS_MAX) {
      throw new TidemarkError('CONFIG_INVALID', `there are ${FAULTS_MAX} faults already; clear them first`)
    }
    const id = `fault-${this.#next++}`
    this.#faults.push({ ...spec, id, remaining: spec.count ?? 1 })
    return id
  }

  /** Removes one fault, or all. */
  clear(id?: string): void {
    this.#faults = id === undefined ? [] : this.#faults.filter((fault) => fault.id !== id)
  }

  list(): readonly Fault[] {
    return this.#faults.map((fault) => ({ ...fault }))
  }

  /** Uses up and returns the faults of the given kinds that match: every `slow`, and the first of all others. */
  take(kinds: readonly FaultKind[], point: FaultPoint): FaultSpec[] {
    const taken: FaultSpec[] = []
    let decided = false
    for (const fault of this.#faults) {
      if (!kinds.includes(fault.kind) || !matches(fault, point)) continue
      if (fault.kind !== 'slow') {
        if (decided) continue
        decided = true
      }
      fault.remaining--
      this.fired[fault.kind] = (this.fired[fault.kind] ?? 0) + 1
      taken.push(fault)
    }
    if (taken.length > 0) this.#faults = this.#faults.filter((fault) => fault.remaining > 0)
    return taken
  }
}

function matches(fault: FaultSpec, point: FaultPoint): boolean {
  if (fault.endpoint !== undefined && fault.endpoint !== point.endpoint) return false
  if (fault.integrationId !== undefined && fault.integrationId !== point.integrationId) return false
  return fault.page === undefined || fault.page === point.page
}

const TYPES: Readonly<Record<string, string>> = {
  endpoint: 'string',
  integrationId: 'string',
  page: 'number',
  count: 'number',
  resetSeconds: 'number',
  delayMs: 'number',
  field: 'string',
  index: 'number',
  syncState: 'string',
}

function check(spec: FaultSpec): void {
  const kinds: readonly string[] = [...HTTP_FAULTS, ...WEBHOOK_FAULTS, ...SYNC_FAULTS]
  if (typeof spec !== 'object' || spec === null || !kinds.includes(spec.kind)) {
    throw new TidemarkError('CONFIG_INVALID', `a fault needs a kind, one of: ${kinds.join(', ')}`)
  }
  for (const [key, value] of Object.entries(spec)) {
    if (key === 'kind' || key === 'value' || value === undefined) continue
    const type = TYPES[key]
    if (type === undefined)
      throw new TidemarkError(
        'CONFIG_INVALID',
        `a fault has no property ${key}; it has: kind, value, ${Object.keys(TYPES).join(', ')}`,
      )
    const valid = typeof value === type && (type !== 'number' || (Number.isFinite(value) && (value as number) >= 0))
    if (!valid)
      throw new TidemarkError(
        'CONFIG_INVALID',
        `property ${key} of a fault must be a ${type === 'number' ? 'number of 0 or more' : type}`,
      )
  }
  if (spec.syncState !== undefined && !SYNC_FAILURES.includes(spec.syncState)) {
    throw new TidemarkError('CONFIG_INVALID', `syncState of a fault is one of: ${SYNC_FAILURES.join(', ')}`)
  }
}
