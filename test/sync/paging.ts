import type { Company, Row } from './company.ts'
import type { Listing } from './provider.ts'

export interface PageRequest {
  readonly number: number
  /** Last row of the page before, for cursors. */
  readonly after: Row | null
  readonly size: number
  /** The last complete listing before this one. */
  readonly previous: Listing | undefined
}

export interface PageOfRows {
  readonly rows: readonly Row[]
  readonly isLast: boolean
}

/** What a page shows at this very moment, of rows that have changed since. */
export function pageRows(
  listing: Listing,
  sinceMs: number,
  { number, size, after, previous }: PageRequest,
): PageOfRows {
  const { company, stream, isFull, isShrunk } = listing
  const rows = company.rows(stream).filter(({ touchedAt }) => touchedAt >= sinceMs)
  const { paging, hasPointReads } = company.traits[stream]
  if (paging === 'stable') {
    const sorted = shrunk(rows, isShrunk).sort((a, b) => (a.id < b.id ? -1 : 1))
    const rest = after === null ? sorted : sorted.filter(({ id }) => id > after.id)
    return { rows: rest.slice(0, size), isLast: rest.length <= size }
  }
  const sorted = shrunk(rows, isShrunk).sort((a, b) => b.touchedAt - a.touchedAt || (a.id < b.id ? -1 : 1))
  const page = sorted.slice(number * size, (number + 1) * size)
  const isLast = sorted.length <= (number + 1) * size
  const isProof = isFull && !isShrunk && !hasPointReads
  return { rows: isLast && isProof ? [...page, ...missedBefore(listing, rows, page, previous)] : page, isLast }
}

const shrunk = (rows: readonly Row[], isShrunk: boolean): Row[] =>
  isShrunk ? rows.slice(0, Math.floor(rows.length / 10)) : [...rows]

/**
 * Rows that neither the last complete listing showed nor this one has. Where records cannot be asked for, tidemark takes a second complete run for
 * proof; a provider that misses the same record twice in a row would prove it wrong, and is not what is tested here.
 */
function missedBefore(
  { company, shown }: Listing,
  rows: readonly Row[],
  page: readonly Row[],
  previous: Listing | undefined,
): Row[] {
  if (previous === undefined) return []
  const isMissing = (key: ReturnType<Company['keyOf']>): boolean => !previous.shown.has(key) && !shown.has(key)
  return rows.filter((row) => !page.includes(row) && isMissing(company.keyOf(row)))
}
