import { createHash } from 'node:crypto'
import { qualified, type States, statesAsOf, statesNow, TABLES, tableName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { keysOfModel } from '../keyRange.ts'
import { decodeCursor, encodeCursor, flag, integer, type Query } from '../params.ts'
import { createWhere, type Where } from '../sql.ts'
import { columnLists, type Row } from './columnLists.ts'
import type { Endpoint } from './endpoints.ts'
import { anyOf } from './filters.ts'
import { rowsByKey } from './pastRows.ts'

import { updatedAfter } from './updates.ts'

export interface ListRequest {
  readonly store: SqlStore
  readonly schema: string
  readonly integrationId: string
  readonly endpoint: Endpoint
  readonly query: Query
  /** Time as of which records are listed; undefined: as they are. */
  readonly asOf?: string | undefined
}

export interface ListPage {
  readonly rows: readonly Row[]
  /** Cursor of the next page; null on the last one. */
  readonly next: string | null
}

const COMMON = [anyOf('ids', 'id'), anyOf('remote_ids', 'remote_id')]
const PAGE_SIZE = { min: 1, max: 250, fallback: 100 } as const

/**
 * One page of a listing. As records are: ordered by when a state became readable, then by id; a record that changes while the pages are
 * read moves behind the cursor's position, so it may be seen twice but is never missed. As they were: ordered by record key; what is
 * past does not change, so each record is seen once.
 */
export function listPage(request: ListRequest): Promise<ListPage> {
  // All filters are supported by every integration here, so there is none to ignore; the parameter is only checked.
  flag(request.query, 'ignore_unsupported_filters')
  return request.asOf === undefined ? currentPage(request) : pastPage(request, request.asOf)
}

async function currentPage({ store, schema, integrationId, endpoint, query }: ListRequest): Promise<ListPage> {
  const pageSize = integer(query, 'page_size', PAGE_SIZE)
  const where = createWhere()
  where.and(`t.integration_id = ${where.param(integrationId)}`)
  addConditions(where, statesNow(schema), endpoint, query)
  updatedAfter(where, schema, endpoint, query)
  const bound = fingerprint(endpoint.model, integrationId, query)
  const after = decodeCursor(query, bound, 2)
  if (after) {
    const [at, id] = after.map((value) => where.param(String(value)))
    where.and(`(t.effective_changed_at, t.id) > (${at}::timestamptz, ${id})`)
  }
  const { columns, lists, rows } = columnLists(endpoint.model, [...columnsOf(endpoint), 'effective_changed_at'])
  const [found] = await store.query<{ lists: unknown }>(
    `select ${lists} as lists from (
select ${columns} from ${qualified(schema, tableName(endpoint.model))} t where ${where.text}
order by t.effective_changed_at, t.id limit ${pageSize + 1}) r`,
    where.params,
  )
  const cursorOf = (last: Row): string =>
    encodeCursor(bound, [String(last['effective_changed_at']), String(last['id'])])
  return pageOf(rows(found?.lists), pageSize, cursorOf)
}

async function pastPage(request: ListRequest, asOf: string): Promise<ListPage> {
  const { store, schema, integrationId, endpoint, query } = request
  const pageSize = integer(query, 'page_size', PAGE_SIZE)
  const where = createWhere()
  where.and(`t.integration_id = ${where.param(integrationId)}`)
  const time = `${where.param(asOf)}::timestamptz`
  const states = statesAsOf(schema, time)
  where.and(states.holds('t'))
  addConditions(where, states, endpoint, query)
  updatedAfter(where, schema, endpoint, query, { states, time })
  const bound = fingerprint(endpoint.model, integrationId, query)
  const [after] = decodeCursor(query, bound, 1) ?? []
  const rows = await rowsByKey({
    store,
    from: states.from(endpoint.model, 't'),
    lists: columnLists(endpoint.model, [...columnsOf(endpoint), 'record_key']),
    where,
    keys: qualified(schema, tableName(endpoint.model)),
    range: keysOfModel(integrationId, endpoint.model),
    after: after === undefined ? undefined : String(after),
    limit: pageSize + 1,
    // Few records are named: an index finds them, wherever their keys are.
    inOnePass: query['ids'] !== undefined || query['remote_ids'] !== undefined,
  })
  return pageOf(rows, pageSize, (last) => encodeCursor(bound, [String(last['record_key'])]))
}

/** What is shown of a record, but for its raw data, which nobody asks for here. */
const columnsOf = ({ model }: Endpoint): string[] => [
  ...['id', 'remote_id', 'changed_at'],
  ...TABLES[model].fields.map(({ name }) => name).filter((name) => name !== 'remote_data'),
]

function pageOf(rows: readonly Row[], pageSize: number, cursorOf: (last: Row) => string): ListPage {
  const page = rows.slice(0, pageSize)
  const last = page.at(-1)
  return { rows: page, next: rows.length > pageSize && last ? cursorOf(last) : null }
}

function addConditions(where: Where, states: States, endpoint: Endpoint, query: Query): void {
  if (!flag(query, 'include_deleted')) where.and('t.remote_deleted_at is null')
  for (const filter of [...COMMON, ...endpoint.filters]) filter(query, where, states)
}

/** Binds a cursor to the listing, integration and filters it was made for; the page size may change. */
function fingerprint(model: string, integrationId: string, query: Query): string {
  const filters = Object.entries(query)
    .filter(([name]) => name !== 'cursor' && name !== 'page_size')
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([model, integrationId, filters]))
    .digest('base64url')
    .slice(0, 12)
}
