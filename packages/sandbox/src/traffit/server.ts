import type { Clock } from '@tidemark/base'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type FaultSpec, type Faults, HTTP_FAULTS } from '../faults.ts'
import { RateLimiter } from '../kombo/rate-limit.ts'
import { cutConnection } from '../kombo/spoil.ts'
import type { Company } from '../world/company.ts'
import { EVENT_TYPES } from './events.ts'
import type { History } from './history.ts'
import { type Rendered, refusal } from './listing.ts'
import { published, ROUTES, type Route } from './routes.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { TokenIssuer } from './tokens.ts'

export interface ServerDeps {
  readonly clock: Clock
  readonly company: Company
  readonly history: History
  readonly tokens: TokenIssuer
  readonly subscriptions: Subscriptions
  readonly faults: Faults
  /** Requests a second; null: no limit. */
  readonly rateLimit: number | null
  /** A page of every listing that has one row less than it should; null: none. */
  readonly shortPage: () => number | null
  /** Aborts answers that are being delayed. */
  readonly stopped: AbortSignal
  /** Called for each request. */
  readonly onRequest: () => void
}

const API = '/api/integration/v2'
/** Listings that know no slash at their end. */
const SLASHLESS = new Set(['/talents/', '/workflows/', '/sources/', '/provisions/'])

/** TRAFFIT's API of one tenant. */
export function createServer(deps: ServerDeps): FastifyInstance {
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1_000_000 })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  const api = new TraffitApi(deps)
  app.route({
    method: ['GET', 'POST', 'DELETE', 'PATCH'],
    url: '/*',
    handler: (request, reply) => api.serve(request, reply),
  })
  return app
}

interface Found {
  /** Name in faults. */
  readonly name: string
  /** Scope that is needed; null: none, and no token. */
  readonly scope: string | null
  readonly handle: (request: FastifyRequest) => Rendered
}

const UNKNOWN: Found = { name: 'unknown', scope: null, handle: () => refusal(404, 'Not Found') }

class TraffitApi {
  readonly #deps: ServerDeps
  readonly #rate: RateLimiter | null

  constructor(deps: ServerDeps) {
    this.#deps = deps
    this.#rate = deps.rateLimit === null ? null : new RateLimiter(deps.clock, { limit: deps.rateLimit, windowMs: 1000 })
  }

  /** Everything around a request: rate limit, faults, token, scope, sending. */
  async serve(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { faults, clock, stopped, company, onRequest } = this.#deps
    onRequest()
    const found = this.#find(request)
    const page = Number(request.headers['x-request-current-page'] ?? 1)
    const taken = faults.take(HTTP_FAULTS, { endpoint: found.name, integrationId: company.integrationId, page })
    for (const fault of taken) if (fault.kind === 'slow') await clock.sleep(fault.delayMs ?? 1000, stopped)
    const fault = taken.find((each) => each.kind !== 'slow')
    const answer = (fault && instead(fault)) ?? this.#answer(request, found)
    const body =
      answer.body === undefined ? '' : typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
    const headers = { 'content-type': 'application/json', ...answer.headers }
    if (fault?.kind === 'cut_before_headers' || fault?.kind === 'cut_mid_body')
      return cutConnection(reply, fault, { status: answer.status, headers, body })
    await reply
      .code(answer.status)
      .headers(headers)
      .send(fault ? spoiled(body, fault) : body)
  }

  #answer(request: FastifyRequest, { scope, handle }: Found): Rendered {
    if (this.#rate?.take().exceeded) return { ...refusal(429, 'Too Many Requests'), headers: { 'retry-after': '1' } }
    if (scope === null) return handle(request)
    const grant = this.#deps.tokens.grantOf(request.headers.authorization)
    if (grant === 'unknown')
      return {
        status: 401,
        headers: {},
        body: { error: 'invalid_grant', error_description: 'The access token provided is invalid' },
      }
    if (!grant.scopes.has(scope)) return refusal(403, `the scope ${scope} is missing`)
    return handle(request)
  }

