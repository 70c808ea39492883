import { isoExpression, isoTime, qualified } from '@tidemark/projection'
import type { FastifyInstance } from 'fastify'
import { allowsIntegration, allowsModel, type Scope } from './auth.ts'
import { scopeOf } from './context.ts'
import type { ApiDeps, IntegrationStatus, StreamStatus } from './deps.ts'
import { refuseOtherMethods } from './errors.ts'
import { NO_PARAMETERS } from './parameters.ts'
import { connectionOf, setupOf } from './setup.ts'

interface Count {
  readonly integration_id: string
  readonly model: string
  readonly records: number
  readonly deleted: number
  readonly changes: number
  readonly last_changed_at: string
}

/**
 * `GET /v1/status`: per integration and model setup, sync state, counts and watermark; the lag of every service; totals. All of it
 * within what the key may see.
 */
export function registerStatus(app: FastifyInstance, deps: ApiDeps, feedClients: () => number): void {
  app.get('/v1/status', { config: NO_PARAMETERS }, async (request) => {
    const scope = scopeOf(request)
    const counts = (await readCounts(deps)).filter(
      (count) => allowsIntegration(scope, count.integration_id) && allowsModel(scope, count.model as never),
    )
    return {
      status: 'success',
      data: {
        at: isoTime(deps.clock.now()),
        integrations: integrations(deps.status.integrations(), counts, scope),
        totals: totals(counts),
        services: visibleServices(await deps.status.services(), scope),
        feed_clients: feedClients(),
      },
    }
  })
  refuseOtherMethods(app, '/v1/status', 'GET')
}

/** Counts kept by the projector: reading them costs the same however many records there are. */
async function readCounts({ store, schema }: ApiDeps): Promise<Count[]> {
  return store.query<Count & Record<string, unknown>>(
    `select integration_id, model, sum(records)::float8 as records, sum(deleted)::float8 as deleted,
  sum(changes)::float8 as changes, ${isoExpression('max(last_changed_at)')} as last_changed_at
from ${qualified(schema, 'record_counts')} group by integration_id, model order by integration_id, model`,
  )
}

function integrations(known: readonly IntegrationStatus[], counts: readonly Count[], scope: Scope): object[] {
  const statuses = new Map(known.map((item) => [item.integrationId, item]))
  const countsOf = Map.groupBy(counts, (count) => count.integration_id)
  return [...new Set([...statuses.keys(), ...countsOf.keys()])]
    .filter((id) => allowsIntegration(scope, id))
    .sort()
    .map((id) => {
      const status = statuses.get(id)
      return {
        integration_id: id,
        source: status?.source ?? null,
        state: status?.state ?? null,
        setup: setupOf({ id, status }),
        connection: connectionOf({ id, status }),
        schedule_stopped_because: status?.stoppedBecause ?? null,
        streams: (status?.streams ?? []).flatMap((stream) => streamBody(stream, scope)),
        models: (countsOf.get(id) ?? []).map(({ integration_id: _, ...count }) => ({
          ...count,
          present: count.records - count.deleted,
        })),
      }
    })
}

/** Nothing for a listing of other models than those the key may read. */
function streamBody({ details, watermark, models: all, ...stream }: StreamStatus, scope: Scope): object | [] {
  const models = all.filter((model) => allowsModel(scope, model as never))
  return models.length === 0 && all.length > 0 ? [] : { ...stream, models, watermark: isoTime(watermark), ...details }
}

/**
 * What a key that is restricted to some integrations sees of the services: figures, states, and rows of those integrations. Texts and
 * other rows may tell of others.
 */
function visibleServices(services: Readonly<Record<string, object>>, scope: Scope): Readonly<Record<string, object>> {
  if (scope.integrations === undefined) return services
  const isVisible = (row: unknown): boolean =>
    typeof row === 'object' &&
    row !== null &&
    'integration_id' in row &&
    allowsIntegration(scope, String(row.integration_id))
  const entry = ([name, value]: [string, unknown]): [string, unknown][] => {
    if (typeof value === 'number' || typeof value === 'boolean' || name === 'state') return [[name, value]]
    return Array.isArray(value) ? [[name, value.filter(isVisible)]] : []
  }
  return Object.fromEntries(
    Object.entries(services).map(([name, status]) => [name, Object.fromEntries(Object.entries(status).flatMap(entry))]),
  )
}

function totals(counts: readonly Count[]): object {
  const sum = (of: (count: Count) => number): number => counts.reduce((total, count) => total + of(count), 0)
  return { records: sum((c) => c.records), deleted: sum((c) => c.deleted), changes: sum((c) => c.changes) }
}
