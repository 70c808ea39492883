import { TidemarkError } from '@tidemark/base'

/** Faults of the API's answers. */
export const CALL_FAULTS = ['rate_limited', 'server_error', 'garbage', 'cut'] as const

/** Faults of one event's way to the receiver. */
export const EVENT_FAULTS = ['duplicate', 'held', 'wrong_signature'] as const

/** Faults of a whole run. */
export const RUN_FAULTS = ['reordered', 'sync_failed'] as const

export type KnitFaultKind = (typeof CALL_FAULTS)[number] | (typeof EVENT_FAULTS)[number] | (typeof RUN_FAULTS)[number]

/** What shall go wrong, where and how often. Every matcher that is absent matches all. */
export interface KnitFaultSpec {
  readonly kind: KnitFaultKind
  /** Call faults: name of the call, such as `sync.start`. */
  readonly call?: string
  /** Event faults: the type, such as `record.modified`. */
  readonly eventType?: string
  /** Event faults: only events of this record. */
  readonly recordId?: string
  /** Event and run faults: `ats_jobs` or `ats_applications`. */
  readonly dataType?: string
  /** How often it happens; default 1. */
  readonly count?: number
  /** `held`: how many attempts get lost on their way, so that a later one of the retry schedule is the first to arrive; default 1. */
  readonly attempts?: number
  /** `sync_failed`: how many events the run emits before; default half of them. */
  readonly after?: number
  /** `rate_limited`: value of `Retry-After`; default 1. */
  readonly retryAfterSeconds?: number
}

/** Where something is about to happen that a fault may spoil. */
export interface KnitFaultPoint {
  readonly call?: string
  readonly eventType?: string
  readonly recordId?: string | undefined
  readonly dataType?: string
}

const KINDS: readonly string[] = [...CALL_FAULTS, ...EVENT_FAULTS, ...RUN_FAULTS]
const FAULTS_MAX = 1000

/** The faults in force. At most 1,000. */
export class KnitFaults {
  #faults: { readonly spec: KnitFaultSpec; remaining: number }[] = []
  /** Number of times that each kind happened. */
  readonly fired: Partial<Record<KnitFaultKind, number>> = {}

  /** Adds a fault. Throws CONFIG_INVALID for one that cannot happen. */
  add(spec: KnitFaultSpec): void {
    if (!KINDS.includes(spec.kind))
      throw new TidemarkError('CONFIG_INVALID', `there is no fault ${spec.kind}; the kinds are ${KINDS.join(', ')}`)
    if (this.#faults.length >= FAULTS_MAX)
      throw new TidemarkError('CONFIG_INVALID', `there are ${FAULTS_MAX} faults already; clear them first`)
    this.#faults.push({ spec, remaining: spec.count ?? 1 })
  }

  clear(): void {
    this.#faults = []
  }

  /** Uses up and returns the first fault of one of these kinds that matches; undefined when none does. */
  take(kinds: readonly KnitFaultKind[], point: KnitFaultPoint): KnitFaultSpec | undefined {
    const found = this.#faults.find(({ spec }) => kinds.includes(spec.kind) && matches(spec, point))
    if (found === undefined) return undefined
    found.remaining--
    this.fired[found.spec.kind] = (this.fired[found.spec.kind] ?? 0) + 1
    this.#faults = this.#faults.filter(({ remaining }) => remaining > 0)
    return found.spec
  }
}

const matches = (spec: KnitFaultSpec, point: KnitFaultPoint): boolean =>
  (['call', 'eventType', 'recordId', 'dataType'] as const).every(
    (name) => spec[name] === undefined || spec[name] === point[name],
  )