  #find(request: FastifyRequest): Found {
    const path = request.url.split('?', 1)[0] as string
    if (path === '/oauth2/token') return { name: 'token', scope: null, handle: (each) => this.#token(each) }
    if (path === '/public/job_posts/published')
      return { name: 'published', scope: null, handle: ({ headers }) => published(this.#context(headers, [])) }
    if (!path.startsWith(`${API}/`)) return UNKNOWN
    const below = path.slice(API.length)
    if (SLASHLESS.has(below))
      return { ...UNKNOWN, handle: () => ({ status: 301, headers: { location: path.slice(0, -1) }, body: '' }) }
    const plain = below.replace(/\/$/, '')
    if (plain.startsWith('/webhooks'))
      return { name: 'webhooks', scope: 'webhook', handle: (each) => this.#webhooks(each, plain) }
    const route = request.method === 'GET' ? routeOf(plain) : undefined
    if (!route) return UNKNOWN
    const ids = plain.match(/\d+/g) ?? []
    return { name: route.name, scope: route.scope, handle: ({ headers }) => route.handle(this.#context(headers, ids)) }
  }

  #context(headers: FastifyRequest['headers'], ids: readonly string[]) {
    const { company, history, shortPage } = this.#deps
    return { company, history, headers, ids, shortPage: shortPage() }
  }

  #token(request: FastifyRequest): Rendered {
    const body = this.#deps.tokens.issue(fieldsOf(request))
    if (request.method === 'POST' && body !== null) return { status: 200, headers: {}, body }
    const error = { error: 'invalid_client', error_description: 'The client credentials are invalid' }
    return { status: 400, headers: {}, body: error }
  }

  #webhooks(request: FastifyRequest, path: string): Rendered {
    const { subscriptions } = this.#deps
    const { method } = request
    if (method === 'GET' && path === '/webhooks/types')
      return { status: 200, headers: {}, body: EVENT_TYPES.map((name, index) => ({ id: index + 1, name })) }
    if (method === 'GET' && path === '/webhooks') return { status: 200, headers: {}, body: subscriptions.list() }
    if (method === 'POST' && path === '/webhooks') return this.#subscribe(fieldsOf(request))
    const id = /^\/webhooks\/(\d+)$/.exec(path)?.[1]
    if (method !== 'DELETE' || id === undefined) return refusal(404, 'Not Found')
    return subscriptions.remove(Number(id)) ? { status: 204, headers: {}, body: undefined } : refusal(404, 'Not Found')
  }

  #subscribe({ type, url }: Readonly<Record<string, unknown>>): Rendered {
    const isKnown = EVENT_TYPES.some((known) => known === type)
    if (!isKnown || typeof url !== 'string' || !URL.canParse(url))
      return {
        status: 400,
        headers: {},
        body: { errors: { [isKnown ? 'url' : 'type']: ['This value is not valid.'] } },
      }
    const body = this.#deps.subscriptions.add(type as string, url)
    return body ? { status: 201, headers: {}, body } : refusal(400, 'there are too many subscriptions')
  }
}

const PATTERNS = ROUTES.map((route) => ({ route, pattern: new RegExp(`^${route.path.replaceAll('#', '\\d+')}$`) }))

const routeOf = (path: string): Route | undefined => PATTERNS.find(({ pattern }) => pattern.test(path))?.route

/** The fields of a body in JSON, as a form, or in parts; empty for anything else. */
function fieldsOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const text = typeof request.body === 'string' ? request.body : ''
  const type = request.headers['content-type'] ?? ''
  if (type.startsWith('application/x-www-form-urlencoded')) return Object.fromEntries(new URLSearchParams(text))
  if (type.startsWith('multipart/form-data')) {
    const parts = text.matchAll(/name="([^"]+)"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)\r\n/g)
    return Object.fromEntries([...parts].map(([, name = '', value = '']) => [name, value]))
  }
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  } catch {
    // What is no JSON has no fields; the route says which one it misses.
    return {}
  }
}

/** What a fault answers without looking at the request; undefined when it spoils the true answer instead. */
function instead(fault: FaultSpec): Rendered | undefined {
  switch (fault.kind) {
    case 'rate_limited':
      return { ...refusal(429, 'Too Many Requests'), headers: { 'retry-after': String(fault.resetSeconds ?? 1) } }
    case 'server_error':
      return refusal(500, 'Internal Server Error')
    case 'html_bad_gateway':
      return { status: 502, headers: { 'content-type': 'text/html' }, body: '<html><h1>502 Bad Gateway</h1></html>' }
    case 'empty_body':
      return { status: 200, headers: {}, body: '' }
    default:
      return undefined
  }
}

/** Breaks a good answer: half of its JSON, or one row that cannot be mapped. */
function spoiled(body: string, fault: FaultSpec): string {
  if (fault.kind === 'malformed_json') return body.slice(0, Math.floor(body.length / 2))
  if (fault.kind !== 'unmappable_record') return body
  const json: unknown = JSON.parse(body)
  const row = Array.isArray(json) ? json[fault.index ?? 0] : json
  if (typeof row === 'object' && row !== null) Object.assign(row, { [fault.field ?? 'id']: fault.value ?? 'no number' })
  return JSON.stringify(json)
}
