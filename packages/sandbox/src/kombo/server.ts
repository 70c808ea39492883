import { timingSafeEqual } from 'node:crypto'
import { type Clock, classify, TidemarkError } from '@tidemark/base'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type FaultSpec, type Faults, HTTP_FAULTS } from '../faults.ts'
import type { Settings } from '../options.ts'
import type { SandboxStats } from '../stats.ts'
import { base58Id } from '../world/ids.ts'
import { ATTACHMENT_MODELS, type AttachmentModel, attachmentsOf, fileOf, restrictionsOf } from './attachments.ts'
import { decodeCursor } from './cursor.ts'
import { ENDPOINTS, type Endpoint } from './endpoints.ts'
import { Refusal } from './errors.ts'
import type { Integration } from './integration.ts'
import { listPage } from './listing.ts'
import { RateLimiter, type RateState } from './rate-limit.ts'
import { isoTime, render } from './render.ts'
import { type Answer, cutConnection, faultAnswer, jsonAnswer, spoilBody } from './spoil.ts'
import type { Syncs } from './syncs.ts'

export interface ServerDeps {
  readonly clock: Clock
  readonly settings: Settings
  readonly faults: Faults
  readonly stats: SandboxStats
  readonly syncs: Syncs
  readonly integration: (id: string) => Integration | undefined
  readonly deleteIntegration: (id: string) => void
  /** Aborts answers that are being delayed. */
  readonly stopped: AbortSignal
}

type Handle = (request: FastifyRequest) => string | { readonly refused: Answer } | { readonly answer: Answer }

/** Kombo's API under `/v1`, and the sandbox's own controls under `/sandbox`. */
export function createServer(deps: ServerDeps): FastifyInstance {
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1_000_000 })
  const kombo = new KomboApi(deps)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  for (const endpoint of ENDPOINTS) {
    app.get(`/v1/ats/${endpoint.name}`, (request, reply) =>
      kombo.serve(endpoint.name, request, reply, () => kombo.list(endpoint, request)),
    )
  }
  const route = (method: 'GET' | 'POST' | 'DELETE', url: string, name: string, handle: Handle): void => {
    app.route({ method, url, handler: (request, reply) => kombo.serve(name, request, reply, () => handle(request)) })
  }
  route('GET', '/v1/check-api-key', 'check-api-key', () => success({ environment_id: base58Id('environment') }))
  route('POST', '/v1/force-sync', 'force-sync', (request) => kombo.forceSync(request))
  route('GET', '/v1/integrations/:id', 'integrations', (request) => kombo.details(request))
  route('DELETE', '/v1/integrations/:id', 'integrations', (request) => kombo.remove(request))
  for (const model of ATTACHMENT_MODELS) {
    const name = `${model}-attachments`
    route('GET', `/v1/ats/${model}/:record/attachments`, name, (request) => kombo.attachments(model, request))
  }
  route('GET', '/v1/ats/actions/:action', 'actions', (request) => kombo.restrictions(request))
  files(app, deps)
  controls(app, deps.faults)
  app.setNotFoundHandler((request, reply) => kombo.serve('unknown', request, reply, () => notFound(request)))
  app.setErrorHandler((error, _request, reply) => {
    deps.stats.errors++
    deps.stats.lastError = classify(error).message
    const refusal = new Refusal('PLATFORM.UNKNOWN_ERROR', classify(error).message)
    void reply.code(refusal.status).type('application/json; charset=utf-8').send(refusal.body('error'))
  })
  return app
}

/** `GET /files/…`, the addresses of attachments: for whoever has one, as Kombo's resources are. */
function files(app: FastifyInstance, { integration }: ServerDeps): void {
  const url = '/files/:integration/:candidate/:file'
  app.get<{ Params: Record<'integration' | 'candidate' | 'file', string> }>(url, ({ params }, reply) => {
    const file = fileOf(integration(params.integration), params.candidate, params.file)
    return file ? reply.type(file.contentType).send(Buffer.from(file.content)) : reply.code(404).send('')
  })
}

/** `POST /sandbox/faults` adds one fault or a list, `GET` lists, `DELETE` clears all or (`/sandbox/faults/:id`) one. */
function controls(app: FastifyInstance, faults: Faults): void {
  app.post('/sandbox/faults', (request, reply) => {
    try {
      const body = parseBody(request)
      const ids = (Array.isArray(body) ? body : [body]).map((spec) => faults.add(spec as FaultSpec))
      return reply.code(201).send({ ids })
    } catch (error) {
      if (error instanceof Refusal || error instanceof TidemarkError)
        return reply.code(400).send({ error: error.message })
      throw error
    }
  })
  app.get('/sandbox/faults', () => ({ faults: faults.list(), fired: faults.fired }))
  app.delete<{ Params: { id?: string } }>('/sandbox/faults/:id?', (request, reply) => {
    faults.clear(request.params.id)
    return reply.code(204).send()
  })
}

