import type { AttachmentModel, AttachmentOptions, Attachments } from '@tidemark/connector'
import type { FastifyRequest } from 'fastify'
import { requireModel, scopeOf, type VisibleIntegration } from '../context.ts'
import type { ApiDeps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { noSource, sourceOf } from '../live/sources.ts'
import { requireReady } from '../setup.ts'
import { remoteKeyOf } from './record.ts'

/** Whom to ask, and for which record. */
export interface Target {
  readonly attachments: Attachments
  readonly record: Omit<AttachmentOptions, 'signal'>
}

/** The record of a request, in an integration that the key may see; throws where it may not be read, is not there, or nobody can be asked. */
export async function targetOf(
  deps: ApiDeps,
  request: FastifyRequest,
  integration: VisibleIntegration,
  { model, id }: { readonly model: AttachmentModel; readonly id: string },
): Promise<Target> {
  requireReady(integration)
  requireModel(scopeOf(request), model)
  const attachments = attachmentsOf(deps, integration, model)
  const name = { integrationId: integration.id, model, id }
  return { attachments, record: { ...name, remoteKey: await remoteKeyOf(deps, name) } }
}

function attachmentsOf(deps: ApiDeps, integration: VisibleIntegration, model: AttachmentModel): Attachments {
  const source = sourceOf(deps, integration)
  if (!source) throw noSource(integration)
  const { connector, attachments } = source
  if (attachments?.models.has(model)) return attachments
  const message = `Attachments of ${model} of "${integration.id}" cannot be read: the connector ${connector} does not read files of its provider.`
  throw new ApiError(400, 'INTEGRATION.MODEL_NOT_AVAILABLE', message)
}
