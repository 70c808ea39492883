/** Kombo's webhooks: signed over the raw bytes, carrying names of changed models and lifecycle events, never records. */
import { TidemarkError } from '@tidemark/base'
import type { WebhookEffect, WebhookReading, WebhookRequest } from '@tidemark/connector'
import { hmacMatches, hmacText } from '@tidemark/connector/webhooks'
import { parseTime } from '@tidemark/model'
import type { KomboStream } from './mapping.ts'

export const SIGNATURE_HEADER = 'x-kombo-signature'

/** base64url without padding of HMAC-SHA256 over the raw body. */
export function sign(secret: string, rawBody: Uint8Array): string {
  return hmacText({ secret, bytes: rawBody, encoding: 'base64url' })
}

/** Compares the signature in constant time, before anything of the body is parsed. */
export function verify(secret: string, request: WebhookRequest): boolean {
  const given = request.headers[SIGNATURE_HEADER]
  return hmacMatches({ secret, bytes: request.rawBody, encoding: 'base64url', given })
}

/** Kombo's endpoint table: the models whose change makes a listing worth fetching. */
const MODELS_BY_STREAM: Readonly<Record<KomboStream, readonly string[]>> = {
  applications: [
    'ats_applications',
    'ats_application_stages',
    'ats_candidates',
    'ats_interviews',
    'ats_jobs',
    'ats_join_candidates_tags',
    'ats_offers',
    'ats_tags',
  ],
  candidates: [
    'ats_candidates',
    'ats_application_stages',
    'ats_applications',
    'ats_jobs',
    'ats_join_candidates_tags',
    'ats_join_jobs_application_stages',
    'ats_tags',
  ],
  interviews: [
    'ats_interviews',
    'ats_applications',
    'ats_candidates',
    'ats_jobs',
    'ats_join_interviews_users',
    'ats_users',
  ],
  jobs: [
    'ats_jobs',
    'ats_application_stages',
    'ats_job_postings',
    'ats_join_jobs_application_stages',
    'ats_join_jobs_screening_questions',
    'ats_join_jobs_users',
    'ats_screening_questions',
    'ats_users',
    ...inferredModels('jobs'),
  ],
  offers: ['ats_offers', 'ats_applications', 'ats_candidates', 'ats_jobs'],
  'rejection-reasons': ['ats_rejection_reasons'],
  'application-stages': inferredModels('application-stages'),
  tags: inferredModels('tags'),
  users: inferredModels('users'),
  roles: inferredModels('roles'),
  notes: inferredModels('notes'),
}

/** Rows that Kombo's published table lacks, inferred from the models' names. */
function inferredModels(stream: KomboStream): readonly string[] {
  const inferred: Readonly<Partial<Record<KomboStream, readonly string[]>>> = {
    jobs: ['ats_join_user_job_role_assignments'],
    'application-stages': ['ats_application_stages'],
    tags: ['ats_tags'],
    users: ['ats_users', 'ats_join_users_roles', 'ats_roles'],
    roles: ['ats_roles'],
    notes: ['ats_notes'],
  }
  return inferred[stream] ?? []
}

/** Streams to fetch for changed models, in a fixed order, and the names the table does not know. */
export function streamsOf(models: readonly string[]): { readonly streams: KomboStream[]; readonly unknown: string[] } {
  const changed = new Set(models)
  const streams = Object.entries(MODELS_BY_STREAM)
    .filter(([, names]) => names.some((name) => changed.has(name)))
    .map(([stream]) => stream as KomboStream)
  const known = new Set(Object.values(MODELS_BY_STREAM).flat())
  return { streams, unknown: [...changed].filter((name) => !known.has(name)) }
}

type Json = Readonly<Record<string, unknown>>

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (json: Json, name: string): string | null => {
  const value = json[name]
  return typeof value === 'string' && value !== '' ? value : null
}

