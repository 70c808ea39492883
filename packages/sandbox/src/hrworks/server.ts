import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type FaultSpec, type Faults, HTTP_FAULTS } from '../faults.ts'
import { RateLimiter } from '../kombo/rate-limit.ts'
import { type Api, type Call, type Reply, refusal } from './api.ts'
import type { Resource, Settings } from './options.ts'
import type { TokenIssuer } from './tokens.ts'

export interface Stats {
  requests: number
  /** Answers with a status of 400 or more. */
  errors: number
  rateLimited: number
}

export interface ServerDeps {
  readonly settings: Settings
  readonly api: Api
  readonly faults: Faults
  readonly tokens: TokenIssuer
  /** Resources that the key pair may not use. */
  readonly forbidden: ReadonlySet<Resource>
  readonly stats: Stats
  readonly stopped: AbortSignal
}

const RETRY_AFTER_SECONDS = 5

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

interface Route {
  readonly method: Method
  readonly path: string
  readonly resource: Resource
  readonly answer: (api: Api, call: Call) => Reply
}

const route = (method: Method, path: string, resource: Resource, answer: Route['answer']): Route => ({
  ...{ method, path, resource, answer },
})

const MANAGEMENT = '/applicant-management'

const ROUTES: readonly Route[] = [
  route('GET', '/persons', 'persons', (api, call) => api.persons(call)),
  route('GET', '/persons/master-data', 'master-data', (api, call) => api.masterData(call)),
  route('GET', '/organization-units', 'organization-units', (api) => api.organizationUnits()),
  route('GET', `${MANAGEMENT}/posts`, 'posts', (api, call) => api.posts(call)),
  route('GET', `${MANAGEMENT}/posts/:id`, 'posts', (api, call) => api.post(call)),
  route('GET', `${MANAGEMENT}/applicants`, 'applicants', (api, call) => api.applicants(call)),
  route('GET', `${MANAGEMENT}/applicants/:id`, 'applicants', (api, call) => api.applicant(call)),
  route('GET', `${MANAGEMENT}/job-applications`, 'job-applications', (api, call) => api.jobApplications(call)),
  route('POST', `${MANAGEMENT}/job-applications`, 'job-applications', (api, call) => api.createJobApplications(call)),
  route('POST', `${MANAGEMENT}/job-applications/:id/files`, 'job-applications', (api, call) => api.addFile(call)),
  route('GET', `${MANAGEMENT}/job-applications/jobs/:id`, 'job-applications', (api, call) =>
    api.job('job-applications', call),
  ),
  route('GET', '/webhooks', 'webhooks', (api, call) => api.webhooks(call)),
  route('POST', '/webhooks', 'webhooks', (api, call) => api.createWebhooks(call)),
  route('PUT', '/webhooks', 'webhooks', (api, call) => api.editWebhooks(call)),
  route('DELETE', '/webhooks', 'webhooks', (api, call) => api.removeWebhooks(call)),
  route('GET', '/webhooks/jobs/:id', 'webhooks', (api, call) => api.job('webhooks', call)),
]

/** HR WORKS' API under `/v2`. */
export function createServer(deps: ServerDeps): FastifyInstance {
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 10_000_000 })
  const server = new Server(deps)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.get('/v2/health-check', (_request, reply) => reply.code(200).send())
  app.post('/v2/authentication', (request, reply) =>
    server.serve('authentication', request, reply, () => server.authenticate(request)),
  )
  for (const { method, path, resource, answer } of ROUTES) {
    const handler = (request: FastifyRequest, reply: FastifyReply): Promise<void> =>
      server.serve(resource, request, reply, () => server.guarded(resource, request, (call) => answer(deps.api, call)))
    app.route({ method, url: `/v2${path}`, handler })
  }
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(refusal(404, 'notFound', 'There is no such route.').body),
  )
  return app
}

class Server {
  readonly #deps: ServerDeps
  readonly #rate: RateLimiter | null

  constructor(deps: ServerDeps) {
    const { clock, requestsPerMinute } = deps.settings
    this.#deps = deps
    this.#rate =
      requestsPerMinute === null ? null : new RateLimiter(clock, { limit: requestsPerMinute, windowMs: 60_000 })
  }

