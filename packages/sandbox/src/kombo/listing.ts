import { encodeCursor, filtersHash, requireCursor } from './cursor.ts'
import type { Endpoint, Predicate } from './endpoints.ts'
import type { Mirror, Row } from './mirror.ts'
import { boolean, list, pageSize, timestamp } from './params.ts'

export interface ListingOptions {
  /**
   * `stable`: by change time, then by order of change, and the cursor carries the position: a row that exists throughout is
   * never skipped; one that changes meanwhile comes again. `numbered`: the cursor carries a page number, so that rows
   * may be skipped or repeated while they change.
   */
  readonly ordering: 'stable' | 'numbered'
  readonly updatedAfter: 'inclusive' | 'exclusive'
  readonly pageSizeMax: number
}

export interface ListingRequest {
  readonly endpoint: Endpoint
  readonly integrationId: string
  readonly mirror: Mirror
  readonly query: Readonly<Record<string, string>>
  /** Fields that the tool does not deliver: a filter on one of them lets nothing through. */
  readonly absentFields: readonly string[]
}

export interface ListingPage {
  readonly rows: readonly Row[]
  readonly next: string | null
}

/** One page of a listing; throws a Refusal for parameters that the contract does not allow. */
export function listPage(request: ListingRequest, options: ListingOptions): ListingPage {
  const { endpoint, integrationId, query } = request
  const numbered = options.ordering === 'numbered'
  const size = pageSize(query['page_size'], options.pageSizeMax)
  const filters = filtersHash(endpoint.name, integrationId, query, numbered)
  const cursor = query['cursor'] === undefined ? undefined : requireCursor(query['cursor'], filters)
  const accepts = predicateOf(request)
  const page = cursor?.page ?? 1
  const skip = numbered ? (page - 1) * size : 0
  const fromSeq = startOf(request, options)
  const afterSeq = numbered || !cursor ? fromSeq : Math.max(fromSeq, cursor.seq)
  const { rows, more } = collect(request, accepts, afterSeq, skip, size)
  const last = rows.at(-1)
  const next = more && last ? encodeCursor({ page: page + 1, seq: numbered ? 0 : last.seq, filters }) : null
  return { rows, next }
}

/** Position where `updated_after` begins. */
function startOf({ endpoint, mirror, query }: ListingRequest, options: ListingOptions): number {
  const after = query['updated_after']
  if (after === undefined) return 0
  const ms = timestamp('updated_after', after)
  return mirror.index(endpoint.model).before(options.updatedAfter === 'exclusive' ? ms + 1 : ms)
}

/** Collects matching rows after a position, and looks one row further to see whether there are more. */
function collect(
  { endpoint, mirror, query }: ListingRequest,
  accepts: Predicate,
  afterSeq: number,
  skip: number,
  size: number,
): { readonly rows: Row[]; readonly more: boolean } {
  const rows: Row[] = []
  let skipped = 0
  let more = false
  const visit = (row: Row): boolean => {
    if (!accepts(row)) return true
    if (skipped < skip) {
      skipped++
      return true
    }
    more = rows.length === size
    if (!more) rows.push(row)
    return !more
  }
  if (query['ids'] === undefined) {
    mirror.index(endpoint.model).scan(afterSeq, visit)
    return { rows, more }
  }
  const named = [...new Set(list(query['ids']))].map((id) => mirror.row(endpoint.model, id))
  const inOrder = named.filter((row) => row !== undefined && row.seq > afterSeq) as Row[]
  inOrder.sort((a, b) => a.seq - b.seq).every(visit)
  return { rows, more }
}

/** All filters of a request, combined with AND. */
function predicateOf({ endpoint, mirror, query, absentFields }: ListingRequest): Predicate {
  const all: Predicate[] = []
  if (!boolean('include_deleted', query['include_deleted'])) all.push((row) => row.deletedAtMs === null)
  const ignoreUnsupported = boolean('ignore_unsupported_filters', query['ignore_unsupported_filters'])
  if (query['remote_ids'] !== undefined) {
    const wanted = new Set(list(query['remote_ids']))
    all.push((row) => wanted.has(row.rec.remoteId))
  }
  for (const [name, filter] of Object.entries(endpoint.filters)) {
    const value = query[name]
    if (value === undefined) continue
    const predicate = filter.parse(value, mirror)
    if (!absentFields.includes(filter.field)) all.push(predicate)
    else if (!ignoreUnsupported) all.push(() => false)
  }
  return (row) => all.every((accepts) => accepts(row))
}
