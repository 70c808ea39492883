import { isoTime } from '@tidemark/projection'
import type { FastifyInstance } from 'fastify'
import { allowsIntegration } from './auth.ts'
import { scopeOf } from './context.ts'
import type { ApiDeps } from './deps.ts'
import { ApiError, refuseOtherMethods } from './errors.ts'
import { NO_PARAMETERS } from './parameters.ts'

const ROUTE = '/v1/syncs/:id'

/** `GET /v1/syncs/{id}`: the runs of one sync, one for each integration it was asked for. 404 while nobody has begun it. */
export function registerSyncs(app: FastifyInstance, deps: ApiDeps): void {
  app.get<{ Params: { readonly id: string } }>(ROUTE, { config: NO_PARAMETERS }, async (request) => {
    const scope = scopeOf(request)
    const { id } = request.params
    const runs = deps.status.syncRuns(id).filter((run) => allowsIntegration(scope, run.integrationId))
    if (runs.length === 0) {
      const message = `No run of a sync ${id} is known: it has not begun, or so many followed that it is forgotten.`
      throw new ApiError(404, 'TIDEMARK.SYNC_NOT_FOUND', message)
    }
    const results = runs.map(({ syncId, integrationId, startedAt, finishedAt, ...run }) => ({
      sync_id: syncId,
      integration_id: integrationId,
      ...run,
      started_at: isoTime(startedAt),
      finished_at: isoTime(finishedAt),
    }))
    return { status: 'success', data: { results } }
  })
  refuseOtherMethods(app, ROUTE, 'GET')
}