  /** Everything around a request: faults, sending. */
  async serve(endpoint: string, request: FastifyRequest, reply: FastifyReply, handle: () => Reply): Promise<void> {
    const { stats, faults, settings, stopped } = this.#deps
    stats.requests++
    const page = Number(queryOf(request)['page']?.[0] ?? '1')
    const taken = faults.take(HTTP_FAULTS, { endpoint, integrationId: settings.company.integrationId, page })
    for (const fault of taken) if (fault.kind === 'slow') await settings.clock.sleep(fault.delayMs ?? 1000, stopped)
    const fault = taken.find(({ kind }) => kind !== 'slow')
    const answer = (fault && instead(fault)) ?? handle()
    if (answer.status >= 400) stats.errors++
    if (fault?.kind === 'cut_before_headers' || fault?.kind === 'cut_mid_body') return cut(reply, fault, answer)
    void reply
      .code(answer.status)
      .headers({ 'content-type': 'application/json', ...(answer.link === undefined ? {} : { link: answer.link }) })
      .headers(answer.status === 429 ? { 'retry-after': String(fault?.resetSeconds ?? RETRY_AFTER_SECONDS) } : {})
      .send(spoiled(answer, fault))
  }

  authenticate(request: FastifyRequest): Reply {
    const { settings, tokens } = this.#deps
    const body = jsonOf(request) as { readonly accessKey?: unknown; readonly secretAccessKey?: unknown } | null
    if (body?.accessKey !== settings.accessKey || body.secretAccessKey !== settings.secretAccessKey)
      return refusal(403, 'forbidden', 'The credentials are invalid.')
    return { status: 200, body: { token: tokens.issue() } }
  }

  /** A route that needs a token, a permission, and quota. */
  guarded(resource: Resource, request: FastifyRequest, answer: (call: Call) => Reply): Reply {
    const { tokens, forbidden, stats } = this.#deps
    if (!tokens.isValid(request.headers.authorization))
      return refusal(401, 'unauthorized', 'The access token is missing or has expired.')
    if (this.#rate?.take().exceeded) {
      stats.rateLimited++
      return refusal(429, 'tooManyRequests', 'Too many requests.')
    }
    if (forbidden.has(resource)) return refusal(403, 'forbidden', `The permission for ${resource} is missing.`)
    const isBytes = request.headers['content-type'] === 'application/octet-stream'
    return answer({
      query: queryOf(request),
      params: request.params as Record<string, string>,
      body: isBytes ? request.body : jsonOf(request),
      url: `http://${request.headers.host ?? ''}${request.url.split('?')[0]}`,
    })
  }
}

function jsonOf(request: FastifyRequest): unknown {
  try {
    return JSON.parse(String(request.body))
  } catch {
    // What the body should have held is then missing, which each route refuses in its own words.
    return null
  }
}

/** Values by name: repeated, comma-separated, in brackets, or with `[]` behind the name. */
function queryOf(request: FastifyRequest): Record<string, string[]> {
  const query: Record<string, string[]> = {}
  for (const [name, value] of new URLSearchParams(request.url.split('?')[1] ?? '')) {
    const key = name.replace(/\[\]$/, '')
    const isList =
      /^\[.*\]$/.test(value) || ['posts', 'applicants', 'numbers', 'statusFilter', 'organizationUnits'].includes(key)
    const values = isList ? value.replace(/^\[|\]$/g, '').split(',') : [value]
    query[key] = [...(query[key] ?? []), ...values.map((each) => each.trim()).filter((each) => each !== '')]
  }
  return query
}

function instead({ kind }: FaultSpec): Reply | undefined {
  if (kind === 'rate_limited') return refusal(429, 'tooManyRequests', 'Too many requests.')
  if (kind === 'server_error') return refusal(500, 'internal', 'Something went wrong on our side.')
  if (kind === 'html_bad_gateway') return { status: 502, body: '<html><body>502 Bad Gateway</body></html>' }
  if (kind === 'empty_body') return { status: 200, body: '' }
  return undefined
}

function textOf({ body }: Reply): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** The bytes of an answer: half of its JSON, or with one record that cannot be mapped, where a fault says so. */
function spoiled(answer: Reply, fault: FaultSpec | undefined): string {
  const text = textOf(answer)
  if (fault?.kind === 'malformed_json') return text.slice(0, Math.floor(text.length / 2))
  if (fault?.kind !== 'unmappable_record') return text
  const page = JSON.parse(text) as Record<string, Record<string, unknown>[]>
  const record = Object.values(page).find(Array.isArray)?.[fault.index ?? 0]
  if (record) record[fault.field ?? 'id'] = fault.value ?? null
  return JSON.stringify(page)
}

function cut(reply: FastifyReply, fault: FaultSpec, answer: Reply): void {
  reply.hijack()
  const { raw } = reply
  if (fault.kind === 'cut_before_headers') {
    raw.destroy()
    return
  }
  const body = Buffer.from(textOf(answer))
  raw.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': body.length })
  raw.write(body.subarray(0, Math.floor(body.length / 2)), () => raw.destroy())
}
