import type { Cause } from '@tidemark/model'
import type { Company } from './company.ts'
import { iso } from './history.ts'
import type { KeyedChange, Ledger } from './ledger.ts'
import type { Provider } from './provider.ts'
import { STREAMS } from './traits.ts'
import { isOfStream } from './webhooks.ts'

export interface JudgeDeps {
  readonly provider: Provider
  readonly companies: readonly Company[]
  readonly ledger: Ledger
  /** When the event of a webhook happened, by its id. */
  readonly happenedAt: ReadonlyMap<string, number>
}

/** Whether a change ends a record. */
export function isDeletion({ change: { before, after } }: KeyedChange): boolean {
  return before?.remote_deleted_at === null && after !== null && after.remote_deleted_at !== null
}

/**
 * Judges every deletion by what was true at the provider when its evidence was gathered:
 *
 * - a provider's event: at the time of which it tells, however late it arrived;
 * - a flag, a point read, or the complete list of a parent's children: at the moment of that answer;
 * - absence from a complete listing: the record did not exist throughout that listing.
 *
 * Where a complete run is the evidence, and for the point reads that follow from it, all of that run's listings ended well.
 */
export class Deletions {
  /** How many there were, by evidence. */
  readonly counts = new Map<string, number>()
  total = 0
  wrong = 0
  /** Those by runs that were killed before they could say that they had ended well. */
  unsaid = 0
  readonly #deps: JudgeDeps
  #judged = 0

  constructor(deps: JudgeDeps) {
    this.#deps = deps
  }

  /** Judges what the ledger has got since the last time; returns what is wrong. */
  judge(): string[] {
    const { changes } = this.#deps.ledger
    const problems: string[] = []
    for (; this.#judged < changes.length; this.#judged++) {
      const change = changes[this.#judged] as KeyedChange
      if (!isDeletion(change)) continue
      this.total++
      const kind = change.change.cause.evidence?.kind ?? 'none'
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
      const problem = this.#problemOf(change)
      if (problem === null) continue
      this.wrong++
      problems.push(`${describeChange(change)}: ${problem}; it ${this.#company(change).history.describe(change.key)}`)
    }
    return problems
  }

  #company({ change }: KeyedChange): Company {
    return this.#deps.companies.find(({ integration }) => integration === change.integration_id) as Company
  }

  #problemOf(deleted: KeyedChange): string | null {
    const { cause, changed_at: atMs } = deleted.change
    const { evidence } = cause
    if (evidence === null) return 'no evidence'
    const isOfChildList = evidence.detail?.startsWith('not in the complete list of') === true
    if (evidence.kind === 'absence' && !isOfChildList) return this.#problemOfSweep(deleted)
    if (evidence.kind === 'point_read') return this.#problemOfRun(deleted, cause) ?? this.#problemAt(deleted, atMs)
    // What no run has brought came with a webhook.
    if (cause.sync_id !== null) return this.#problemAt(deleted, atMs)
    const happenedMs = this.#deps.happenedAt.get(cause.event_id ?? '')
    return happenedMs === undefined ? 'by a webhook that nobody sent' : this.#problemAt(deleted, happenedMs)
  }

  #problemAt(deleted: KeyedChange, atMs: number): string | null {
    const existed = this.#company(deleted).history.existedAt(deleted.key, atMs)
    return existed ? `it existed at ${iso(atMs)}, when the evidence was gathered` : null
  }

  #problemOfSweep(deleted: KeyedChange): string | null {
    const { cause, integration_id: integrationId } = deleted.change
    const window = this.#windowOf(deleted)
    if (window === undefined) return `run ${cause.sync_id} of ${integrationId} never ended a listing of it`
    const { provider } = this.#deps
    const listing = provider.listingSince(this.#company(deleted), streamOf(deleted.model), window.fromMs)
    if (listing === undefined || listing.endedAtMs === null) return 'the listing was not complete'
    const { startedAtMs, endedAtMs } = listing
    if (this.#company(deleted).history.existedThroughout(deleted.key, startedAtMs, endedAtMs))
      return `it existed throughout the listing, ${iso(startedAtMs)} to ${iso(endedAtMs)}`
    return this.#problemOfRun(deleted, cause)
  }

  /** Children go with their parents, by the listing of those. */
  #windowOf({ model, change }: KeyedChange) {
    const stream = streamOf(model)
    return this.#deps.ledger.windowOf(change.integration_id, change.cause.sync_id ?? '', stream, change.changed_at)
  }

  #problemOfRun({ change }: KeyedChange, { sync_id: syncId }: Cause): string | null {
    const { ledger } = this.#deps
    const outcomes = ledger.outcomesOf(change.integration_id, syncId ?? '')
    if (outcomes.includes('SUCCEEDED')) return null
    const wasComplete = ledger.wasComplete(change.integration_id, syncId ?? '')
    if (wasComplete) this.unsaid++
    return wasComplete ? null : `run ${syncId} ended ${outcomes.join(', ') || 'never'}`
  }
}

const streamOf = (model: string): string => STREAMS.find((stream) => isOfStream(stream, model)) as string

/** A change in one line, with how it is known. */
export function describeChange({ key, change }: KeyedChange): string {
  const { op, version, changed_at: atMs, cause } = change
  const { kind, detail } = cause.evidence ?? { kind: 'nothing', detail: null }
  return `${key} ${op} in version ${version} at ${iso(atMs)} by ${kind} (${detail}, ${cause.kind} ${cause.sync_id ?? cause.event_id})`
}
