import { classify } from '@tidemark/base'
import { qualified } from '@tidemark/projection'
import type { FastifyInstance } from 'fastify'
import type { ApiDeps } from './deps.ts'
import { errorBody, refuseOtherMethods } from './errors.ts'

/** `/healthz`: the process answers. `/readyz`: its services and the database do. Both are open to everybody and tell nothing else. */
export function registerHealth(app: FastifyInstance, deps: ApiDeps): void {
  app.get('/healthz', async () => ({ status: 'success', data: {} }))
  app.get('/readyz', async (_request, reply) => {
    const reasons = [...deps.status.notReady(), ...(await databaseReasons(deps))]
    if (reasons.length === 0) return { status: 'success', data: {} }
    return reply
      .code(503)
      .header('retry-after', '1')
      .send(errorBody(null, 'Not ready', reasons.join('; ')))
  })
  refuseOtherMethods(app, '/healthz', 'GET')
  refuseOtherMethods(app, '/readyz', 'GET')
}

async function databaseReasons({ store, schema, logger }: ApiDeps): Promise<string[]> {
  try {
    await store.query(`select 1 as ok from ${qualified(schema, 'record_counts')} limit 1`)
    return []
  } catch (error) {
    logger.warn({ err: classify(error) }, 'the projection cannot be read')
    return ['the projection cannot be read; the log has the cause']
  }
}

/** `/metrics` in Prometheus' text format; authorized like every read. */
export function registerMetrics(app: FastifyInstance, { metrics }: ApiDeps): void {
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.registry.metrics()
    return reply.header('content-type', metrics.registry.contentType).send(text)
  })
  refuseOtherMethods(app, '/metrics', 'GET')
}
