import type { ModelName } from '@tidemark/model'
import {
  isoExpression,
  qualified,
  type States,
  selectList,
  statesAsOf,
  statesNow,
  versionsFrom,
} from '@tidemark/projection'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { asOfParameter } from './asOf.ts'
import { allowsIntegration, type Scope } from './auth.ts'
import { integrationHeader, parseModel, queryOf, requireModel, scopeOf } from './context.ts'
import type { ApiDeps } from './deps.ts'
import { ApiError, inputInvalid, refuseOtherMethods } from './errors.ts'
import { history } from './history.ts'
import { integer } from './params.ts'
import { recordBody, stateColumns } from './recordBody.ts'
import { createWhere } from './sql.ts'

type Row = Readonly<Record<string, unknown>>
interface Params {
  readonly model: string
  readonly id: string
}
type RecordRequest = FastifyRequest<{ Params: Params }>

const RECORD = '/v1/records/:model/:id'
const AT = `${RECORD}/at`
const HISTORY = `${RECORD}/history`

/** `GET /v1/records/{model}/{id}` as it is or was, one of its versions, and its history. */
export function registerRecords(app: FastifyInstance, deps: ApiDeps): void {
  app.get<{ Params: Params }>(RECORD, async (request) => {
    const asOf = asOfParameter(deps, queryOf(request))
    return success(asOf === undefined ? await recordNow(deps, request) : await recordAsOf(deps, request, asOf))
  })
  app.get<{ Params: Params }>(AT, { config: { parameters: ['version', 'time'] } }, async (request) => {
    const time = asOfParameter(deps, queryOf(request), 'time')
    const version = queryOf(request)['version']
    if ((time === undefined) === (version === undefined)) {
      throw inputInvalid('Give either version, for example version=1, or time, for example time=2026-03-01T09:00:00Z.')
    }
    return success(time === undefined ? await recordVersion(deps, request) : await recordAsOf(deps, request, time))
  })
  app.get<{ Params: Params }>(HISTORY, async (request) => {
    const query = queryOf(request)
    const asOf = asOfParameter(deps, query)
    const row = await identity(deps, request, asOf)
    return success(await history(deps, modelOf(request), row, query, asOf))
  })
  for (const route of [RECORD, AT, HISTORY]) refuseOtherMethods(app, route, 'GET')
}

const success = (data: object): object => ({ status: 'success', data })
const modelOf = (request: RecordRequest): ModelName => parseModel(request.params.model)

async function recordNow(deps: ApiDeps, request: RecordRequest): Promise<object> {
  const model = modelOf(request)
  return recordBody(model, await requireRecord(deps, request, selectList(model, stateColumns(model))))
}

const SUPERSEDED_AT = `${isoExpression("nullif(t.superseded_at, 'infinity')")} as superseded_at`

async function recordAsOf(deps: ApiDeps, request: RecordRequest, time: string): Promise<object> {
  const model = modelOf(request)
  const select = `${selectList(model, stateColumns(model))}, ${SUPERSEDED_AT}`
  return pastBody(model, await requireRecord(deps, request, select, time))
}

const pastBody = (model: ModelName, row: Row): object => ({
  ...recordBody(model, row),
  superseded_at: row['superseded_at'] ?? null,
})

async function recordVersion(deps: ApiDeps, request: RecordRequest): Promise<object> {
  const model = modelOf(request)
  const wanted = integer(queryOf(request), 'version', { min: 1, max: 999_999_999, fallback: 1 })
  const key = String((await identity(deps, request))['record_key'])
  const versions = versionsFrom(deps.schema, model, 't')
  const [row] = await deps.store.query(
    `select ${selectList(model, stateColumns(model))}, ${SUPERSEDED_AT} from ${versions}
where t.record_key = $1 and t.version = $2::bigint`,
    [key, wanted],
  )
  if (row) return pastBody(model, row)
  const [there] = await deps.store.query(
    `select min(t.version)::float8 as first, max(t.version)::float8 as last, count(*)::float8 as count from ${versions}
where t.record_key = $1`,
    [key],
  )
  const message = `${model} ${request.params.id} has no version ${wanted}; ${versionsText(there ?? {})}.`
  throw new ApiError(404, 'TIDEMARK.RECORD_NOT_FOUND', message)
}

