/**
 * `POST /webhooks/<source>`. The body is taken as bytes whatever its content type says, proved, and stored; only then is it answered.
 * Nothing is parsed before the proof, and nothing of an unproved request is stored.
 */
import { type Clock, classify, createRedactor, type ErrorCode, LIMITS } from '@tidemark/base'
import type { WebhookRequest } from '@tidemark/connector'
import type { Raw } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { NamedSource } from '../fetchStream.ts'
import { isUsableIntegrationId, storedHeaders } from '../raw.ts'
import { webhookRaw } from '../spooledWebhook.ts'
import { errorBody } from './errorBody.ts'

export interface WebhookDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly sources: ReadonlyMap<string, NamedSource>
  /** Resolves when the webhook is durable; rejects when it must not be acknowledged. */
  store(raw: Raw): Promise<void>
}

/** Refusals that would be one log line per webhook; the first of each spell is told where they begin. */
const QUIET: ReadonlySet<ErrorCode> = new Set(['OVERLOADED', 'SPOOL_FULL'])

/** Seconds after which a refused webhook is to be sent again. */
const RETRY_AFTER = '10'

type Params = { readonly source: string }

/** Registers the route, in a scope of its own, so that no other route's body parsing or error format changes. */
export function registerPostWebhook(app: FastifyInstance, deps: WebhookDeps): void {
  void app.register(
    async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
      scope.setErrorHandler((error, _request, reply) => sendFailure(deps, error, reply))
      scope.setNotFoundHandler((request, reply) =>
        reply
          .code(404)
          .send(
            errorBody(
              'REQUEST_INVALID',
              `There is no ${request.method} ${pathOf(request)}. Webhooks are sent by POST.`,
            ),
          ),
      )
      const intake = createIntake(deps)
      scope.post<{ Params: Params }>(
        '/:source',
        { bodyLimit: LIMITS.webhookBytesMax, onRequest: (request, reply) => refuseUnknownSource(deps, request, reply) },
        intake,
      )
    },
    { prefix: '/webhooks' },
  )
}

const pathOf = (request: FastifyRequest): string => request.url.split('?')[0] ?? ''

/** Before the body is read. Also makes any content type, even a malformed one, mean "bytes" to fastify. */
async function refuseUnknownSource(
  { sources, metrics }: WebhookDeps,
  request: FastifyRequest<{ Params: Params }>,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  const { source } = request.params
  if (!sources.has(source)) {
    metrics.webhooks.inc({ source: 'unknown', outcome: 'unknown_source' })
    const message = `No source is named "${source.slice(0, 100)}". Use the name of a source in the configuration: /webhooks/<name>.`
    return reply.code(404).send(errorBody('SOURCE_UNKNOWN', message))
  }
  contentTypes.set(request.raw, request.raw.headers['content-type'])
  request.raw.headers['content-type'] = 'application/octet-stream'
  return undefined
}

/** What the sender said the body is, for storing the headers as they came. */
const contentTypes = new WeakMap<object, string | undefined>()

function createIntake(deps: WebhookDeps) {
  return async (request: FastifyRequest<{ Params: Params }>, reply: FastifyReply): Promise<FastifyReply> => {
    const from = deps.sources.get(request.params.source) as NamedSource
    const webhook = toWebhookRequest(request)
    if (!from.source.verifyWebhook(webhook)) {
      deps.metrics.webhooks.inc({ source: from.name, outcome: 'unauthorized' })
      const message = `The signature or secret of this webhook is missing or wrong. Check webhook_secret, or the key that takes its place, of the source "${from.name}".`
      return reply.code(401).send(errorBody('SIGNATURE_INVALID', message))
    }
    try {
      await deps.store(toRaw(from, webhook, pathOf(request), deps.clock.now()))
    } catch (error) {
      return sendUnstored(deps, from, error, reply)
    }
    deps.metrics.webhooks.inc({ source: from.name, outcome: 'accepted' })
    return reply.code(200).send({ status: 'success' })
  }
}

function toWebhookRequest(request: FastifyRequest): WebhookRequest {
  const query: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(request.query as Record<string, unknown>))
    if (typeof value === 'string') query[name] = value
  const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  // All headers: the proof may stand in one that is not stored, such as an authorization.
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.raw.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  const contentType = contentTypes.get(request.raw)
  if (contentType === undefined) delete headers['content-type']
  else headers['content-type'] = contentType
  return { headers, query, rawBody }
}

function toRaw(from: NamedSource, webhook: WebhookRequest, route: string, receivedAtMs: number): Raw {
  const id = from.source.integrationOf(webhook)
  const kept = {
    source: from.name,
    integration_id: id !== null && isUsableIntegrationId(id) ? id : null,
    route,
    headers: withoutQuery(storedHeaders(webhook.headers, from.connector.secretHeaders), webhook.query),
    received_at: receivedAtMs,
  }
  return webhookRaw(kept, webhook.rawBody)
}

/** Proxies repeat the address that they were asked for, with the secret in its query: `x-original-uri`, `x-forwarded-uri` and others. */
function withoutQuery(
  headers: Readonly<Record<string, string>>,
  query: WebhookRequest['query'],
): Record<string, string> {
  const redact = createRedactor(Object.values(query).filter((value) => value !== undefined))
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, redact(value)]))
}

/** Nothing was acknowledged, so the provider is told to come again. */
function sendUnstored(deps: WebhookDeps, from: NamedSource, thrown: unknown, reply: FastifyReply): FastifyReply {
  const error = classify(thrown)
  deps.metrics.webhooks.inc({ source: from.name, outcome: 'unavailable' })
  if (!QUIET.has(error.code))
    deps.logger.error({ err: error, source: from.name }, 'webhook was not stored and not acknowledged')
  const message = `The webhook could not be stored, so it is not acknowledged: ${error.message} Send it again after ${RETRY_AFTER} s.`
  return reply.code(503).header('retry-after', RETRY_AFTER).send(errorBody(error.code, message))
}

/** Failures of the HTTP layer: a body over the limit, a cut request, anything unforeseen. */
function sendFailure(deps: WebhookDeps, thrown: unknown, reply: FastifyReply): FastifyReply {
  const { statusCode, code } = thrown as { readonly statusCode?: number; readonly code?: string }
  const source = (reply.request.params as Partial<Params> | null)?.source
  const label = source !== undefined && deps.sources.has(source) ? source : 'unknown'
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    deps.metrics.webhooks.inc({ source: label, outcome: 'too_large' })
    const message = `The body has more than ${LIMITS.webhookBytesMax} bytes. Send smaller webhooks.`
    return reply.code(413).send(errorBody('BODY_TOO_LARGE', message))
  }
  deps.metrics.webhooks.inc({ source: label, outcome: 'failed' })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const message = `The request cannot be read: ${(thrown as Error).message}. Send the body with its length, by POST.`
    return reply.code(statusCode).send(errorBody('REQUEST_INVALID', message))
  }
  deps.logger.error({ err: thrown, source: label }, 'webhook request failed')
  const message = `The webhook was not stored. Send it again after ${RETRY_AFTER} s.`
  return reply.code(503).header('retry-after', RETRY_AFTER).send(errorBody('INTERNAL', message))
}
