import type { FastifyInstance } from 'fastify'
import { asOfParameter, requireObserved } from '../asOf.ts'
import { queryOf, requireIntegration, requireModel, scopeOf } from '../context.ts'
import type { ApiDeps } from '../deps.ts'
import { refuseOtherMethods } from '../errors.ts'
import { ENDPOINTS } from './endpoints.ts'
import { listPage } from './listing.ts'
import { listingBody } from './listingBody.ts'
import { createReader } from './reader.ts'

/** `GET /v1/ats/*`: Kombo's listings over our tables. */
export function registerAts(app: FastifyInstance, deps: ApiDeps): void {
  const { store, schema } = deps
  for (const [path, endpoint] of Object.entries(ENDPOINTS)) {
    const url = `/v1/ats/${path}`
    app.get(url, async (request, reply) => {
      const scope = scopeOf(request)
      const integrationId = await requireIntegration(deps, request)
      requireModel(scope, endpoint.model)
      const query = queryOf(request)
      const asOf = asOfParameter(deps, query)
      if (asOf !== undefined) await requireObserved(deps, integrationId, asOf)
      const { rows, next, linked } = await listPage({ store, schema, integrationId, scope, endpoint, query, asOf })
      const results = await endpoint.shape(rows, createReader({ store, schema, scope, integrationId, asOf, linked }))
      return reply.type('application/json; charset=utf-8').send(listingBody(next, results))
    })
    refuseOtherMethods(app, url, 'GET')
  }
}
