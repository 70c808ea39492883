/**
 * Posts and their offers: a job is an offer joined with its post, and a post without offers is a job of its own
 * (inferred).
 */
import { reference } from '@tidemark/connector/mapping'
import { remoteKey } from '@tidemark/model'
import { Collector, type MappedRows, type MappingContext } from './collector.ts'
import { jobRecord } from './jobRecord.ts'
import { idOf, isJson, type Json } from './json.ts'

/** What other listings say that posts only refer to; undefined where they could not be read. */
export interface PostContext extends MappingContext {
  /** Names of organization units by uuid and by number. */
  readonly departments?: ReadonlyMap<string, string> | undefined
  /** Ids of persons by address in lower case. */
  readonly personIdsByEmail?: ReadonlyMap<string, string> | undefined
}

/** A job as HR WORKS has it. */
export interface NativeJob {
  readonly id: string
  readonly post: Json
  readonly offer: Json | null
}

/** Maps posts to jobs. */
export function mapJobs(rows: readonly unknown[], context: PostContext): MappedRows {
  const out = new Collector()
  return out.each('jobs', rows, (row) => {
    for (const job of jobsOfPost(row, out)) {
      try {
        out.add('jobs', remoteKey(job.id), { remote_id: job.id, ...jobRecord(job, context, out) })
      } catch (error) {
        out.fail('jobs', remoteKey(job.id), `cannot be mapped: ${(error as Error).message}`, row)
      }
    }
  }).result
}

/**
 * Every known stage for every job. Which stages there are is never completely known, so that there are no child lists.
 */
export function mapJobStages(
  rows: readonly unknown[],
  identifiers: readonly string[],
  context: MappingContext,
): MappedRows {
  const out = new Collector()
  return out.each('job-stages', rows, (row) => {
    // What is wrong with a post is told where jobs are read.
    for (const { id } of jobsOfPost(row, null)) {
      for (const identifier of identifiers) {
        out.add('job-stages', remoteKey(id, identifier), {
          job_id: reference(context.integrationId, 'jobs', id),
          stage_id: reference(context.integrationId, 'application-stages', identifier),
          index: context.statuses.indexOf(identifier),
        })
      }
    }
  }).result
}

/** The jobs of one row of posts; tells `out` of those that have no id. */
function jobsOfPost(post: unknown, out: Collector | null): NativeJob[] {
  if (!isJson(post)) {
    out?.fail('jobs', null, 'expected an object', post)
    return []
  }
  const { postOffers = null } = post
  if (postOffers !== null && !Array.isArray(postOffers)) {
    out?.fail('jobs', null, '`postOffers` is no list', post)
    return []
  }
  if (postOffers === null || postOffers.length === 0) {
    const id = idOf(post, 'uuid')
    if (id === undefined) out?.fail('jobs', null, 'has no `uuid`', post)
    return id === undefined ? [] : [{ id, post, offer: null }]
  }
  return postOffers.flatMap((offer) => {
    const id = isJson(offer) ? idOf(offer, 'id') : undefined
    if (isJson(offer) && id !== undefined) return [{ id, post, offer }]
    out?.fail('jobs', null, 'an offer has no `id`', offer)
    return []
  })
}

/** Names of organization units by uuid and by number. */
export function departmentsOf(rows: readonly unknown[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const unit of rows) {
    if (!isJson(unit)) continue
    const name = idOf(unit, 'name')
    for (const key of [idOf(unit, 'uuid'), idOf(unit, 'number')])
      if (key !== undefined && name !== undefined) names.set(key, name)
  }
  return names
}

/** True when a post names its contact by an address only, so that persons must be read to know who that is. */
export const needsPersons = (rows: readonly unknown[]): boolean =>
  rows.some((post) => {
    const contact = isJson(post) ? post['contactInformation'] : undefined
    return isJson(contact) && idOf(contact, 'personUuid') === undefined && idOf(contact, 'email') !== undefined
  })

/** True when a post belongs to an organization unit, so that units must be read to know its name. */
export const needsDepartments = (rows: readonly unknown[]): boolean =>
  rows.some(
    (post) =>
      isJson(post) && (idOf(post, 'organizationUnitUuid') ?? idOf(post, 'organizationUnitNumber')) !== undefined,
  )