const unmappable = (problem: string, cause?: unknown): TidemarkError =>
  new TidemarkError(
    'WEBHOOK_UNMAPPABLE',
    `${problem}. The bytes are kept in ats.raw; compare them with Kombo's docs.`,
    {
      cause,
    },
  )

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseFrame(rawBody: Uint8Array): { readonly id: string | null; readonly type: string; readonly data: Json } {
  let frame: unknown
  try {
    frame = JSON.parse(utf8.decode(rawBody))
  } catch (error) {
    throw unmappable('The webhook is signed, but its body is not JSON', error)
  }
  const type = isJson(frame) ? textOf(frame, 'type') : null
  if (!isJson(frame) || type === null) throw unmappable('The webhook has no text `type`')
  return { id: textOf(frame, 'id'), type, data: isJson(frame['data']) ? frame['data'] : {} }
}

/** Events that are about the integration itself name it `id` instead of `integration_id`. */
const integrationIn = (data: Json, type: string): string | null =>
  type === 'integration-created' || type === 'integration-deleted' ? textOf(data, 'id') : textOf(data, 'integration_id')

/** The integration a body names, or null; never throws. */
export function integrationOf(rawBody: Uint8Array): string | null {
  try {
    const { type, data } = parseFrame(rawBody)
    return integrationIn(data, type)
  } catch {
    // Only the key of the raw record depends on it; reading the webhook will say what is wrong with it.
    return null
  }
}

/** Reads a verified webhook. Unknown types are `ignored`; throws WEBHOOK_UNMAPPABLE where a known type lacks what it is about. */
export function readWebhook(rawBody: Uint8Array): WebhookReading {
  const { id, type, data } = parseFrame(rawBody)
  const integrationId = integrationIn(data, type)
  // A type is anybody's text: `__proto__` names no effect.
  const effect = (Object.hasOwn(EFFECTS, type) ? EFFECTS[type] : undefined) ?? ignoreUnknown
  const category = textOf(data, 'integration_category') ?? textOf(data, 'category')
  const foreign = category !== null && category.toUpperCase() !== 'ATS'
  return {
    eventId: id,
    eventName: type,
    integrationId,
    effects: [foreign ? ignored(`category ${category} is not ATS`) : effect(data, type, integrationId)],
  }
}

type Effect = (data: Json, type: string, integrationId: string | null) => WebhookEffect

const ignored = (reason: string): WebhookEffect => ({ kind: 'ignored', reason })

const ignoreUnknown: Effect = (_data, type) => ignored(`type ${type} has no meaning for this connector`)

function requireIntegration(type: string, integrationId: string | null): void {
  if (integrationId === null) throw unmappable(`The ${type} webhook names no integration`)
}

const lifecycle =
  (event: 'created' | 'deleted' | 'state_changed'): Effect =>
  (data, type, integrationId) => {
    requireIntegration(type, integrationId)
    return { kind: 'integration', event, state: stateOf(data) }
  }

/** The three states of an integration in one word each, such as `ACTIVE COMPLETED PASSED`; null when none is given. */
function stateOf(data: Json): string | null {
  const words = ['state', 'setup_status', 'qa_status'].map((name) => textOf(data, name)).filter((word) => word !== null)
  return words.length === 0 ? null : words.join(' ')
}

const EFFECTS: Readonly<Record<string, Effect>> = {
  'data-changed': (data, type, integrationId) => {
    requireIntegration(type, integrationId)
    const models = data['changed_models']
    if (!Array.isArray(models)) throw unmappable('The data-changed webhook has no list `changed_models`')
    const names = models.map((model) => (isJson(model) ? textOf(model, 'name') : null))
    if (names.includes(null)) throw unmappable('The data-changed webhook lists a changed model without a `name`')
    const { streams, unknown } = streamsOf(names as string[])
    return { kind: 'fetch', streams, unknownModels: unknown }
  },
  'sync-finished': (data, type, integrationId) => {
    requireIntegration(type, integrationId)
    const startedAtMs = parseTime(data['sync_started_at']) ?? null
    return { kind: 'provider_sync', state: textOf(data, 'sync_state') ?? 'UNKNOWN', startedAtMs }
  },
  'integration-created': lifecycle('created'),
  'integration-deleted': lifecycle('deleted'),
  'integration-state-changed': lifecycle('state_changed'),
}
