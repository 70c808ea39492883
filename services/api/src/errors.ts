import { classify, TidemarkError } from '@tidemark/base'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Kombo's codes that these routes send. Its official SDK refuses any other, so Kombo-compatible routes send none. */
export type KomboCode =
  | 'PLATFORM.INPUT_INVALID'
  | 'PLATFORM.AUTHENTICATION_INVALID'
  | 'PLATFORM.INTEGRATION_NOT_FOUND'
  | 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED'
  | 'PLATFORM.UNKNOWN_ERROR'
  | 'INTEGRATION.MODEL_DISABLED'

/** Codes of routes that Kombo does not have. */
export type OwnCode =
  | 'TIDEMARK.RECORD_NOT_FOUND'
  | 'TIDEMARK.RECORD_AMBIGUOUS'
  | 'TIDEMARK.POSITION_INVALID'
  | 'TIDEMARK.SYNC_NOT_FOUND'

const TITLES: Readonly<Record<KomboCode | OwnCode, string>> = {
  'PLATFORM.INPUT_INVALID': 'Input is invalid',
  'PLATFORM.AUTHENTICATION_INVALID': 'Authentication is invalid',
  'PLATFORM.INTEGRATION_NOT_FOUND': 'Integration not found',
  'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED': 'Too many clients',
  'PLATFORM.UNKNOWN_ERROR': 'Unexpected failure',
  'INTEGRATION.MODEL_DISABLED': 'Model is not allowed',
  'TIDEMARK.RECORD_NOT_FOUND': 'Record not found',
  'TIDEMARK.SYNC_NOT_FOUND': 'Sync not known',
  'TIDEMARK.RECORD_AMBIGUOUS': 'Record is ambiguous',
  'TIDEMARK.POSITION_INVALID': 'Position is invalid',
}

/** A request that is refused, with what the client is told. */
export class ApiError extends TidemarkError {
  readonly status: number
  readonly publicCode: KomboCode | OwnCode

  constructor(status: number, publicCode: KomboCode | OwnCode, message: string) {
    super('REQUEST_INVALID', message)
    this.name = 'ApiError'
    this.status = status
    this.publicCode = publicCode
  }
}

export const inputInvalid = (message: string): ApiError => new ApiError(400, 'PLATFORM.INPUT_INVALID', message)

/** Kombo's error envelope: always the same four keys. */
export function errorBody(code: string | null, title: string | null, message: string): object {
  return { status: 'error', error: { code, title, message, log_url: null } }
}

/** Sends whatever was thrown in the error envelope; what is not the client's fault is logged. */
export function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof ApiError) {
    if (error.status === 401) reply.header('www-authenticate', 'Bearer')
    reply.code(error.status).send(errorBody(error.publicCode, TITLES[error.publicCode], error.message))
    return
  }
  const status = 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) {
    reply.code(status).send(errorBody('PLATFORM.INPUT_INVALID', TITLES['PLATFORM.INPUT_INVALID'], error.message))
    return
  }
  const failure = classify(error)
  request.log.error({ err: failure }, 'a request failed')
  if (failure.code === 'STORE_FAILED') {
    const message = 'The database cannot be read at the moment. Try again; /readyz tells when it is back.'
    reply
      .code(503)
      .header('retry-after', '1')
      .send(errorBody(null, failure.title, message))
    return
  }
  const message = `Unexpected failure of request ${request.id}. The log of the server has the cause under this id.`
  reply.code(500).send(errorBody('PLATFORM.UNKNOWN_ERROR', TITLES['PLATFORM.UNKNOWN_ERROR'], message))
}

/** Answers unknown routes in the error envelope. */
export function sendNotFound(request: FastifyRequest, reply: FastifyReply): void {
  const path = request.url.split('?')[0] ?? ''
  reply
    .code(404)
    .send(errorBody(null, 'Route not found', `There is no ${request.method} ${path}. The README lists all routes.`))
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** Answers every other method of a route with 405, before a body is read. */
export function refuseOtherMethods(app: FastifyInstance, url: string, allowed: 'GET' | 'POST'): void {
  app.route({
    method: METHODS.filter((method) => method !== allowed),
    url,
    onRequest: async (request, reply) => {
      const message = `${request.method} is not allowed here; use ${allowed}.`
      return reply
        .code(405)
        .header('allow', allowed)
        .send(errorBody(null, 'Method not allowed', message))
    },
    handler: async () => undefined,
  })
}
