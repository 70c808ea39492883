import { classify } from '@tidemark/base'
import { qualified } from '@tidemark/projection'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { requireEveryIntegration, scopeOf } from './context.ts'
import type { ApiDeps } from './deps.ts'
import { errorBody, refuseOtherMethods } from './errors.ts'

/** The projection that reads need; a process without the API has none. */
export type Projection = Pick<ApiDeps, 'store' | 'schema' | 'logger'>

export interface HealthDeps {
  /** Why the process cannot serve yet; empty when it can. */
  readonly notReady: () => readonly string[]
  readonly projection?: Projection
}

/** `/healthz`: the process answers. `/readyz`: its services and the database do. Both are open to everybody and tell nothing else. */
export function registerHealth(app: FastifyInstance, { notReady, projection }: HealthDeps): void {
  app.get('/healthz', async () => ({ status: 'success', data: {} }))
  app.get('/readyz', async (_request, reply) => {
    const reasons = [...notReady(), ...(projection ? await databaseReasons(projection) : [])]
    return reasons.length === 0 ? { status: 'success', data: {} } : sendNotReady(reply, reasons)
  })
  refuseOtherMethods(app, '/healthz', 'GET')
  refuseOtherMethods(app, '/readyz', 'GET')
}

/** 503 with the reasons. */
export function sendNotReady(reply: FastifyReply, reasons: readonly string[]): FastifyReply {
  return reply
    .code(503)
    .header('retry-after', '1')
    .send(errorBody(null, 'Not ready', reasons.join('; ')))
}

async function databaseReasons({ store, schema, logger }: Projection): Promise<string[]> {
  try {
    await store.query(`select 1 as ok from ${qualified(schema, 'record_counts')} limit 1`)
    return []
  } catch (error) {
    logger.warn({ err: classify(error) }, 'the projection cannot be read')
    return ['the projection cannot be read; the log has the cause']
  }
}

/** `/metrics` in Prometheus' text format. They name every integration, so the key must not be restricted to some. */
export function registerMetrics(app: FastifyInstance, { metrics }: Pick<ApiDeps, 'metrics'>): void {
  app.get('/metrics', async (request, reply) => {
    requireEveryIntegration(scopeOf(request))
    const text = await metrics.registry.metrics()
    return reply.header('content-type', metrics.registry.contentType).send(text)
  })
  refuseOtherMethods(app, '/metrics', 'GET')
}
