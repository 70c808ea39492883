import { TidemarkError } from '@tidemark/base'

/**
 * The `updated_after` parameter for "everything since `ms`". Kombo does not say whether the comparison includes the instant itself,
 * so it is moved back by one millisecond: a row that changed in the very millisecond in which the last fetch began is delivered again
 * rather than missed.
 */
export function updatedAfterParam(ms: number): string {
  return new Date(ms - 1).toISOString()
}

export interface CursorLimits {
  /** Pages of one listing. At 250 rows a page the default admits ten million rows. */
  readonly pagesMax: number
  /** Pages without a row in a row that still name a next page. */
  readonly emptyPagesMax: number
}

export const CURSOR_LIMITS: CursorLimits = { pagesMax: 40_000, emptyPagesMax: 100 }

/**
 * Follows the opaque cursors of one listing to its end and refuses one that would never end: a cursor seen before, more pages than
 * a listing can have, or page after page without rows.
 */
export class CursorGuard {
  readonly #seen = new Set<string>()
  readonly #limits: CursorLimits
  #pages = 0
  #emptyPages = 0

  constructor(limits: CursorLimits = CURSOR_LIMITS) {
    this.#limits = limits
  }

  /** Takes note of a page. Throws PROVIDER_ANSWER_INVALID when the listing cannot be followed further. */
  advance(route: string, rows: number, next: string | null): void {
    this.#pages++
    this.#emptyPages = rows === 0 ? this.#emptyPages + 1 : 0
    if (next === null) return
    if (this.#seen.has(next)) throw endless(route, `repeated a cursor after ${this.#pages} pages`)
    if (this.#pages >= this.#limits.pagesMax) throw endless(route, `has more than ${this.#limits.pagesMax} pages`)
    if (this.#emptyPages >= this.#limits.emptyPagesMax)
      throw endless(route, `named a next page on ${this.#emptyPages} pages without rows`)
    this.#seen.add(next)
  }
}

function endless(route: string, what: string): TidemarkError {
  return new TidemarkError(
    'PROVIDER_ANSWER_INVALID',
    `${route}: the listing ${what}, so it was given up. It is tried again from its start; report it to Kombo if it repeats.`,
  )
}