function success(data: object): string {
  return JSON.stringify({ status: 'success', data })
}

function notFound(request: FastifyRequest): { readonly refused: Answer } {
  const message = `there is no ${request.method} ${request.url.split('?', 1)[0]} in the sandbox`
  const error = { code: null, title: null, message, log_url: null }
  return { refused: jsonAnswer(404, JSON.stringify({ status: 'error', error })) }
}

function parseBody(request: FastifyRequest): unknown {
  const text = typeof request.body === 'string' && request.body !== '' ? request.body : '{}'
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal('PLATFORM.INPUT_INVALID', 'the body is not JSON')
  }
}

class KomboApi {
  readonly #deps: ServerDeps
  readonly #rate: RateLimiter | null
  readonly #key: Buffer
  #interactions = 0

  constructor(deps: ServerDeps) {
    this.#deps = deps
    this.#rate = deps.settings.rateLimit && new RateLimiter(deps.clock, deps.settings.rateLimit)
    this.#key = Buffer.from(`Bearer ${deps.settings.apiKey}`)
  }

  /** Everything around a request: key, rate limit, faults, errors, sending. */
  async serve(
    name: string,
    request: FastifyRequest,
    reply: FastifyReply,
    handle: () => ReturnType<Handle>,
  ): Promise<void> {
    const { stats, faults, clock, settings, stopped } = this.#deps
    const interactionId = base58Id(`interaction|${settings.seed}|${this.#interactions++}`)
    stats.requests++
    const rate = this.#authorized(request) ? this.#rate?.take() : undefined
    const point = { endpoint: name, integrationId: integrationIdOf(request), page: pageOf(request) }
    const taken = faults.take(HTTP_FAULTS, point)
    for (const fault of taken) if (fault.kind === 'slow') await clock.sleep(fault.delayMs ?? 1000, stopped)
    const fault = taken.find((each) => each.kind !== 'slow')
    const instead = fault && faultAnswer(fault, settings.rateLimit?.limit ?? 300, interactionId)
    const answer = instead ?? this.#answer(request, rate, handle, interactionId)
    if (fault?.kind === 'cut_before_headers' || fault?.kind === 'cut_mid_body')
      return cutConnection(reply, fault, answer)
    this.#send(reply, fault ? spoilBody(answer, fault) : answer, rate)
  }

  /** One page of a list endpoint. */
  list(endpoint: Endpoint, request: FastifyRequest): string | { readonly refused: Answer } {
    const { settings, stats, clock } = this.#deps
    const integration = this.#require(integrationIdOf(request), 'the X-Integration-Id header')
    const pending = this.#notReady(integration)
    if (pending) return pending
    const { tool } = integration.company
    const full = settings.coverage === 'full'
    if (!full && tool.absentModels.includes(endpoint.model)) {
      throw new Refusal('INTEGRATION.MODEL_NOT_AVAILABLE', `${tool.label} has no ${endpoint.name}`)
    }
    integration.mirror.expire(clock.now())
    const absentFields = full ? {} : tool.absentFields
    const { rows, next } = listPage(
      {
        endpoint,
        integrationId: integration.id,
        mirror: integration.mirror,
        query: queryOf(request),
        absentFields: absentFields[endpoint.model] ?? [],
      },
      settings.listing,
    )
    stats.pages++
    stats.rows += rows.length
    const context = { mirror: integration.mirror, absentFields }
    return success({ next, results: rows.map((row) => render(row, context)) })
  }

  /** Files of a record, read from the ATS at this moment. */
  attachments(model: AttachmentModel, request: FastifyRequest): ReturnType<Handle> {
    const integration = this.#require(integrationIdOf(request), 'the X-Integration-Id header')
    const pending = this.#notReady(integration)
    if (pending) return pending
    const { record } = request.params as { readonly record: string }
    return { answer: attachmentsOf(integration, model, record, `${request.protocol}://${request.host}`) }
  }

  restrictions(request: FastifyRequest): ReturnType<Handle> {
    this.#require(integrationIdOf(request), 'the X-Integration-Id header')
    return { answer: restrictionsOf((request.params as { readonly action: string }).action) }
  }

  forceSync(request: FastifyRequest): string {
    const integration = this.#require(integrationIdOf(request), 'the X-Integration-Id header')
    const type = (parseBody(request) as { readonly type?: unknown }).type ?? 'FULL'
    if (type !== 'FULL' && type !== 'DELTA') {
      throw new Refusal('PLATFORM.INPUT_INVALID', `type: ${JSON.stringify(type)} is neither FULL nor DELTA`)
    }
    this.#requireActive(integration)
    const { alreadyQueued, sync } = this.#deps.syncs.trigger(integration, type)
    return success({ already_queued: alreadyQueued, sync_id: sync.id, type: sync.type })
  }

