/** TRAFFIT's paging, sorting and filtering, which all go through headers. */
import type { JsonObject } from '../world/types.ts'

/** Rows of a listing: rendered only where they are asked for, because a company may have many. */
export interface Listing<T> {
  readonly items: readonly T[]
  readonly render: (item: T) => JsonObject
  /** Fields that the listing can be filtered by. */
  readonly filters: readonly string[]
  /** What more than 100 rows a page come to: 400, or 100 without a word. */
  readonly aboveCap: 'refused' | 'capped'
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>

export interface Rendered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

const CAP = 100
const DEFAULT_SIZE = 20

/** A refusal in one of the shapes that TRAFFIT uses. */
export const refusal = (status: number, message: string): Rendered => ({
  status,
  headers: {},
  body: { code: status, message },
})

/** One page. `shortPage`: this page has one row less than it should, which goes to the next. */
export function listRows<T>(listing: Listing<T>, headers: Headers, shortPage: number | null): Rendered {
  const asked = numberIn(headers, 'x-request-page-size') ?? DEFAULT_SIZE
  if (asked > CAP && listing.aboveCap === 'refused') return refusal(400, `page size ${asked} is above ${CAP}`)
  const size = Math.max(1, Math.min(CAP, asked))
  if (headers['x-response-metadata'] === 'true') return metadata(listing)
  const filter = jsonIn(headers, 'x-request-filter')
  const unknown = Object.keys(filter).find((name) => !listing.filters.includes(name))
  if (unknown !== undefined) return refusal(400, `unknown filter field ${unknown}`)
  const kept = filtered(listing, filter)
  const items = sorted(listing, kept, jsonIn(headers, 'x-request-sort'))
  const number = Math.max(1, numberIn(headers, 'x-request-current-page') ?? 1)
  const isShort = shortPage !== null && items.length > shortPage * size
  const startOf = (page: number): number => (page - 1) * size - (isShort && page > shortPage ? 1 : 0)
  const rows = items.slice(startOf(number), startOf(number + 1)).map(listing.render)
  const totalPages = Math.ceil((items.length + (isShort ? 1 : 0)) / size)
  const info = {
    'x-result-count': rows.length,
    'x-result-current-page': number,
    'x-result-page-size': size,
    'x-result-total-count': items.length,
    'x-result-total-pages': totalPages,
  }
  const texts = Object.entries(info).map(([name, value]) => [name, String(value)])
  return { status: 200, headers: Object.fromEntries(texts), body: rows }
}

function numberIn(headers: Headers, name: string): number | null {
  const value = Number(headers[name])
  return headers[name] !== undefined && Number.isInteger(value) ? value : null
}

function jsonIn(headers: Headers, name: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(String(headers[name] ?? '{}'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    // An unreadable header is as good as none.
    return {}
  }
}

/** The fields of the listing's first row, by name and rough type. */
function metadata<T>({ items, render }: Listing<T>): Rendered {
  const first = items[0]
  const row = first === undefined ? {} : render(first)
  const type = (value: unknown): string =>
    typeof value === 'number' ? 'integer' : typeof value === 'object' ? 'entity' : 'text'
  const fields = Object.entries(row).map(([name, value]) => [
    name,
    { type: type(value), required: false, structure: [] },
  ])
  return { status: 200, headers: {}, body: { fields: Object.fromEntries(fields) } }
}

function filtered<T>({ items, render }: Listing<T>, filter: Record<string, unknown>): readonly T[] {
  const conditions = Object.entries(filter) as [string, { readonly value?: unknown; readonly comparison?: string }][]
  if (conditions.length === 0) return items
  return items.filter((item) => {
    const row = render(item)
    return conditions.every(([name, { value, comparison = '=' }]) => holds(row[name], comparison, value))
  })
}

/** Times and ids compare as what they are; texts by their characters. */
function holds(actual: unknown, comparison: string, value: unknown): boolean {
  if (comparison === 'in') return Array.isArray(value) && value.map(String).includes(String(actual))
  if (comparison === 'like')
    return String(actual).toLowerCase().includes(String(value).replaceAll('%', '').toLowerCase())
  if (comparison === '=' || comparison === '!=') return (String(actual) === String(value)) === (comparison === '=')
  const order =
    typeof actual === 'number'
      ? actual - Number(value)
      : String(actual) < String(value)
        ? -1
        : Number(String(actual) > String(value))
  return comparison === '<=' ? order <= 0 : comparison === '>=' ? order >= 0 : false
}

/** `{"sort_by":"id","direction":"ASC"}`, or `{"id":"ASC"}`. Items come by ascending id already. */
function sorted<T>({ render }: Listing<T>, items: readonly T[], sort: Record<string, unknown>): readonly T[] {
  const [first] = Object.entries(sort)
  const by = typeof sort['sort_by'] === 'string' ? sort['sort_by'] : (first?.[0] ?? 'id')
  const isDown = String(sort['direction'] ?? first?.[1] ?? 'ASC').toUpperCase() === 'DESC'
  if (by === 'id') return isDown ? [...items].reverse() : items
  const keyed = items.map((item) => ({ item, key: String(render(item)[by]) }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)))
  const plain = keyed.map(({ item }) => item)
  return isDown ? plain.reverse() : plain
}
