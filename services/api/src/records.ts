import type { ModelName } from '@tidemark/model'
import {
  BOOKKEEPING_NAMES,
  fieldPointer,
  isoExpression,
  pointerTokens,
  qualified,
  selectList,
  TABLES,
  tableName,
} from '@tidemark/projection'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { allowsIntegration, type Scope } from './auth.ts'
import { integrationHeader, parseModel, queryOf, requireModel, scopeOf } from './context.ts'
import type { ApiDeps } from './deps.ts'
import { ApiError, inputInvalid, refuseOtherMethods } from './errors.ts'
import { choice, decodeCursor, encodeCursor, integer, type Query, single } from './params.ts'
import { createWhere, type Where } from './sql.ts'

type Row = Readonly<Record<string, unknown>>
interface Params {
  readonly model: string
  readonly id: string
}

const RECORD = '/v1/records/:model/:id'
const HISTORY = `${RECORD}/history`

/** `GET /v1/records/{model}/{id}` and its history. */
export function registerRecords(app: FastifyInstance, deps: ApiDeps): void {
  app.get<{ Params: Params }>(RECORD, async (request) => {
    const model = parseModel(request.params.model)
    const row = await findRecord(deps, request, model, request.params.id, selectList(model))
    return { status: 'success', data: recordBody(model, row) }
  })
  app.get<{ Params: Params }>(HISTORY, async (request) => {
    const model = parseModel(request.params.model)
    const identity = selectList(model, ['record_key', 'integration_id', 'id', 'remote_id'])
    const row = await findRecord(deps, request, model, request.params.id, identity)
    return { status: 'success', data: await history(deps, model, row, queryOf(request)) }
  })
  refuseOtherMethods(app, RECORD, 'GET')
  refuseOtherMethods(app, HISTORY, 'GET')
}

/** The one row a public id names. Throws 404, or 400 when it names records of several integrations and none is chosen. */
async function findRecord(
  { store, schema }: ApiDeps,
  request: FastifyRequest,
  model: ModelName,
  id: string,
  select: string,
): Promise<Row> {
  const scope = scopeOf(request)
  requireModel(scope, model)
  const wanted = integrationHeader(request)
  const where = createWhere()
  where.and(`t.id = ${where.param(id)}`)
  if (wanted !== undefined) where.and(`t.integration_id = ${where.param(wanted)}`)
  const table = qualified(schema, tableName(model))
  // Of records that share id and integration (one that was created anew) the newest one is meant.
  const rows = await store.query(
    `select distinct on (t.integration_id) ${select} from ${table} t where ${where.text}
order by t.integration_id, t.changed_at desc limit 100`,
    where.params,
  )
  const visible = rows.filter((row) => allowsIntegration(scope, String(row['integration_id'])))
  const [row] = visible
  if (!row) throw notFound(scope, model, id, wanted)
  if (visible.length === 1) return row
  const names = visible.map((found) => String(found['integration_id'])).join(', ')
  const message = `${model} ${id} exists in several integrations; send X-Integration-Id with one of: ${names}.`
  throw new ApiError(400, 'TIDEMARK.RECORD_AMBIGUOUS', message)
}

function notFound(scope: Scope, model: ModelName, id: string, integration: string | undefined): ApiError {
  const where = integration === undefined ? '' : ` in ${integration}`
  const key = scope.name === null ? '' : ` that the API key "${scope.name}" may read`
  const message = `There is no record ${id} of ${model}${where}${key}. Ids are those of /v1/ats, not of the ATS.`
  return new ApiError(404, 'TIDEMARK.RECORD_NOT_FOUND', message)
}

function recordBody(model: ModelName, row: Row): object {
  const fields = TABLES[model].fields.map(({ name }) => [name, row[name] ?? null])
  const isMember = (name: string): boolean => name !== 'record_key' && name !== 'effective_changed_at'
  const bookkeeping = [...BOOKKEEPING_NAMES].filter(isMember).map((name) => [name, row[name] ?? null])
  const { log_partition: partition, log_offset: offset, ...head } = Object.fromEntries(bookkeeping)
  const record = { id: row['id'], remote_id: row['remote_id'] ?? null, ...Object.fromEntries(fields) }
  return {
    model,
    ...head,
    remote_deleted_at: row['remote_deleted_at'] ?? null,
    position: { partition, offset },
    record,
  }
}

const PAGE = { min: 1, max: 500, fallback: 100 }

async function history({ store, schema }: ApiDeps, model: ModelName, record: Row, query: Query): Promise<object> {
  const pageSize = integer(query, 'page_size', PAGE)
  const order = choice(query, 'order', ['newest', 'oldest'], 'newest')
  const field = single(query, 'field')
  const where = createWhere()
  where.and(`c.record_key = ${where.param(String(record['record_key']))}`)
  const pointer = field === undefined ? undefined : checkedPointer(model, field)
  const changes = pointer === undefined ? 'c.changes' : filteredChanges(where, pointer)
  const bound = `${record['record_key']} ${order} ${pointer ?? ''}`
  const after = decodeCursor(query, bound, 1)
  if (after) where.and(`c.version ${order === 'newest' ? '<' : '>'} ${where.param(Number(after[0]))}::bigint`)
  const rows = await store.query(
    `select c.version::float8 as version, c.event_id, c.op, ${isoExpression('c.changed_at')} as changed_at,
  ${isoExpression('c.remote_changed_at')} as remote_changed_at, c.merged_into_id, ${changes} as changes, c.cause,
  c.log_partition, c.log_offset::float8 as log_offset
from ${qualified(schema, 'changes')} c where ${where.text}
order by c.version ${order === 'newest' ? 'desc' : 'asc'} limit ${pageSize + 1}`,
    where.params,
  )
  const page = rows.slice(0, pageSize)
  const last = page.at(-1)
  return {
    model,
    integration_id: record['integration_id'],
    id: record['id'],
    remote_id: record['remote_id'] ?? null,
    next: rows.length > pageSize && last ? encodeCursor(bound, [Number(last['version'])]) : null,
    results: page.map(({ log_partition: partition, log_offset: offset, ...change }) => ({
      ...change,
      position: { partition, offset },
    })),
  }
}

/** Restricts to versions that touch the pointer, and returns the select expression of their changes there. */
function filteredChanges(where: Where, pointer: string): string {
  const value = `${where.param(pointer)}::text`
  const name = where.param(pointerTokens(pointer)[0] ?? '')
  where.and(`c.fields @> array[${name}::text]`)
  const touching =
    `x.item->>'path' = ${value} or starts_with(x.item->>'path', ${value} || '/')` +
    ` or starts_with(${value}, (x.item->>'path') || '/')`
  const elements = 'jsonb_array_elements(c.changes) with ordinality as x(item, n)'
  where.and(`exists (select 1 from ${elements} where ${touching})`)
  return `(select jsonb_agg(x.item order by x.n) from ${elements} where ${touching})`
}

/** A field as a pointer; throws when the model has no such field. */
export function checkedPointer(model: ModelName, field: string): string {
  const pointer = fieldPointer(field)
  const name = pointerTokens(pointer)[0] ?? ''
  if (TABLES[model].columns.some((column) => column.name === name)) return pointer
  throw inputInvalid(
    `field: ${model} has no field "${name}". Give a name like status, or a pointer like /location/city.`,
  )
}
