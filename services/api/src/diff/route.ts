import type { ModelName } from '@tidemark/model'
import { isoTime } from '@tidemark/projection'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { asOfParameter, requireObserved } from '../asOf.ts'
import type { Scope } from '../auth.ts'
import { namedIntegration, parseModel, queryOf, requireModel, scopeOf } from '../context.ts'
import type { ApiDeps } from '../deps.ts'
import { inputInvalid, refuseOtherMethods } from '../errors.ts'
import { decodeCursor, encodeCursor, integer, list, type Query, single } from '../params.ts'
import { netChange } from './netChange.ts'
import { type DiffRange, statesAt, type Touched, touchedRecords } from './query.ts'

type Row = Readonly<Record<string, unknown>>

const ROUTE = '/v1/diff'
const PARAMETERS = ['integration_id', 'from', 'to', 'model', 'page_size', 'cursor']
const PAGE = { min: 1, max: 250, fallback: 100 } as const

/** `GET /v1/diff`: what the changes between two times come to, record by record. */
export function registerDiff(app: FastifyInstance, deps: ApiDeps): void {
  app.get(ROUTE, { config: { parameters: PARAMETERS } }, async (request) => ({
    status: 'success',
    data: await diffPage(deps, request),
  }))
  refuseOtherMethods(app, ROUTE, 'GET')
}

async function diffPage(deps: ApiDeps, request: FastifyRequest): Promise<object> {
  const query = queryOf(request)
  const { id: integrationId } = await namedIntegration(deps, request)
  const pageSize = integer(query, 'page_size', PAGE)
  const models = modelsOf(scopeOf(request), query)
  const from = requiredTime(deps, query)
  const bound = JSON.stringify([integrationId, from, single(query, 'to') ?? '', models ?? []])
  const [after, toOfFirst] = (decodeCursor(query, bound, 2) ?? []).map(String)
  // Without an end it is the time of the first page, for all of them.
  const to = asOfParameter(deps, query, 'to') ?? toOfFirst ?? isoTime(deps.clock.now())
  if (from >= to) throw inputInvalid(`from: ${from} is not before to (${to}).`)
  await requireObserved(deps, integrationId, from, 'from')
  const range: DiffRange = { integrationId, models, from, to }
  const touched = await touchedRecords(deps, range, after, pageSize + 1)
  const page = touched.slice(0, pageSize)
  const [before, now] = [await statesAt(deps, page, from), await statesAt(deps, page, to)]
  const last = touched.length > pageSize ? page.at(-1) : undefined
  return {
    integration_id: integrationId,
    from,
    to,
    next: last ? encodeCursor(bound, [last.record_key, to]) : null,
    results: page.flatMap((record) => {
      const state = now.get(record.record_key)
      return state ? [resultOf(record, before.get(record.record_key), state)] : []
    }),
  }
}

function resultOf({ model, count, ops }: Touched, before: Row | undefined, after: Row): object {
  const { op, changes } = netChange(model, before, after, ops)
  return {
    model,
    id: after['id'],
    remote_id: after['remote_id'] ?? null,
    op,
    from_version: before?.['version'] ?? null,
    to_version: after['version'],
    change_count: count,
    changed_at: after['changed_at'],
    merged_into_id: after['merged_into_id'] ?? null,
    // Personal values are gone here: what is null may have been a value.
    erased: (before?.['erased_at'] ?? after['erased_at'] ?? null) !== null,
    changes,
  }
}

/** Models asked for, or those that the key may read; undefined: all. */
function modelsOf(scope: Scope, query: Query): ModelName[] | undefined {
  const models = list(query, 'model')?.map(parseModel)
  for (const model of models ?? []) requireModel(scope, model)
  return models ?? (scope.models ? ([...scope.models] as ModelName[]) : undefined)
}

function requiredTime(deps: ApiDeps, query: Query): string {
  const time = asOfParameter(deps, query, 'from')
  if (time === undefined)
    throw inputInvalid('from is missing: give the time to compare with, for example from=2026-03-01T09:00:00Z.')
  return time
}
