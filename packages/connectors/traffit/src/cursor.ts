/** Following TRAFFIT's numbered pages to their end. */
import type { HttpAnswer } from '@tidemark/connector/http'
import { headerNumber, PageGuard } from '@tidemark/connector/http'
import type { Times } from './times.ts'

/** Rows a page; TRAFFIT's maximum. Above it some listings answer 400, others cut without a word. */
export const PAGE_SIZE = 100

export interface CursorLimits {
  /** Pages of one listing. At 100 rows a page the default admits four million rows. */
  readonly pagesMax: number
}

export const CURSOR_LIMITS: CursorLimits = { pagesMax: 40_000 }

/** Rows of a listing in the order in which they were created, so that new ones come at the end. */
export const sortHeader = (direction: 'ASC' | 'DESC' = 'ASC'): string => JSON.stringify({ sort_by: 'id', direction })

/** How far the tenant's clock may be behind ours. */
const CLOCK_MARGIN_MS = 120_000

/**
 * Where "since `ms`" begins. Times are compared as the tenant writes them, in whole seconds and without zone, so it is earlier: by what clocks may
 * differ, and by the hour that a zone's clock may go back. Rows that are listed again for it change nothing.
 */
export const sinceFilterStart = (ms: number, { foldMs }: Times): number => ms - CLOCK_MARGIN_MS - foldMs

/** The filter "since `ms`" on a time. */
export const sinceFilter = (field: 'created_at' | 'updated_at', ms: number, times: Times): string =>
  JSON.stringify({ [field]: { value: times.toText(sinceFilterStart(ms, times)), comparison: '>=' } })

/** What the headers of an answer say about its listing; null where they are silent. */
export interface PageInfo {
  readonly totalPages: number | null
  readonly totalCount: number | null
  readonly pageSize: number | null
  /** True when any of the headers is there: an answer without them is not part of a paged listing. */
  readonly isPaged: boolean
}

/** Reads the `X-Result-*` headers. */
export function pageInfo({ headers }: Pick<HttpAnswer, 'headers'>): PageInfo {
  const number = (name: string): number | null => headerNumber(headers[`x-result-${name}`]) ?? null
  const isPaged = Object.keys(headers).some((name) => name.startsWith('x-result-'))
  return {
    totalPages: number('total-pages'),
    totalCount: number('total-count'),
    pageSize: number('page-size'),
    isPaged,
  }
}

/** What to do after a page. `repeated`: an answer that ignores the page asked for gave the same rows again, which do not count. */
export type Advance = 'more' | 'end' | 'repeated'

/** Decides after each page whether there is another, and refuses a listing that would never end. */
export class PageFollower {
  readonly #guard: PageGuard
  #pages = 0

  constructor({ pagesMax }: CursorLimits = CURSOR_LIMITS) {
    this.#guard = new PageGuard({ provider: 'TRAFFIT', pagesMax, emptyPagesMax: pagesMax })
  }

  /**
   * Takes note of a page. The total of pages decides where there is one, because pages in between can be short; only without it a page that is not
   * full is the last. Throws PROVIDER_ANSWER_INVALID for a listing that repeats itself or has too many pages.
   */
  advance(what: string, rows: readonly unknown[], info: PageInfo): Advance {
    if (!info.isPaged && this.#guard.repeats(rows)) return 'repeated'
    this.#pages++
    const isLast =
      info.totalPages === null ? rows.length < (info.pageSize ?? PAGE_SIZE) : this.#pages >= info.totalPages
    this.#guard.advance(what, rows, isLast ? null : this.#pages + 1)
    return isLast ? 'end' : 'more'
  }
}