/** "there are versions 1 to 4", and how many of them when some are missing. */
function versionsText({ first, last, count }: Row): string {
  if (first === last) return `there is only version ${last}`
  const missing = Number(last) - Number(first) + 1 - Number(count)
  const but = missing === 0 ? '' : `, but ${missing} between them, which could not be projected`
  return `there are versions ${first} to ${last}${but}`
}

/** Key and identity of the record that a request names. */
function identity(deps: ApiDeps, request: RecordRequest, time?: string): Promise<Row> {
  const select = selectList(modelOf(request), ['record_key', 'integration_id', 'id', 'remote_id'])
  return requireRecord(deps, request, select, time)
}

/** As {@link findRecord}; throws 404 when there is none, or was none at the time. */
async function requireRecord(deps: ApiDeps, request: RecordRequest, select: string, time?: string): Promise<Row> {
  const row = await findRecord(deps, request, select, time)
  if (row) return row
  throw time === undefined ? notFound(request) : await notObserved(deps, request, time)
}

async function notObserved(deps: ApiDeps, request: RecordRequest, time: string): Promise<ApiError> {
  const { model, id } = request.params
  const known = await identity(deps, request)
  const [first] = await deps.store.query(
    `select ${isoExpression('min(c.changed_at)')} as at from ${qualified(deps.schema, 'changes')} c where c.record_key = $1`,
    [String(known['record_key'])],
  )
  const message = `${model} ${id} had not been observed by ${time}. Its history begins on ${first?.['at']}.`
  return new ApiError(404, 'TIDEMARK.RECORD_NOT_FOUND', message)
}

/**
 * The one row a public id names, as it is or as it was at a time; undefined when there is none. Throws 400 when it names records of several
 * integrations and none is chosen.
 */
async function findRecord(
  { store, schema }: ApiDeps,
  request: RecordRequest,
  select: string,
  time?: string,
): Promise<Row | undefined> {
  const scope = scopeOf(request)
  const model = modelOf(request)
  const { id } = request.params
  requireModel(scope, model)
  const wanted = integrationHeader(request)
  const where = createWhere()
  where.and(`t.id = ${where.param(id)}`)
  if (wanted !== undefined) where.and(`t.integration_id = ${where.param(wanted)}`)
  const states: States =
    time === undefined ? statesNow(schema) : statesAsOf(schema, `${where.param(time)}::timestamptz`)
  where.and(states.holds('t'))
  // Of records that share id and integration (one that was created anew) the newest one is meant.
  const rows = await store.query(
    `select distinct on (t.integration_id) ${select} from ${states.from(model, 't')} where ${where.text}
order by t.integration_id, t.changed_at desc limit 100`,
    where.params,
  )
  const visible = rows.filter((row) => allowsIntegration(scope, String(row['integration_id'])))
  if (visible.length <= 1) return visible[0]
  const names = visible.map((found) => String(found['integration_id'])).join(', ')
  const message = `${model} ${id} exists in several integrations; send X-Integration-Id with one of: ${names}.`
  throw new ApiError(400, 'TIDEMARK.RECORD_AMBIGUOUS', message)
}

function notFound(request: RecordRequest): ApiError {
  const { model, id } = request.params
  const scope: Scope = scopeOf(request)
  const wanted = integrationHeader(request)
  const where = wanted === undefined ? '' : ` in ${wanted}`
  const key = scope.name === null ? '' : ` that the API key "${scope.name}" may read`
  const message = `There is no record ${id} of ${model}${where}${key}. Ids are those of /v1/ats, not of the ATS.`
  return new ApiError(404, 'TIDEMARK.RECORD_NOT_FOUND', message)
}
