import type { FastifyInstance } from 'fastify'
import { LISTING_PARAMETERS } from './ats/parameters.ts'
import { registerAts } from './ats/routes.ts'
import { registerAttachments } from './attachments/route.ts'
import { createAuthorizer } from './auth.ts'
import { requestedIntegration, requireUnrestricted, scopeOf } from './context.ts'
import type { ApiDeps } from './deps.ts'
import { registerDiff } from './diff/route.ts'
import { sendError, sendNotFound } from './errors.ts'
import { registerFeed } from './feed/route.ts'
import { registerForceSync } from './force-sync.ts'
import { registerGeneral } from './general/routes.ts'
import { registerHealth, registerMetrics } from './health.ts'
import { registerHeld } from './held.ts'
import { createSlots } from './live/slots.ts'
import { checkParameters, declareParameters } from './parameters.ts'
import { registerPassthrough } from './passthrough/route.ts'
import { limitRequests } from './rateLimit.ts'
import { registerRecords } from './records.ts'
import { requireReady } from './setup.ts'
import { registerStatus } from './status.ts'
import { registerSyncs } from './syncs.ts'

/**
 * Registers every route of the API on an instance of Fastify, and its answers for unknown routes and failures as the instance's own.
 * Authorization and the request limit cover these routes only. Closing the instance ends the feeds. `more` adds routes of the
 * composition that concern everything: they need authorization by a key that is not restricted.
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
    limitRequests(api, deps)
    checkParameters(api)
    api.register(async (ats) => registerListings(ats, deps))
    api.register(async (records) => {
      declareParameters(records, RECORD_PARAMETERS)
      registerRecords(records, deps)
    })
    registerDiff(api, deps)
    registerGeneral(api, deps)
    registerStatus(api, deps, registerFeed(api, deps))
    registerForceSync(api, deps)
    registerSyncs(api, deps)
    registerHeld(api, deps)
    const slots = createSlots()
    registerPassthrough(api, deps, slots)
    registerAttachments(api, deps, slots)
    registerMetrics(api, deps)
    if (more) api.register(async (operations) => registerMore(operations, more))
  })
}

/** Kombo's listings, for integrations that are set up. */
function registerListings(app: FastifyInstance, deps: ApiDeps): void {
  declareParameters(app, LISTING_PARAMETERS)
  app.addHook('preHandler', async (request) => requireReady(await requestedIntegration(deps, request)))
  registerAts(app, deps)
}

/** Query parameters of the routes below `/v1/records`. */
const RECORD_PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  '/v1/records/:model/:id': ['as_of'],
  '/v1/records/:model/:id/history': ['field', 'order', 'page_size', 'cursor', 'as_of'],
}

function registerMore(app: FastifyInstance, more: (api: FastifyInstance) => void): void {
  app.addHook('onRequest', async (request) => requireUnrestricted(scopeOf(request)))
  more(app)
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
