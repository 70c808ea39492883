import type { Passthrough, PassthroughAnswer, PassthroughOptions } from '@tidemark/connector'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { requestedIntegration, requireEveryModel, requireWrite, scopeOf, type VisibleIntegration } from '../context.ts'
import type { ApiDeps } from '../deps.ts'
import { ApiError, inputInvalid, refuseOtherMethods } from '../errors.ts'
import { toolOf } from '../general/tools.ts'
import type { Slots } from '../live/slots.ts'
import { noSource, sourceOf } from '../live/sources.ts'
import { whileWaiting } from '../live/waiting.ts'
import { NO_PARAMETERS } from '../parameters.ts'
import { readPassthroughBody } from './body.ts'
import { passthroughFailure, timedOut } from './failures.ts'

const ROUTE = '/v1/passthrough/:tool/:api'
/** Kombo's 10 MB of files, in base64, and what is around them. */
const BODY_BYTES_MAX = 14_000_000

interface Params {
  readonly tool: string
  readonly api: string
}

/**
 * `POST /v1/passthrough/{tool}/{api}`, Kombo's form: sends a request to the native API of an integration's tool with the credentials of its source,
 * and answers 200 with whatever that answered. It can show and change everything at the provider, so the key needs `write` and all models.
 */
export function registerPassthrough(app: FastifyInstance, deps: ApiDeps, slots: Slots): void {
  // Before a large body is read.
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    const scope = scopeOf(request)
    requireWrite(scope)
    requireEveryModel(scope)
  }
  const options = { config: NO_PARAMETERS, bodyLimit: BODY_BYTES_MAX, onRequest }
  app.post<{ Params: Params }>(ROUTE, options, async (request, reply) => {
    const { tool, api } = request.params
    const integration = await requestedIntegration(deps, request)
    const passthrough = targetOf(deps, integration, tool, api)
    const wanted = readPassthroughBody(request.body)
    return slots.run(integration.id, reply, async () => {
      const sending = { integrationId: integration.id, tool, api, request: wanted }
      const answer = await sendOn(deps, passthrough, sending, reply)
      const told = { integration_id: integration.id, tool, api, method: wanted.method, status: answer.status }
      deps.logger.info({ ...told, key: scopeOf(request).name }, 'a request was sent on to the provider')
      return reply.type('application/json; charset=utf-8').send(bodyOf(answer))
    })
  })
  refuseOtherMethods(app, ROUTE, 'POST')
}

/** Where the requests of an integration go; throws when that is nowhere, or is called otherwise. */
function targetOf(deps: ApiDeps, integration: VisibleIntegration, tool: string, api: string): Passthrough {
  const { id } = integration
  const source = sourceOf(deps, integration)
  // An id without tool belongs to a provider that does not tell it.
  const expected = id.includes(':') || !source ? toolOf(id).id : source.connector
  if (tool !== expected)
    throw inputInvalid(`"${id}" is an integration of ${expected}: send to /v1/passthrough/${expected}/….`)
  if (!source) throw noSource(integration)
  const { connector, passthrough } = source
  if (!passthrough)
    throw inputInvalid(`Requests cannot be sent on to ${id}: the connector ${connector} has no passthrough.`)
  if (passthrough.apis && !passthrough.apis.includes(api)) {
    const known = passthrough.apis.map((each) => `${tool}/${each}`).join(', ')
    throw inputInvalid(`There is no API "${tool}/${api}"; "${id}" has ${known}.`)
  }
  return passthrough
}

async function sendOn(
  deps: ApiDeps,
  passthrough: Passthrough,
  sending: Omit<PassthroughOptions, 'signal'>,
  reply: FastifyReply,
): Promise<PassthroughAnswer> {
  const late = (ms: number): ApiError => timedOut(ms, sending.request.method)
  try {
    return await whileWaiting(deps, reply, late, (signal) => passthrough.send({ ...sending, signal }))
  } catch (error) {
    throw passthroughFailure(error)
  }
}

function bodyOf({ url, status, headers, data, warnings }: PassthroughAnswer): string {
  const told = warnings.map((message) => ({ message }))
  try {
    return JSON.stringify({ status: 'success', data: { url, status, headers, data }, warnings: told })
  } catch {
    const message = `${url}: the answer (status ${status}) is nested too deeply to be handed on. Ask for it with response_as_base64.`
    throw new ApiError(502, 'PLATFORM.UNKNOWN_ERROR', message)
  }
}
