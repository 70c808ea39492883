/** What an index orders. `seq` belongs to the index. */
export interface Indexed {
  /** Position in the order of changes; 0 while not indexed. */
  seq: number
  /** Time of the last change that counts for `updated_after`, in ms. */
  effectiveMs: number
}

/**
 * The rows of one endpoint in the order in which they last changed. Touching a row appends it and leaves its old entry behind, so a
 * touch costs O(1) and a page O(page size), however many rows there are; stale entries are swept out once they outnumber the live ones.
 */
export class ChangeIndex<R extends Indexed> {
  #rows: R[] = []
  #seqs: number[] = []
  #times: number[] = []
  #seq = 0
  #live = 0

  /** Number of rows. */
  get size(): number {
    return this.#live
  }

  /** Puts a row at the end of the order. `nowMs` must not be below that of the touch before; smaller values are raised. */
  touch(row: R, nowMs: number): void {
    const lastMs = this.#times.at(-1) ?? 0
    if (row.seq === 0) this.#live++
    row.seq = ++this.#seq
    row.effectiveMs = Math.max(nowMs, lastMs)
    this.#rows.push(row)
    this.#seqs.push(row.seq)
    this.#times.push(row.effectiveMs)
    if (this.#rows.length > 2 * this.#live + 1024) this.#compact()
  }

  /** Takes a row out. */
  drop(row: R): void {
    if (row.seq === 0) return
    row.seq = 0
    this.#live--
  }

  /** Calls `visit` for the rows after a position in order until it returns false. */
  scan(afterSeq: number, visit: (row: R) => boolean): void {
    for (let i = firstAbove(this.#seqs, afterSeq); i < this.#rows.length; i++) {
      const row = this.#rows[i] as R
      if (row.seq !== this.#seqs[i]) continue
      if (!visit(row)) return
    }
  }

  /** The position before the first row that changed at or after a time. */
  before(timeMs: number): number {
    const at = firstAbove(this.#times, timeMs - 0.5)
    return at < this.#seqs.length ? (this.#seqs[at] as number) - 1 : this.#seq
  }

  #compact(): void {
    let to = 0
    for (let i = 0; i < this.#rows.length; i++) {
      const row = this.#rows[i] as R
      if (row.seq !== this.#seqs[i]) continue
      this.#rows[to] = row
      this.#seqs[to] = row.seq
      this.#times[to] = this.#times[i] as number
      to++
    }
    this.#rows.length = to
    this.#seqs.length = to
    this.#times.length = to
  }
}

/** Index of the first element above a value in an ascending array. */
function firstAbove(values: readonly number[], value: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle] as number) > value) high = middle
    else low = middle + 1
  }
  return low
}
