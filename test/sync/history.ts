import type { RecordKey } from '@tidemark/model'

interface Span {
  readonly from: number
  to: number | null
}

/** What is true of the provider's records, and since when: by record key, children included. */
export class History {
  readonly #spans = new Map<RecordKey, Span[]>()
  readonly #changedAt = new Map<RecordKey, number>()

  /** The record exists from this time on. */
  begin(key: RecordKey, atMs: number): void {
    this.changed(key, atMs)
    const spans = this.#spans.get(key) ?? []
    this.#spans.set(key, spans)
    if (spans.at(-1)?.to !== null || spans.length === 0) spans.push({ from: atMs, to: null })
  }

  /** The record does not exist any more. */
  end(key: RecordKey, atMs: number): void {
    this.changed(key, atMs)
    const last = this.#spans.get(key)?.at(-1)
    if (last && last.to === null) last.to = atMs
  }

  /** Something about the record, or about how it is shown, is different from now on. */
  changed(key: RecordKey, atMs: number): void {
    this.#changedAt.set(key, atMs)
  }

  changedSince(key: RecordKey, atMs: number): boolean {
    return (this.#changedAt.get(key) ?? Number.NEGATIVE_INFINITY) >= atMs
  }

  existedAt(key: RecordKey, atMs: number): boolean {
    return this.existedThroughout(key, atMs, atMs)
  }

  /** True when it existed without interruption between two times, both included. */
  existedThroughout(key: RecordKey, fromMs: number, toMs: number): boolean {
    return (this.#spans.get(key) ?? []).some(({ from, to }) => from <= fromMs && (to === null || to > toMs))
  }

  exists(key: RecordKey): boolean {
    return this.#spans.get(key)?.at(-1)?.to === null
  }

  /** For messages. */
  describe(key: RecordKey): string {
    const spans = (this.#spans.get(key) ?? []).map(({ from, to }) => `${iso(from)} to ${to === null ? 'now' : iso(to)}`)
    return spans.length === 0 ? 'never existed' : `existed ${spans.join(', ')}`
  }
}

export const iso = (ms: number): string => new Date(ms).toISOString()
