/**
 * TRAFFIT's webhooks: unsigned hints that something happened to a candidate or a job. What they say is not believed but looked up. Their exact
 * shape is not documented, so names and places are read tolerantly ({@link eventOf}, {@link candidateIn}, {@link jobIn}).
 */
import { TidemarkError } from '@tidemark/base'
import type { WebhookEffect, WebhookReading, WebhookRequest } from '@tidemark/connector'
import { parseJson } from '@tidemark/connector/http'
import { isJson, type Json } from '@tidemark/connector/mapping'
import { secretMatches } from '@tidemark/connector/webhooks'
import { type ModelName, remoteKey } from '@tidemark/model'
import { idOf, textOf } from './json.ts'
import { applicationKey } from './mapApplications.ts'

/** The twelve events that TRAFFIT sends. */
export const EVENTS = [
  'candidate_created',
  'candidate_deleted',
  'candidate_soft_deleted',
  'candidate_merged',
  'candidate_applied',
  'candidate_added_to_job',
  'candidate_moved_in_job',
  'candidate_hired',
  'candidate_removed_from_job',
  'job_created',
  'job_updated',
  'job_deleted',
] as const

export type EventName = (typeof EVENTS)[number]

const BODY_BYTES_MAX = 1_048_576

/** Compares `?secret=` in constant time. */
export function verify(secret: string, { query }: Pick<WebhookRequest, 'query'>): boolean {
  return secretMatches(query['secret'], secret)
}

/** An event by the name that a payload or a list of types gives it: spelling and TRAFFIT's own words may differ. Null for any other. */
export function eventOf(name: string): EventName | null {
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z]+/g, '_')
    .replace(/employee/g, 'candidate')
    .replace(/recruitment/g, 'job')
  return EVENTS.find((event) => event === words) ?? null
}

const unmappable = (problem: string): TidemarkError =>
  new TidemarkError(
    'WEBHOOK_UNMAPPABLE',
    `${problem}. The bytes are kept in ats.raw; report them to whoever maintains this connector.`,
  )

function parse(rawBody: Uint8Array): { readonly type: string; readonly body: Json } {
  if (rawBody.byteLength > BODY_BYTES_MAX) throw unmappable(`The webhook has more than ${BODY_BYTES_MAX} bytes`)
  const json = parseJson(rawBody)
  if (!isJson(json)) throw unmappable('The body of the webhook is no JSON object')
  const body = { ...payloadOf(json), ...json }
  const type = ['type', 'event_type', 'event'].map((key) => textOf(json[key])).find((text) => text !== null)
  if (type === undefined) throw unmappable('The webhook has no text `type`, `event_type` or `event`')
  return { type, body }
}

/** What an envelope may hold the entities in. */
function payloadOf(json: Json): Json {
  const inner = [json['data'], json['payload']].find(isJson)
  return inner ?? {}
}

/** The id of an entity under the first of these names that has one: as `{"id"}`, as a bare id, or as `<name>_id`. */
function entityIn(body: Json, names: readonly string[]): string | null {
  for (const name of names) {
    const value = body[name]
    const id = isJson(value) ? idOf(value['id']) : (idOf(value) ?? idOf(body[`${name}_id`]))
    if (id !== null) return id
  }
  return null
}

/** An event about one entity may name it by a bare `entity_id` or `id`. */
const bareId = (body: Json): string | null => idOf(body['entity_id']) ?? idOf(body['id'])

export const candidateIn = (body: Json): string | null => entityIn(body, ['employee', 'candidate'])
export const jobIn = (body: Json): string | null => entityIn(body, ['recruitment', 'job'])
const mergedIn = (body: Json): string | null =>
  entityIn(body, ['merged_employee', 'merged_candidate', 'removed_employee', 'removed_candidate'])

const read = (model: ModelName, key: string): WebhookEffect => ({ kind: 'read', model, remoteKeys: [key] })
const FETCH_APPLICATIONS: WebhookEffect = { kind: 'fetch', streams: ['applications'], unknownModels: [] }

interface Subject {
  readonly type: EventName
  readonly body: Json
  /** Applications are not read one by one, see `createPointReads`. */
  readonly onlyCreated: boolean
}

function candidateOf({ type, body }: Subject): string {
  const id = candidateIn(body) ?? (jobIn(body) === null ? bareId(body) : null)
  if (id === null) throw unmappable(`The webhook ${type} names no candidate`)
  return id
}

function jobOf({ type, body }: Subject): string {
  const id = jobIn(body) ?? bareId(body)
  if (id === null) throw unmappable(`The webhook ${type} names no job`)
  return id
}

/** The application of a candidate in a job; the applications' changes where the job is not named, or where it is not known whether it counts. */
function applicationOf(subject: Subject): WebhookEffect {
  const employeeId = candidateOf(subject)
  const recruitmentId = jobIn(subject.body)
  if (recruitmentId === null || subject.onlyCreated) return FETCH_APPLICATIONS
  return read('applications', applicationKey({ employeeId, recruitmentId }))
}

const candidate = (subject: Subject): WebhookEffect[] => [read('candidates', remoteKey(candidateOf(subject)))]
const application = (subject: Subject): WebhookEffect[] => [applicationOf(subject)]
const both = (subject: Subject): WebhookEffect[] => [...candidate(subject), ...application(subject)]
const job = (subject: Subject): WebhookEffect[] => [read('jobs', remoteKey(jobOf(subject)))]

function merged(subject: Subject): WebhookEffect[] {
  const kept = remoteKey(candidateOf(subject))
  const gone = mergedIn(subject.body)
  const keptRead = read('candidates', kept)
  if (gone === null) return [keptRead]
  const meaning = { kind: 'merged', intoRemoteKey: kept } as const
  return [keptRead, { kind: 'read', model: 'candidates', remoteKeys: [remoteKey(gone)], meaning }]
}

function softDeleted(subject: Subject): WebhookEffect[] {
  const remoteKeys = [remoteKey(candidateOf(subject))]
  return [{ kind: 'read', model: 'candidates', remoteKeys, meaning: { kind: 'anonymized' } }]
}

const EFFECTS: Readonly<Record<EventName, (subject: Subject) => WebhookEffect[]>> = {
  candidate_created: candidate,
  candidate_deleted: candidate,
  candidate_soft_deleted: softDeleted,
  candidate_merged: merged,
  candidate_applied: both,
  candidate_added_to_job: both,
  candidate_moved_in_job: application,
  candidate_hired: application,
  candidate_removed_from_job: application,
  job_created: job,
  job_updated: job,
  job_deleted: job,
}

/**
 * Reads a verified webhook. Types that are none of the twelve are `ignored`; throws WEBHOOK_UNMAPPABLE where a known one does not say what it is
 * about. `onlyCreated`: applications are fetched as a stream instead of being read one by one.
 */
export function readWebhook(rawBody: Uint8Array, integrationId: string, onlyCreated: boolean): WebhookReading {
  const { type, body } = parse(rawBody)
  const event = eventOf(type)
  const eventId = textOf(body['event_id']) ?? textOf(body['webhook_event_id']) ?? idOf(body['event_id'])
  const effects: WebhookEffect[] =
    event === null
      ? [{ kind: 'ignored', reason: `type ${type.slice(0, 100)} has no meaning for this connector` }]
      : EFFECTS[event]({ type: event, body, onlyCreated })
  return { eventId, eventName: event ?? type.slice(0, 100), integrationId, effects }
}
