import { hash32 } from '../world/ids.ts'
import { Refusal } from './errors.ts'

export interface Cursor {
  /** Number of the page that the cursor leads to; the first page is 1. */
  readonly page: number
  /** Position in the change order after which the page begins; unused when pages are numbered. */
  readonly seq: number
  /** Hash of the filters that it was made with. */
  readonly filters: number
}

/** Base64 of JSON, as Kombo's. */
export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify({ page: cursor.page, seq: cursor.seq, filters: cursor.filters })).toString('base64')
}

/** Reads a cursor, or returns undefined when it is none. */
export function decodeCursor(text: string): Cursor | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64').toString('utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    const { page, seq, filters } = value as Record<string, unknown>
    if (!Number.isInteger(page) || !Number.isInteger(seq) || !Number.isInteger(filters)) return undefined
    return { page: page as number, seq: seq as number, filters: filters as number }
  } catch {
    // Not JSON: the caller answers that the cursor is invalid.
    return undefined
  }
}

/** Hash of everything that must stay the same from page to page. */
export function filtersHash(
  endpoint: string,
  integrationId: string,
  query: Readonly<Record<string, string>>,
  numbered: boolean,
): number {
  const ignored = numbered ? ['cursor'] : ['cursor', 'page_size']
  const relevant = Object.entries(query).filter(([key]) => !ignored.includes(key))
  return hash32(JSON.stringify([endpoint, integrationId, relevant.sort(([a], [b]) => (a < b ? -1 : 1))]))
}

/** Reads the cursor of a request; refuses foreign ones and those made with other filters. */
export function requireCursor(text: string, filters: number): Cursor {
  const cursor = decodeCursor(text)
  if (!cursor)
    throw new Refusal('PLATFORM.INPUT_INVALID', 'cursor: not a cursor of this API; pass data.next as it was received')
  if (cursor.filters !== filters) {
    throw new Refusal(
      'PLATFORM.INPUT_INVALID',
      'cursor: made with other filters; send the same filters with every page',
    )
  }
  return cursor
}
