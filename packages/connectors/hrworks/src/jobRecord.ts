import { reference } from '@tidemark/connector/mapping'
import { parseTime, type RecordInput } from '@tidemark/model'
import { locationOf } from './address.ts'
import type { Collector } from './collector.ts'
import { employmentType, remoteWork } from './jobTables.ts'
import { field, idOf, isJson, type Json, textOf } from './json.ts'
import type { NativeJob, PostContext } from './posts.ts'

const DAY_MS = 86_400_000

/** The fields of a job. Only what HR WORKS delivers is delivered. */
export function jobRecord({ post, offer }: NativeJob, context: PostContext, out: Collector): RecordInput {
  const own = offer ?? {}
  const status = statusOf(post, own, context.nowMs)
  return {
    ...name(post, own),
    ...description(post, own),
    ...employmentType(own, (text) => out.warn(text)),
    ...(status === undefined ? {} : { status }),
    ...field('category', post, 'scopeOfActivities'),
    ...department(post, context),
    ...field('experience_level', own, 'careerLevel'),
    ...remoteWork(own, (text) => out.warn(text)),
    ...location(own),
    ...field('opened_at', own, 'publicationDate'),
    ...field('remote_created_at', own, 'publicationDate'),
    ...field('closed_at', own, 'validUntilDate', (date) => (status === 'CLOSED' ? date : null)),
    ...contact(post, context),
    integration_fields: [...remaining('post', post, POST_READ), ...remaining('postOffer', own, OFFER_READ)],
  }
}

function name(post: Json, offer: Json): Json {
  const titles = [offer['displayName'], post['displayName'], post['name']]
  if (titles.every((title) => title === undefined)) return {}
  return { name: titles.find((title) => title !== undefined && title !== null && title !== '') ?? null }
}

/**
 * Parts of a post's description in the order in which they are read; all but `tasks` are inferred, others follow by
 * name.
 */
const PARTS = ['introduction', 'tasks', 'profile', 'benefits', 'closing']

/** The offer's text and the post's parts, one after the other. */
function description(post: Json, offer: Json): Json {
  const { postDescriptions } = post
  if (postDescriptions === undefined && offer['description'] === undefined) return {}
  const parts = isJson(postDescriptions) ? postDescriptions : {}
  const others = Object.keys(parts).filter((key) => !PARTS.includes(key))
  const texts = [...PARTS, ...others.sort()].map((key) => {
    const part = parts[key]
    return isJson(part) ? part['description'] : part
  })
  const html = [offer['description'], ...texts].filter((text) => typeof text === 'string' && text !== '')
  return { description: html.length === 0 ? null : html.join('\n') }
}

/**
 * Inferred: DRAFT before the publication date, OPEN while offer and post are active and the last valid day (UTC) is not
 * over, else CLOSED. Undefined where nothing says whether it is active.
 */
export function statusOf(post: Json, offer: Json, nowMs: number): 'OPEN' | 'DRAFT' | 'CLOSED' | undefined {
  const said = [post['isActive'], offer['isActive']].filter((active) => typeof active === 'boolean')
  if (said.length === 0) return undefined
  const validUntilMs = parseTime(offer['validUntilDate'])
  if (validUntilMs !== undefined && nowMs >= validUntilMs + DAY_MS) return 'CLOSED'
  const publishedMs = parseTime(offer['publicationDate'])
  if (publishedMs !== undefined && publishedMs > nowMs) return 'DRAFT'
  return said.every((active) => active === true) ? 'OPEN' : 'CLOSED'
}

/** The name of the post's organization unit; not delivered where the units could not be read, or lack it. */
function department(post: Json, { departments }: PostContext): Json {
  const ids = ['organizationUnitUuid', 'organizationUnitNumber'] as const
  if (ids.every((id) => post[id] === null)) return { department: null }
  const found = ids.map((id) => departments?.get(idOf(post, id) ?? '')).find((each) => each !== undefined)
  return found === undefined ? {} : { department: found }
}

/** The first establishment's address, and its name as it is. */
function location(offer: Json): Json {
  return field('location', offer, 'permanentEstablishments', (list) => {
    const first: unknown = Array.isArray(list) ? list[0] : list
    if (!isJson(first)) return first === undefined ? null : first
    const raw = field('raw', first, 'name')
    return isJson(first['address']) ? locationOf(first['address'], raw) : raw
  })
}

/**
 * The person to contact, by uuid, else by address (names inferred). Not delivered where only persons could tell who
 * that is and they were not read.
 */
function contact(post: Json, context: PostContext): Json {
  const { contactInformation } = post
  if (contactInformation === null) return { contact_id: null }
  if (!isJson(contactInformation)) return {}
  const uuid = idOf(contactInformation, 'personUuid')
  if (uuid !== undefined) return { contact_id: reference(context.integrationId, 'users', uuid) }
  const email = textOf(contactInformation, 'email')
  if (email === undefined) return { contact_id: null }
  if (context.personIdsByEmail === undefined) return {}
  const id = context.personIdsByEmail.get(email.toLowerCase())
  return { contact_id: id === undefined ? null : reference(context.integrationId, 'users', id) }
}

const POST_READ = new Set(['name', 'displayName', 'isActive', 'scopeOfActivities'])

const OFFER_READ = new Set([
  ...['id', 'displayName', 'description', 'isActive', 'publicationDate', 'validUntilDate', 'careerLevel'],
])

/** Properties of one value that no field of the model holds. */
function remaining(owner: string, json: Json, read: ReadonlySet<string>): object[] {
  return Object.entries(json).flatMap(([key, value]) =>
    read.has(key) || (typeof value === 'object' && value !== null)
      ? []
      : [{ id: `${owner}.${key}`, key, type: 'DEFAULT', label: key, value }],
  )
}
