import { type Raw, type RecordKey, rootKey } from '@tidemark/model'
import { describeChange } from '../sync/deletions.ts'
import { iso } from '../sync/history.ts'
import type { KeyedChange, Ledger } from '../sync/ledger.ts'
import { partsOf } from '../sync/tables.ts'
import type { Existence } from './existence.ts'
import type { RawReader } from './rawReader.ts'

interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/**
 * Judges every change that ends a record, of one integration, by what the company had when its evidence was gathered. Such a deletion is wrong
 * when the record existed throughout:
 *
 * - from the request to the answer that showed it deleted, absent, or not in its parent's list;
 * - at the time of the event that says so, however late that arrived;
 * - throughout the complete run that did not have it.
 *
 * A child of which nothing is known goes by its parent.
 */
export class Deletions {
  /** How many there were, by evidence. */
  readonly counts = new Map<string, number>()
  total = 0
  wrong = 0
  readonly #existence: Existence
  readonly #ledger: Ledger
  readonly #raws: RawReader
  readonly #integration: string
  #judged = 0

  constructor(integration: string, existence: Existence, ledger: Ledger, raws: RawReader) {
    this.#integration = integration
    this.#existence = existence
    this.#ledger = ledger
    this.#raws = raws
  }

  /** Judges what the ledger has got since the last time; returns what is wrong. */
  async judge(): Promise<string[]> {
    const { changes } = this.#ledger
    const problems: string[] = []
    for (; this.#judged < changes.length; this.#judged++) {
      const change = changes[this.#judged] as KeyedChange
      if (change.change.integration_id !== this.#integration || !isEnd(change)) continue
      this.total++
      const kind = change.change.cause.evidence?.kind ?? change.change.op
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
      const problem = await this.#problemOf(change)
      if (problem === null) continue
      this.wrong++
      problems.push(`${describeChange(change)}: ${problem}; it ${this.#existence.history.describe(change.key)}`)
    }
    return problems
  }

  async #problemOf(deleted: KeyedChange): Promise<string | null> {
    const { cause, op } = deleted.change
    const { evidence } = cause
    // What is merged names the record that it went into, and the event that says so; no other deletion goes without evidence.
    if (evidence === null && op !== 'merged') return 'no evidence'
    const span = await this.#spanOf(deleted)
    if (span === null) return 'nobody knows when its evidence was gathered'
    const key = this.#judgedBy(deleted.key)
    if (!this.#existence.history.existedThroughout(key, span.fromMs, span.toMs)) return null
    return `${key} existed throughout ${iso(span.fromMs)} to ${iso(span.toMs)}`
  }

  #judgedBy(key: RecordKey): RecordKey {
    return this.#existence.models.has(partsOf(key).model) ? key : rootKey(key)
  }

  async #spanOf({ key, change }: KeyedChange): Promise<Span | null> {
    const { cause, integration_id: integration, changed_at: atMs } = change
    if (cause.raw !== null) return spanOf(await this.#raws.read(cause.raw))
    const { model } = partsOf(rootKey(key))
    const window = this.#ledger.windowOf(integration, cause.sync_id ?? '', model, atMs)
    return window ? { fromMs: Math.min(window.fromMs, this.#beganAt(cause.sync_id)), toMs: window.toMs } : null
  }

  /** When the provider began to read: its events may arrive much later. */
  #beganAt(syncId: string | null): number {
    const ends = this.#ledger.events.filter(
      (event) =>
        event.event === 'stream_finished' && event.sync_id === syncId && event.integration_id === this.#integration,
    )
    return Math.min(...ends.map(({ watermark }) => watermark ?? Number.POSITIVE_INFINITY))
  }
}

/** A change after which the record does not exist any more. */
const isEnd = ({ change: { before, after } }: KeyedChange): boolean =>
  before?.remote_deleted_at === null && after !== null && after.remote_deleted_at !== null

/** When a provider looked at what it then told. */
function spanOf({ kind, requested_at: requestedMs, received_at: receivedMs, body }: Raw): Span {
  if (kind === 'page') return { fromMs: requestedMs ?? receivedMs, toMs: receivedMs }
  const { triggeredAt } = JSON.parse(Buffer.from(body).toString()) as { readonly triggeredAt?: string }
  const atMs = triggeredAt === undefined ? receivedMs : Number(triggeredAt)
  return { fromMs: atMs, toMs: atMs }
}
