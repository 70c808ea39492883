import { createHash } from 'node:crypto'
import { ident, qualified, type States, statesAsOf, statesNow, TABLES, tableName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { allowsModel, type Scope } from '../auth.ts'
import { keysOfModel } from '../keyRange.ts'
import { decodeCursor, encodeCursor, flag, integer, type Query } from '../params.ts'
import { createWhere, type Where } from '../sql.ts'
import { columnLists, type Row } from './columnLists.ts'
import type { Endpoint } from './endpoints.ts'
import { anyOf } from './filters.ts'
import { rowsByKey } from './pastRows.ts'
import { linkedKey } from './reader.ts'

import { updatedAfter } from './updates.ts'

export interface ListRequest {
  readonly store: SqlStore
  readonly schema: string
  readonly integrationId: string
  readonly endpoint: Endpoint
  readonly query: Query
  readonly scope: Scope
  /** Time as of which records are listed; undefined: as they are. */
  readonly asOf?: string | undefined
}

export interface ListPage {
  readonly rows: readonly Row[]
  /** Cursor of the next page; null on the last one. */
  readonly next: string | null
  /** What the rows are linked to and came with them; see {@link linkedKey}. */
  readonly linked: ReadonlyMap<string, readonly Row[]>
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

async function currentPage(request: ListRequest): Promise<ListPage> {
  const { store, schema, integrationId, endpoint, query } = request
  const pageSize = integer(query, 'page_size', PAGE_SIZE)
  const where = createWhere()
  where.and(`t.integration_id = ${where.param(integrationId)}`)
  addConditions(where, statesNow(schema), request)
  updatedAfter(where, request)
  const bound = fingerprint(endpoint.model, integrationId, query)
  const after = decodeCursor(query, bound, 2)
  if (after) {
    const [at, id] = after.map((value) => where.param(String(value)))
    where.and(`(t.effective_changed_at, t.id) > (${at}::timestamptz, ${id})`)
  }
  const own = columnLists(endpoint.model, [...columnsOf(endpoint), 'effective_changed_at'])
  const linked = linkedParts(request)
  const found = await store.query<{ part: number; lists: unknown }>(
    `with p as materialized (
select ${own.columns} from ${qualified(schema, tableName(endpoint.model))} t where ${where.text}
order by t.effective_changed_at, t.id limit ${pageSize + 1})
${[`select -1 as part, ${own.lists} as lists from p r`, ...linked.map(({ sql }) => sql)].join('\nunion all\n')}`,
    where.params,
    { recurs: true },
  )
  const byPart = new Map(found.map(({ part, lists }) => [part, lists]))
  const cursorOf = (last: Row): string =>
    encodeCursor(bound, [String(last['effective_changed_at']), String(last['id'])])
  return {
    ...pageOf(own.rows(byPart.get(-1)), pageSize, cursorOf),
    linked: new Map(linked.map(({ key, rows }, i) => [key, rows(byPart.get(i))])),
  }
}

/**
 * What every page is linked to, read by the statement of the page itself: a second one would wait for the ids of the first, and to carry them back and
 * forth costs as much as to look them up. The page is `p` there, and the integration the first parameter.
 */
function linkedParts({ schema, endpoint, scope }: ListRequest) {
  const parts = (endpoint.linked ?? []).filter(({ model }) => allowsModel(scope, model))
  return parts.map(({ own, model, column, ...options }, i) => {
    const { columns, lists, rows } = columnLists(model, [...options.columns, 'id', column])
    const alive = options.deleted ? '' : ' and t.remote_deleted_at is null'
    const sql = `select ${i} as part, ${lists} as lists from (
select ${columns} from ${statesNow(schema).from(model, 't')}
where t.integration_id = $1 and t.${ident(column)} in (select p.${ident(own)} from p)${alive} order by t.id) r`
    return { key: linkedKey(model, column, options), sql, rows }
  })
}

async function pastPage(request: ListRequest, asOf: string): Promise<ListPage> {
  const { store, schema, integrationId, endpoint, query } = request
  const pageSize = integer(query, 'page_size', PAGE_SIZE)
  const where = createWhere()
  where.and(`t.integration_id = ${where.param(integrationId)}`)
  const time = `${where.param(asOf)}::timestamptz`
  const states = statesAsOf(schema, time)
  where.and(states.holds('t'))
  addConditions(where, states, request)
  updatedAfter(where, request, { states, time })
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
  const page = pageOf(rows, pageSize, (last) => encodeCursor(bound, [String(last['record_key'])]))
  return { ...page, linked: new Map() }
}

/** What is shown of a record, but for its raw data, which nobody asks for here. */
const columnsOf = ({ model }: Endpoint): string[] => [
  ...['id', 'remote_id', 'changed_at'],
  ...TABLES[model].fields.map(({ name }) => name).filter((name) => name !== 'remote_data'),
]

function pageOf(rows: readonly Row[], pageSize: number, cursorOf: (last: Row) => string): Omit<ListPage, 'linked'> {
  const page = rows.slice(0, pageSize)
  const last = page.at(-1)
  return { rows: page, next: rows.length > pageSize && last ? cursorOf(last) : null }
}

function addConditions(where: Where, states: States, { endpoint, query, scope }: ListRequest): void {
  if (!flag(query, 'include_deleted')) where.and('t.remote_deleted_at is null')
  for (const filter of [...COMMON, ...endpoint.filters]) filter(query, where, states, scope)
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
