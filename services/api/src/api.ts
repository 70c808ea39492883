import type { FastifyInstance } from 'fastify'
import { registerAts } from './ats/routes.ts'
import { createAuthorizer } from './auth.ts'
import type { ApiDeps } from './deps.ts'
import { sendError, sendNotFound } from './errors.ts'
import { registerFeed } from './feed/route.ts'
import { registerForceSync } from './force-sync.ts'
import { registerHealth, registerMetrics } from './health.ts'
import { registerRecords } from './records.ts'
import { registerStatus } from './status.ts'
import { registerSyncs } from './syncs.ts'

/**
 * Registers every route of the API on an instance of Fastify, and its answers for unknown routes and failures as the instance's own.
 * Authorization covers these routes only. Closing the instance ends the feeds. `more` adds
 * routes of the composition that need the same authorization.
 */
export function registerApi(app: FastifyInstance, deps: ApiDeps, more?: (api: FastifyInstance) => void): void {
  const authorize = createAuthorizer(deps.apiKeys)
  app.setErrorHandler(sendError)
  app.setNotFoundHandler(sendNotFound)
  app.register(async (open) => registerHealth(open, { notReady: () => deps.status.notReady(), projection: deps }))
  app.register(async (api) => {
    acceptEmptyJson(api)
    api.decorateRequest('scope', null)
    api.addHook('onRequest', async (request) => {
      request.scope = authorize(request)
    })
    registerAts(api, deps)
    registerRecords(api, deps)
    registerStatus(api, deps, registerFeed(api, deps))
    registerForceSync(api, deps)
    registerSyncs(api, deps)
    registerMetrics(api, deps)
    more?.(api)
  })
}

/** A JSON content type without a body means no body: Kombo's clients send it. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: 65_536 }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else parse(request, String(body), done)
  })
}
