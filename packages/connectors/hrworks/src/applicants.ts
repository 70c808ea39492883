/** Applicants and what they applied for. */
import { reference } from '@tidemark/connector/mapping'
import { parseTime, remoteKey } from '@tidemark/model'
import { locationOf } from './address.ts'
import { Collector, type MappedRows, type MappingContext } from './collector.ts'
import { field, idOf, isJson, type Json, textOf } from './json.ts'

/** Maps applicants to candidates. */
export function mapCandidates(rows: readonly unknown[]): MappedRows {
  const out = new Collector()
  return out.each('candidates', rows, (applicant) => {
    const uuid = isJson(applicant) ? textOf(applicant, 'uuid') : undefined
    if (!isJson(applicant) || uuid === undefined) {
      out.fail('candidates', null, isJson(applicant) ? 'has no `uuid`' : 'expected an object', applicant)
      return
    }
    out.add('candidates', remoteKey(uuid), {
      remote_id: uuid,
      ...field('first_name', applicant, 'firstName'),
      ...field('last_name', applicant, 'lastName'),
      ...field('title', applicant, 'title'),
      ...one('email_addresses', 'email_address', applicant, 'email'),
      // The specification lists no phone number, but the unified model of others has it: it is read when it is there
      // (inferred).
      ...one('phone_numbers', 'phone_number', applicant, 'phone'),
      ...field('location', applicant, 'address', (address) => locationOf(address)),
      ...sourceOf(applicant),
    })
  }).result
}

/** A list of one value, of none where the value is null or empty. */
const one = (to: string, member: string, json: Json, from: string): Json =>
  json[from] === undefined
    ? {}
    : { [to]: json[from] === null || json[from] === '' ? [] : [{ [member]: json[from], type: null }] }

/** How the applicant came: what the newest application says. */
function sourceOf(applicant: Json): Json {
  const { jobApplications } = applicant
  if (!Array.isArray(jobApplications)) return {}
  const newest = jobApplications.filter(isJson).reduce<Json | undefined>(newer, undefined)
  return newest ? field('source', newest, 'howDidYouHearAboutUs') : {}
}

/** The later of two applications; of two at the same time, or without one, the one listed first. */
function newer(best: Json | undefined, application: Json): Json {
  const time = (of: Json): number => parseTime(of['creationDateAndTime']) ?? Number.NEGATIVE_INFINITY
  return best === undefined || time(application) > time(best) ? application : best
}

/** Identifiers of the statuses that rows name, each once, in the order in which they appear. */
export const statusesIn = (rows: readonly unknown[]): string[] => [
  ...new Set(rows.flatMap((row) => (isJson(row) ? (idOf(row, 'statusIdentifier') ?? []) : []))),
]

/**
 * Maps job applications to applications, and their statuses to application stages. There is no listing of statuses: one
 * that no application has at the moment is not gone, so that stages are never swept.
 */
export function mapApplications(rows: readonly unknown[], context: MappingContext): MappedRows {
  const out = new Collector()
  const stages = new Set<string>()
  return out.each('applications', rows, (application) => {
    const id = isJson(application) ? idOf(application, 'id') : undefined
    if (!isJson(application) || id === undefined) {
      out.fail('applications', null, isJson(application) ? 'has no `id`' : 'expected an object', application)
      return
    }
    mapStage(application, stages, out)
    out.add('applications', remoteKey(id), {
      remote_id: id,
      ...outcomeOf(application, context, out),
      ...field('current_stage_id', application, 'statusIdentifier', () => {
        const status = idOf(application, 'statusIdentifier')
        return status === undefined ? null : reference(context.integrationId, 'application-stages', status)
      }),
      ...candidateOf(application, context),
      ...jobOf(application, context),
      ...field('remote_created_at', application, 'creationDateAndTime'),
    })
  }).result
}

function mapStage(application: Json, seen: Set<string>, out: Collector): void {
  const identifier = idOf(application, 'statusIdentifier')
  if (identifier === undefined || seen.has(identifier)) return
  seen.add(identifier)
  out.add('application-stages', remoteKey(identifier), {
    remote_id: identifier,
    ...field('name', application, 'status'),
  })
}

function outcomeOf(application: Json, { statuses }: MappingContext, out: Collector): Json {
  const identifier = idOf(application, 'statusIdentifier')
  if (identifier === undefined) return {}
  const { outcome, isKnown } = statuses.outcomeOf(identifier)
  if (!isKnown)
    out.warn(
      `The status ${identifier} of job applications is not known: its outcome is taken to be PENDING. Say in status_outcomes what it means.`,
    )
  return { outcome }
}

function candidateOf({ applicant }: Json, context: MappingContext): Json {
  const uuid = isJson(applicant) ? textOf(applicant, 'uuid') : undefined
  return uuid === undefined ? {} : { candidate_id: reference(context.integrationId, 'candidates', uuid) }
}

/** The job is the offer that was applied to; where there is none, the post. */
function jobOf(application: Json, context: MappingContext): Json {
  const names = ['postOfferId', 'postUuid', 'postId']
  if (names.every((name) => application[name] === undefined)) return {}
  const id = names.map((name) => idOf(application, name)).find((each) => each !== undefined)
  return { job_id: id === undefined ? null : reference(context.integrationId, 'jobs', id) }
}
