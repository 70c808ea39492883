import { TidemarkError } from '@tidemark/base'
import { clippedJson } from '../mapping.ts'

export interface PageGuardOptions {
  /** Name of the provider, for messages. */
  readonly provider: string
  /** Pages of one listing. Default 40,000. */
  readonly pagesMax?: number
  /** Pages without a row, one after the other, that still name a next page. Default 100. */
  readonly emptyPagesMax?: number
}

/** Follows the pages of one listing to its end, and refuses a listing that would never end. One guard for each fetch. */
export class PageGuard {
  readonly #provider: string
  readonly #pagesMax: number
  readonly #emptyPagesMax: number
  readonly #seen = new Set<string | number>()
  #pages = 0
  #emptyPages = 0
  #before = ''

  constructor({ provider, pagesMax = 40_000, emptyPagesMax = 100 }: PageGuardOptions) {
    this.#provider = provider
    this.#pagesMax = pagesMax
    this.#emptyPagesMax = emptyPagesMax
  }

  /** True for the rows of the page before: the provider does not look at which page is asked for. */
  repeats(rows: readonly unknown[]): boolean {
    return rows.length > 0 && markOf(rows) === this.#before
  }

  /**
   * Takes note of a page before it is yielded. `next` is what the next one is asked for with: a cursor, a path, a number; null on the last. Throws
   * PROVIDER_ANSWER_INVALID for the rows of the page before, a `next` that was named before, page after page without rows, and too many pages.
   */
  advance(what: string, rows: readonly unknown[], next: string | number | null): void {
    const isRepeated = this.repeats(rows)
    this.#pages++
    this.#before = markOf(rows)
    this.#emptyPages = rows.length === 0 ? this.#emptyPages + 1 : 0
    if (isRepeated) throw this.#endless(what, `gave the same rows on pages ${this.#pages - 1} and ${this.#pages}`)
    if (next === null) return
    if (this.#seen.has(next)) throw this.#endless(what, `repeated what leads to a next page after ${this.#pages} pages`)
    if (this.#pages >= this.#pagesMax) throw this.#endless(what, `has more than ${this.#pagesMax} pages`)
    if (this.#emptyPages >= this.#emptyPagesMax)
      throw this.#endless(what, `named a next page on ${this.#emptyPages} pages without rows`)
    this.#seen.add(next)
  }

  #endless(what: string, problem: string): TidemarkError {
    return new TidemarkError(
      'PROVIDER_ANSWER_INVALID',
      `${what}: the listing ${problem}, so it was given up. It is tried again from its start; report it to ${this.#provider} if it repeats.`,
    )
  }
}

/** Tells pages apart: no two hold equally many rows with the same first and last one. */
const markOf = (rows: readonly unknown[]): string =>
  rows.length === 0 ? '' : `${rows.length} ${clippedJson(rows[0])} ${clippedJson(rows.at(-1))}`
