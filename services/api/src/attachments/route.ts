import { ATTACHMENT_ACTIONS, ATTACHMENT_MODELS, type AttachmentModel } from '@tidemark/connector'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { namedIntegration, requestedIntegration, scopeOf } from '../context.ts'
import type { ApiDeps } from '../deps.ts'
import { ApiError, inputInvalid, refuseOtherMethods } from '../errors.ts'
import type { Slots } from '../live/slots.ts'
import { noSource, sourceOf } from '../live/sources.ts'
import { whileWaiting } from '../live/waiting.ts'
import { NO_PARAMETERS } from '../parameters.ts'
import { requireReady } from '../setup.ts'
import { listBody, originOf } from './body.ts'
import { contentHeaders } from './content.ts'
import { askedTooLong, attachmentFailure } from './failures.ts'
import { recordNotFound } from './record.ts'
import { targetOf } from './target.ts'

interface Params {
  readonly id: string
}
interface ContentParams extends Params {
  readonly attachment: string
}

/**
 * `GET /v1/ats/{applications|candidates}/{id}/attachments` and `/v1/ats/actions/{action}`, Kombo's form, answered by the integration's provider at that
 * moment; and `…/attachments/{attachment}/content` for files that only the source's credentials open.
 */
export function registerAttachments(app: FastifyInstance, deps: ApiDeps, slots: Slots): void {
  const ask = createAsking(deps, slots)
  for (const model of ATTACHMENT_MODELS) {
    registerList(app, deps, ask, model)
    registerContent(app, deps, ask, model)
  }
  registerRestrictions(app, deps, ask)
}

type Ask = <T>(
  request: FastifyRequest,
  reply: FastifyReply,
  integrationId: string,
  work: (signal: AbortSignal) => Promise<T>,
) => Promise<T>

/** Asks a provider in one of the integration's slots, while somebody waits. */
function createAsking(deps: ApiDeps, slots: Slots): Ask {
  return (request, reply, integrationId, work) =>
    slots.run(integrationId, reply, async () => {
      try {
        const answer = await whileWaiting(deps, reply, askedTooLong, work)
        const told = { integration_id: integrationId, route: request.routeOptions.url, key: scopeOf(request).name }
        deps.logger.info(told, 'a provider was asked about attachments')
        return answer
      } catch (error) {
        throw attachmentFailure(error)
      }
    })
}

function registerList(app: FastifyInstance, deps: ApiDeps, ask: Ask, model: AttachmentModel): void {
  const url = `/v1/ats/${model}/:id/attachments`
  app.get<{ Params: Params }>(url, { config: NO_PARAMETERS }, async (request, reply) => {
    const integration = await requestedIntegration(deps, request)
    const { attachments, record } = await targetOf(deps, request, integration, { model, id: request.params.id })
    const origin = originOf(deps, request)
    const list = await ask(request, reply, integration.id, (signal) => attachments.list({ ...record, signal }))
    // The provider knows before the next sync does.
    if (list === null) throw recordNotFound(record)
    return listBody(list, record, origin)
  })
  refuseOtherMethods(app, url, 'GET')
}

function registerContent(app: FastifyInstance, deps: ApiDeps, ask: Ask, model: AttachmentModel): void {
  const url = `/v1/ats/${model}/:id/attachments/:attachment/content`
  const config = { parameters: ['integration_id'] }
  app.get<{ Params: ContentParams }>(url, { config }, async (request, reply) => {
    const { id, attachment: attachmentId } = request.params
    const integration = await namedIntegration(deps, request)
    const { attachments, record } = await targetOf(deps, request, integration, { model, id })
    const content = await ask(request, reply, integration.id, async (signal) =>
      attachments.content?.({ ...record, attachmentId, signal }),
    )
    if (!content) throw attachmentNotFound(attachmentId, model, id)
    return reply
      .headers(contentHeaders(content))
      .send(Buffer.from(content.bytes.buffer, content.bytes.byteOffset, content.bytes.byteLength))
  })
  refuseOtherMethods(app, url, 'GET')
}

function attachmentNotFound(attachmentId: string, model: AttachmentModel, id: string): ApiError {
  const message = `There is no attachment ${attachmentId} of ${model} ${id} to be had here. Take data_url from a new read of the attachments.`
  return new ApiError(404, 'PLATFORM.INPUT_INVALID', message)
}

function registerRestrictions(app: FastifyInstance, deps: ApiDeps, ask: Ask): void {
  const url = '/v1/ats/actions/:action'
  app.get<{ Params: { readonly action: string } }>(url, { config: NO_PARAMETERS }, async (request, reply) => {
    const action = ATTACHMENT_ACTIONS.find((each) => each === request.params.action)
    if (action === undefined)
      throw inputInvalid(
        `"${request.params.action}" is no action that takes files; those are ${ATTACHMENT_ACTIONS.join(', ')}.`,
      )
    const integration = await requestedIntegration(deps, request)
    requireReady(integration)
    const source = sourceOf(deps, integration)
    if (!source) throw noSource(integration)
    const { attachments } = source
    const asked = { integrationId: integration.id, action }
    const known = attachments?.restrictions
      ? await ask(request, reply, integration.id, async (signal) => attachments.restrictions?.({ ...asked, signal }))
      : null
    return { status: 'success', data: { attachment_restrictions: known ?? null }, warnings: [] }
  })
  refuseOtherMethods(app, url, 'GET')
}
