import { classify } from '@tidemark/base'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Account } from './accounts.ts'
import { CALLS, CALLS_WHILE_INACTIVE, type Call, type CallDeps } from './calls.ts'
import { CALL_FAULTS, type KnitFaultSpec, type KnitFaults } from './faults.ts'
import { Refusal } from './refusal.ts'
import type { KnitStats } from './stats.ts'

export interface KnitServerDeps extends CallDeps {
  readonly faults: KnitFaults
  readonly stats: KnitStats
  /** Keys that are accepted; two while one is exchanged for the other. */
  readonly keys: () => readonly string[]
  readonly account: (integrationId: string) => Account | undefined
}

const JSON_TYPE = 'application/json; charset=utf-8'

/** Knit's API under `/v1.0`. */
export function createKnitServer(deps: KnitServerDeps): FastifyInstance {
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1_000_000 })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  for (const [route, call] of CALLS) {
    const [method, name] = route.split(' ') as ['GET' | 'POST', string]
    app.route({ method, url: `/v1.0/${name}`, handler: (request, reply) => serve(deps, name, call, request, reply) })
  }
  app.setNotFoundHandler((_request, reply) => refuse(reply, new Refusal(404, 'there is no such call')))
  app.setErrorHandler((error, _request, reply) => {
    deps.stats.lastError = classify(error).message
    return refuse(reply, new Refusal(500, classify(error).message))
  })
  return app
}

function serve(
  deps: KnitServerDeps,
  name: string,
  call: Call,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply | undefined {
  deps.stats.calls++
  const fault = deps.faults.take(CALL_FAULTS, { call: name })
  if (fault) return spoil(reply, fault)
  try {
    const account = authorize(deps, name, request)
    const query = request.query as Readonly<Record<string, string | undefined>>
    const data = call(deps, { account, query, body: bodyOf(request) })
    return reply.type(JSON_TYPE).send(JSON.stringify({ success: true, data }))
  } catch (error) {
    if (error instanceof Refusal) return refuse(reply, error)
    throw error
  }
}

const refuse = (reply: FastifyReply, refusal: Refusal): FastifyReply =>
  reply.code(refusal.status).type(JSON_TYPE).send(refusal.body)

function authorize(deps: KnitServerDeps, name: string, { headers }: FastifyRequest): Account {
  if (!deps.keys().some((key) => headers.authorization === `Bearer ${key}`))
    throw new Refusal(401, 'the API key is not valid')
  const id = headers['x-knit-integration-id']
  if (typeof id !== 'string' || id === '') throw new Refusal(400, 'the header X-Knit-Integration-Id is missing')
  const account = deps.account(id)
  if (!account) throw new Refusal(404, 'there is no such integration')
  if (!account.isActive && !CALLS_WHILE_INACTIVE.has(name)) throw new Refusal(403, 'the integration is not active')
  return account
}

function bodyOf({ body }: FastifyRequest): Readonly<Record<string, unknown>> {
  if (typeof body !== 'string' || body === '') return {}
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Refused below like any other body that is no object.
  }
  throw new Refusal(400, 'the body is no JSON object')
}

function spoil(reply: FastifyReply, fault: KnitFaultSpec): FastifyReply | undefined {
  switch (fault.kind) {
    case 'rate_limited':
      return refuse(
        reply.header('retry-after', String(fault.retryAfterSeconds ?? 1)),
        new Refusal(429, 'too many calls'),
      )
    case 'server_error':
      return refuse(reply, new Refusal(500, 'something went wrong'))
    case 'garbage':
      return reply.type('text/html').send('<html>maintenance</html>')
    default:
      reply.hijack()
      reply.raw.destroy()
      return undefined
  }
}
