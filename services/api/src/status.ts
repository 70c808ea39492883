import { isoExpression, isoTime, qualified } from '@tidemark/projection'
import type { FastifyInstance } from 'fastify'
import { allowsIntegration, allowsModel, type Scope } from './auth.ts'
import { scopeOf } from './context.ts'
import type { ApiDeps, IntegrationStatus } from './deps.ts'
import { refuseOtherMethods } from './errors.ts'

interface Count {
  readonly integration_id: string
  readonly model: string
  readonly records: number
  readonly deleted: number
  readonly changes: number
  readonly last_changed_at: string
}

/** `GET /v1/status`: per integration and model sync state, counts and watermark; the lag of every service; totals. */
export function registerStatus(app: FastifyInstance, deps: ApiDeps, feedClients: () => number): void {
  app.get('/v1/status', async (request) => {
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
        services: await deps.status.services(),
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
  const ids = new Set([...known.map((item) => item.integrationId), ...counts.map((count) => count.integration_id)])
  return [...ids]
    .filter((id) => allowsIntegration(scope, id))
    .sort()
    .map((id) => {
      const integration = known.find((item) => item.integrationId === id)
      return {
        integration_id: id,
        source: integration?.source ?? null,
        state: integration?.state ?? null,
        streams: (integration?.streams ?? []).map(({ details, watermark, ...stream }) => ({
          ...stream,
          watermark: isoTime(watermark),
          ...details,
        })),
        models: counts
          .filter((count) => count.integration_id === id)
          .map(({ integration_id: _, ...count }) => ({ ...count, present: count.records - count.deleted })),
      }
    })
}

function totals(counts: readonly Count[]): object {
  const sum = (of: (count: Count) => number): number => counts.reduce((total, count) => total + of(count), 0)
  return { records: sum((c) => c.records), deleted: sum((c) => c.deleted), changes: sum((c) => c.changes) }
}
