import type { FastifyInstance } from 'fastify'
import { createAuthorizer } from './auth.ts'
import type { ApiDeps } from './deps.ts'
import { sendError, sendNotFound } from './errors.ts'
import { registerHealth, registerMetrics, sendNotReady } from './health.ts'

export interface OperationsDeps {
  readonly notReady: () => readonly string[]
  readonly metrics: ApiDeps['metrics']
  readonly apiKeys: ApiDeps['apiKeys']
}

/** Health and metrics alone, for processes without the API, or before it can run: any other path answers 503 while not ready, else 404. */
export function registerOperations(app: FastifyInstance, { notReady, metrics, apiKeys }: OperationsDeps): void {
  const authorize = createAuthorizer(apiKeys)
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((request, reply) => {
    const reasons = notReady()
    return reasons.length === 0 ? sendNotFound(request, reply) : sendNotReady(reply, reasons)
  })
  app.register(async (open) => registerHealth(open, { notReady }))
  app.register(async (scope) => {
    scope.decorateRequest('scope', null)
    scope.addHook('onRequest', async (request) => {
      request.scope = authorize(request)
    })
    registerMetrics(scope, { metrics })
  })
}