  details(request: FastifyRequest): string {
    const integration = this.#require((request.params as { readonly id: string }).id, 'the path')
    const { tool } = integration.company
    return success({
      id: integration.id,
      tool: {
        id: tool.slug,
        label: tool.label,
        internal_label: null,
        logo_url: `https://storage.kombo.dev/tools/${tool.slug}/logo.svg`,
        icon_url: `https://storage.kombo.dev/tools/${tool.slug}/icon.svg`,
      },
      category: 'ATS',
      status: integration.state,
      setup_status: integration.setupStatus,
      end_user: integration.endUser,
      scope_config: { id: base58Id('scope-config'), name: 'Sandbox' },
      data_expired_at: null,
      created_at: isoTime(integration.createdAtMs),
      beta: false,
      read_models: [],
      write_actions: [],
    })
  }

  remove(request: FastifyRequest): string {
    const integration = this.#require((request.params as { readonly id: string }).id, 'the path')
    this.#deps.deleteIntegration(integration.id)
    return success({})
  }

  #answer(
    request: FastifyRequest,
    rate: RateState | undefined,
    handle: () => ReturnType<Handle>,
    interactionId: string,
  ): Answer {
    try {
      if (!this.#authorized(request)) {
        throw new Refusal('PLATFORM.AUTHENTICATION_INVALID', 'The API key is missing or unknown.')
      }
      if (rate?.exceeded) {
        throw new Refusal('PLATFORM.RATE_LIMIT_EXCEEDED', 'You have sent too many requests. Wait for the reset.')
      }
      const result = handle()
      if (typeof result === 'string') return jsonAnswer(200, result)
      return 'answer' in result ? result.answer : result.refused
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return jsonAnswer(error.status, error.body(interactionId))
    }
  }

  #send(reply: FastifyReply, answer: Answer, rate: RateState | undefined): void {
    if (answer.status >= 400) this.#deps.stats.errors++
    void reply
      .code(answer.status)
      .headers({ ...rate?.headers, ...answer.headers })
      .send(answer.body)
  }

  #authorized(request: FastifyRequest): boolean {
    const given = Buffer.from(request.headers.authorization ?? '')
    return given.length === this.#key.length && timingSafeEqual(given, this.#key)
  }

  #require(id: string | null, where: string): Integration {
    if (id === null) throw new Refusal('PLATFORM.INPUT_INVALID', `${where} is missing; give the id of an integration`)
    const integration = this.#deps.integration(id)
    if (!integration) throw new Refusal('PLATFORM.INTEGRATION_NOT_FOUND', `no integration with id "${id}"`)
    return integration
  }

  #requireActive(integration: Integration): void {
    if (integration.state === 'ACTIVE') return
    throw new Refusal('INTEGRATION.INACTIVE', `integration ${integration.id} is ${integration.state}`)
  }

  /** What a read of an integration without data answers; undefined when it has data. Old data stays readable while syncs fail. */
  #notReady(integration: Integration): { readonly refused: Answer } | undefined {
    if (integration.state === 'INACTIVE') this.#requireActive(integration)
    if (integration.qaStatus === 'FAILED' && !integration.firstSyncDone) {
      throw new Refusal('INTEGRATION.QA_FAILED', 'The first data of this integration did not pass our checks.')
    }
    if (integration.setupStatus === 'INCOMPLETE') {
      throw new Refusal('INTEGRATION.SETUP_INCOMPLETE', 'The setup flow of this integration is not finished.')
    }
    if (integration.firstSyncDone) return undefined
    const message = "The first sync of this integration didn't finish yet! Wait for the webhook."
    if (this.#deps.settings.setupErrors === 'conflict') throw new Refusal('INTEGRATION.SETUP_SYNC_PENDING', message)
    return { refused: jsonAnswer(503, JSON.stringify({ status: 'error', error: { message } })) }
  }
}

function integrationIdOf(request: FastifyRequest): string | null {
  const header = request.headers['x-integration-id']
  if (typeof header === 'string' && header !== '') return header
  return (request.params as { readonly id?: string } | undefined)?.id ?? null
}

/** Parameters by name; one that is repeated counts as one comma-separated list. */
function queryOf(request: FastifyRequest): Record<string, string> {
  const query = request.query as Record<string, string | string[]>
  return Object.fromEntries(
    Object.entries(query).map(([key, value]) => [key, Array.isArray(value) ? value.join(',') : value]),
  )
}

/** Number of the requested page, for faults. */
function pageOf(request: FastifyRequest): number {
  const { cursor } = queryOf(request)
  return cursor === undefined ? 1 : (decodeCursor(cursor)?.page ?? 1)
}
