import { createHash } from 'node:crypto'
import { ident, isoExpression, qualified, selectList, TABLES, tableName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { decodeCursor, encodeCursor, flag, integer, type Query, time } from '../params.ts'
import { createWhere, type Where } from '../sql.ts'
import type { Endpoint, Link } from './endpoints.ts'
import { anyOf } from './filters.ts'
import type { Row } from './reader.ts'

export interface ListRequest {
  readonly store: SqlStore
  readonly schema: string
  readonly integrationId: string
  readonly endpoint: Endpoint
  readonly query: Query
}

export interface ListPage {
  readonly rows: readonly Row[]
  /** Cursor of the next page; null on the last one. */
  readonly next: string | null
}

const COMMON = [anyOf('ids', 'id'), anyOf('remote_ids', 'remote_id')]

/**
 * One page of a listing, ordered by when a record's state became readable, then by id. A record that changes while the pages are
 * read moves behind the cursor's position, so it may be seen twice but is never missed.
 */
export async function listPage({ store, schema, integrationId, endpoint, query }: ListRequest): Promise<ListPage> {
  const pageSize = integer(query, 'page_size', { min: 1, max: 250, fallback: 100 })
  // All filters are supported by every integration here, so there is none to ignore; the parameter is only checked.
  flag(query, 'ignore_unsupported_filters')
  const where = conditions(schema, integrationId, endpoint, query)
  const bound = fingerprint(endpoint.model, integrationId, query)
  const after = decodeCursor(query, bound, 2)
  if (after) {
    const [at, id] = after.map((value) => where.param(String(value)))
    where.and(`(t.effective_changed_at, t.id) > (${at}::timestamptz, ${id})`)
  }
  const columns = TABLES[endpoint.model].columns.map((c) => c.name).filter((name) => name !== 'remote_data')
  const rows = await store.query(
    `select ${selectList(endpoint.model, columns)}, ${isoExpression('t.effective_changed_at')} as cursor_at
from ${qualified(schema, tableName(endpoint.model))} t where ${where.text}
order by t.effective_changed_at, t.id limit ${pageSize + 1}`,
    where.params,
  )
  const page = rows.slice(0, pageSize)
  const last = page.at(-1)
  const more = rows.length > pageSize && last !== undefined
  return { rows: page, next: more ? encodeCursor(bound, [String(last['cursor_at']), String(last['id'])]) : null }
}

function conditions(schema: string, integrationId: string, endpoint: Endpoint, query: Query): Where {
  const where = createWhere()
  where.and(`t.integration_id = ${where.param(integrationId)}`)
  if (!flag(query, 'include_deleted')) where.and('t.remote_deleted_at is null')
  for (const filter of [...COMMON, ...endpoint.filters]) filter(query, where, schema)
  const updatedAfter = time(query, 'updated_after')
  if (updatedAfter !== undefined) {
    const since = `${where.param(updatedAfter)}::timestamptz`
    const parts = endpoint.links.map((link) => linkCondition(schema, link, since))
    where.and([`t.effective_changed_at >= ${since}`, ...parts].join(' or '))
  }
  return where
}

function linkCondition(schema: string, { own, model, select, through }: Link, since: string): string {
  const table = qualified(schema, tableName(model))
  const from = through
    ? `${table} l join ${qualified(schema, tableName(through.model))} x
on x.integration_id = l.integration_id and x.${ident(through.key)} = l.${ident(through.column)}`
    : `${table} l`
  const changed = through ? 'x' : 'l'
  return `t.${ident(own)} in (select l.${ident(select)} from ${from}
where l.integration_id = $1 and ${changed}.effective_changed_at >= ${since})`
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
