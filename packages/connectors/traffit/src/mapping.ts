/**
 * TRAFFIT's records to unified records. Pure and total: whatever a page holds, the answer is records, complete child lists and failures.
 *
 * - Only keys that are present in the JSON are delivered: TRAFFIT often leaves a key out where others send null.
 * - Keys: the remote key of an entity is TRAFFIT's id; an application's is its candidate's and its job's id, because TRAFFIT has no id for it; a
 *   child's is its parent's id and its own. Public ids are derived from the keys, so records hold none, and references derive theirs.
 * - Jobs with what belongs to them are in `mapJobs.ts`, applications in `mapApplications.ts`.
 */
import type { Mapped } from '@tidemark/connector'
import { isJson, type Json } from '@tidemark/connector/mapping'
import { type ModelName, remoteKey } from '@tidemark/model'
import { Collector, type MapContext, mapEach, reference } from './collector.ts'
import { copied, customFields, firstNameOf, timed } from './fields.ts'
import { idOf, textOf } from './json.ts'

/** Streams of TRAFFIT, each with the models it is the origin of, its own first. */
export const STREAM_MODELS = {
  users: ['users'],
  jobs: ['jobs', 'job-postings', 'job-stages', 'job-hiring-team'],
  'application-stages': ['application-stages'],
  candidates: ['candidates'],
  applications: ['applications'],
  tags: ['tags', 'candidate-tags'],
} as const satisfies Readonly<Record<string, readonly ModelName[]>>

export type TraffitStream = keyof typeof STREAM_MODELS

/** True for a stream of TRAFFIT. */
export const isTraffitStream = (name: string): name is TraffitStream => Object.hasOwn(STREAM_MODELS, name)

/** The scope without which a stream is not offered. */
export const STREAM_SCOPE: Readonly<Record<TraffitStream, string>> = {
  users: 'user',
  jobs: 'recruitment',
  'application-stages': 'workflow',
  candidates: 'employee',
  applications: 'employee',
  tags: 'employee',
}

/** Maps rows of `/users`. A user that is not active still exists. */
export function mapUsers(context: MapContext, rows: readonly unknown[]): Mapped {
  const out = new Collector()
  mapEach(out, 'users', rows, (row) => {
    const id = idOf(row['id'])
    if (id === null) {
      out.fail('users', null, 'has no `id`', row)
      return
    }
    const firstName = firstNameOf(row)
    const isActive = row['is_active']
    const record = {
      remote_id: id,
      ...(firstName === undefined ? {} : { first_name: firstName }),
      ...copied(row, { last_name: 'lastname', email: 'email' }),
      ...(typeof isActive === 'boolean' ? { status: isActive ? 'ACTIVE' : 'INACTIVE' } : {}),
      remote_data: { '/users': row },
    }
    out.add('users', remoteKey(id), record, { remoteVersion: context.times.version(row['updated_at']) })
  })
  return out.mapped()
}

/** The hiring source of a candidate by id: undefined where nothing is known of it. */
export type SourceOf = (candidateId: string) => string | null | undefined

/** Maps rows of `/employees`. Their source is in the row only where TRAFFIT lists the candidates of a job, else `sourceOf` knows it. */
export function mapCandidates(context: MapContext, rows: readonly unknown[], sourceOf: SourceOf): Mapped {
  const out = new Collector()
  mapEach(out, 'candidates', rows, (row) => {
    const id = idOf(row['id'])
    if (id === null) {
      out.fail('candidates', null, 'has no `id`', row)
      return
    }
    const source = isJson(row['source']) ? (textOf(row['source']['value']) ?? undefined) : sourceOf(id)
    const record = {
      remote_id: id,
      ...copied(row, { first_name: 'name', last_name: 'lastname' }),
      ...(source === undefined ? {} : { source }),
      ...contacts(row),
      custom_fields: customFields(row),
      ...timed(row, context.times, { remote_created_at: 'created_at', remote_updated_at: 'updated_at' }),
      remote_data: { '/employees': row },
    }
    const kind = isBlanked(row) ? 'anonymized' : 'record'
    out.add('candidates', remoteKey(id), record, { kind, remoteVersion: context.times.version(row['updated_at']) })
  })
  return out.mapped()
}

/** Lists of at most one entry each, where the key is there. */
function contacts(row: Json): Record<string, unknown> {
  const { email, mobile, linkedin } = row as { email?: unknown; mobile?: unknown; linkedin?: unknown }
  const list = (value: unknown, entry: (value: unknown) => object): unknown[] =>
    value === null || value === '' ? [] : [entry(value)]
  return {
    ...(email === undefined ? {} : { email_addresses: list(email, (text) => ({ email_address: text, type: null })) }),
    ...(mobile === undefined ? {} : { phone_numbers: list(mobile, (text) => ({ phone_number: text, type: null })) }),
    ...(linkedin === undefined
      ? {}
      : { social_media: list(linkedin, (link) => ({ link, type: 'LINKEDIN', username: null })) }),
  }
}

/**
 * True for a candidate whose personal data TRAFFIT has removed: names and address are there and empty. That an anonymized row looks so is
 * inferred; a candidate that was created without any of the three would look the same, and has nothing personal either.
 */
export const isBlanked = (row: Json): boolean =>
  ['name', 'lastname', 'email'].every((name) => row[name] === null || row[name] === '')

/** Maps rows of `/employees/{id}/tags`: the candidate's complete tags. `isNew` says of each tag whether it still has to be observed. */
export function mapTags(
  context: MapContext,
  candidateId: string,
  rows: readonly unknown[],
  isNew: (tagId: string) => boolean,
): Mapped {
  const out = new Collector()
  const keys = new Set<string>()
  let isComplete = true
  for (const row of rows) {
    const tag = tagOf(row)
    if (tag === null) {
      isComplete = false
      out.fail('candidate-tags', null, `candidate ${candidateId} has a tag without \`id\``, row)
      continue
    }
    if (isNew(tag.id))
      out.add('tags', remoteKey(tag.id), {
        remote_id: tag.id,
        ...(tag.name === undefined ? {} : { name: tag.name }),
        remote_data: { '/employees/{id}/tags': row },
      })
    const key = remoteKey(candidateId, tag.id)
    if (keys.has(key)) continue
    keys.add(key)
    const record = {
      candidate_id: reference(context, 'candidates', candidateId),
      tag_id: reference(context, 'tags', tag.id),
    }
    out.add('candidate-tags', key, record)
  }
  // A list that could not be read whole would delete what it left out.
  if (isComplete) out.children('candidate-tags', candidateId, [...keys])
  return isComplete ? out.mapped() : { ...out.mapped(), incompleteModels: ['tags'] }
}

/** A tag is `{id, name}`, or a text, which in lower case is then its id (both inferred); null for anything else. */
export function tagOf(row: unknown): { readonly id: string; readonly name: unknown } | null {
  if (typeof row === 'string') return row.trim() === '' ? null : { id: row.trim().toLowerCase(), name: row }
  const id = isJson(row) ? idOf(row['id']) : null
  return id === null ? null : { id, name: (row as Json)['name'] }
}
