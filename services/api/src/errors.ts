import { classify, TidemarkError } from '@tidemark/base'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

interface ErrorKind {
  /** Statuses the code is sent with, the usual one first. */
  readonly status: readonly [number, ...number[]]
  /** A short label that never changes. */
  readonly title: string
}

/**
 * Every code these routes send, with its HTTP status. Those without `TIDEMARK.` are Kombo's (https://docs.kombo.dev/guides/errors); its
 * official SDK refuses any other code, so routes that Kombo has too send no other, and those outside of `/v1/ats` only `PLATFORM.` ones.
 * Kombo documents 409 for the setup codes (since 2026-05-19; 503 before), and its SDK's fixtures show 400, 401 and 403; the rest is chosen.
 */
export const API_ERRORS = {
  // 404: an id in the path that no record has. 413 and 415: a body that is too large, or in another format than JSON. 414: an address with a part that
  // is too long.
  'PLATFORM.INPUT_INVALID': { status: [400, 404, 413, 414, 415], title: 'Input is invalid' },
  // 403: the key is known, but what is asked for goes beyond it.
  'PLATFORM.AUTHENTICATION_INVALID': { status: [401, 403], title: 'Authentication is invalid' },
  'PLATFORM.INTEGRATION_NOT_FOUND': { status: [404], title: 'Integration not found' },
  'PLATFORM.RATE_LIMIT_EXCEEDED': { status: [429], title: 'Too many requests' },
  'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED': { status: [429], title: 'Too many clients' },
  // 501: this process cannot do it; 502: the provider cannot be reached, or does not let the request through.
  'PLATFORM.UNKNOWN_ERROR': { status: [500, 501, 502], title: 'Unexpected failure' },
  'PLATFORM.TASK_TIMED_OUT': { status: [504], title: 'Took too long' },
  'INTEGRATION.MODEL_DISABLED': { status: [403], title: 'Model is not allowed' },
  'INTEGRATION.MODEL_NOT_AVAILABLE': { status: [400], title: 'Model is not available' },
  // Neither is about the API key: 401 would say that.
  'INTEGRATION.AUTHENTICATION_INVALID': { status: [409], title: 'Provider refuses the credentials' },
  'INTEGRATION.PERMISSION_MISSING': { status: [403], title: 'Credentials lack a permission' },
  'INTEGRATION.SETUP_SYNC_PENDING': { status: [409], title: 'First sync is not finished' },
  'INTEGRATION.SETUP_INCOMPLETE': { status: [409], title: 'Setup is not finished' },
  'INTEGRATION.QA_FAILED': { status: [409], title: 'First data did not pass the checks' },
  'INTEGRATION.INACTIVE': { status: [409], title: 'Integration is switched off' },
  'REMOTE.RATE_LIMIT_EXCEEDED': { status: [429], title: 'Provider limits the requests' },
  'REMOTE.SERVICE_UNAVAILABLE': { status: [502], title: 'Provider cannot be reached' },
  'REMOTE.UNKNOWN_HTTP_ERROR': { status: [502], title: 'Provider answered something unexpected' },
  'TIDEMARK.RECORD_NOT_FOUND': { status: [404], title: 'Record not found' },
  'TIDEMARK.RECORD_AMBIGUOUS': { status: [400], title: 'Record is ambiguous' },
  'TIDEMARK.POSITION_INVALID': { status: [400], title: 'Position is invalid' },
  'TIDEMARK.SYNC_NOT_FOUND': { status: [404], title: 'Sync not known' },
} as const satisfies Record<string, ErrorKind>

export type ApiErrorCode = keyof typeof API_ERRORS
type StatusOf<C extends ApiErrorCode> = (typeof API_ERRORS)[C]['status'][number]

/** A request that is refused, with what the client is told. The compiler refuses a status that is not the code's. */
export class ApiError<C extends ApiErrorCode = ApiErrorCode> extends TidemarkError {
  readonly status: number
  readonly publicCode: C

  constructor(status: StatusOf<C>, publicCode: C, message: string) {
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

const bodyOf = (code: ApiErrorCode, message: string): object => errorBody(code, API_ERRORS[code].title, message)

/** Sends whatever was thrown in the error envelope; what is not the client's fault is logged. */
export function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof ApiError) {
    if (error.status === 401) reply.header('www-authenticate', 'Bearer')
    reply.code(error.status).send(bodyOf(error.publicCode, error.message))
    return
  }
  const status = 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) {
    reply.code(status).send(bodyOf('PLATFORM.INPUT_INVALID', error.message))
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
  reply.code(500).send(bodyOf('PLATFORM.UNKNOWN_ERROR', message))
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
export function refuseOtherMethods(app: FastifyInstance, url: string, ...allowed: readonly ('GET' | 'POST')[]): void {
  app.route({
    method: METHODS.filter((method) => !allowed.some((each) => each === method)),
    url,
    onRequest: async (request, reply) => {
      const message = `${request.method} is not allowed here; use ${allowed.join(' or ')}.`
      return reply
        .code(405)
        .header('allow', allowed.join(', '))
        .send(errorBody(null, 'Method not allowed', message))
    },
    handler: async () => undefined,
  })
}
