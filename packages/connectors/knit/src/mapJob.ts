/** Events of `ats_jobs`. */
import { type RecordInput, remoteKey } from '@tidemark/model'
import type { Collector } from './collector.ts'
import { type FieldTable, fieldsOf, mapStage, mapUser, placeOf, wordOf } from './fields.ts'
import { idOf, isJson, type Json, textOf, timeOf } from './json.ts'

/** Maps what an event shows of one job. */
export function mapJob(id: string, data: Json, out: Collector): void {
  out.own('jobs', id, {
    ...infoFields(data),
    ...departmentField(id, data, out),
    ...officeField(id, data, out),
    ...enhancedFields(data),
    ...salaryFields(data),
    ...fieldsOf(data, { custom_fields: 'customFields', remote_data: 'rawValues' }),
  })
  mapPostings(id, data, out)
  mapStages(id, data, out)
  mapTeam(id, data, out)
}

const INFO: FieldTable = {
  name: 'title',
  description: 'description',
  post_url: 'url',
  closed_at: ['closedAt', timeOf],
  remote_created_at: ['createdAt', timeOf],
  remote_updated_at: ['updatedAt', timeOf],
}

function infoFields(data: Json): RecordInput {
  const info = data['info']
  if (!isJson(info)) return {}
  const record = fieldsOf(info, INFO)
  return info['status'] === undefined ? record : { ...record, status: statusOf(info['status'], data['rawValues']) }
}

/**
 * Status in the model's words. Knit's list is only known in part (inferred): a word beyond it is kept as it is, and where Knit specifies none,
 * the word of the source system counts.
 */
function statusOf(status: unknown, rawValues: unknown): unknown {
  if (status !== 'NOT_SPECIFIED') return status
  return isJson(rawValues) ? textOf(rawValues['status']) : null
}

/** The first department, which is all that the model holds. */
function departmentField(id: string, data: Json, out: Collector): RecordInput {
  const first = firstOf('departments', id, data, out)
  if (first === undefined || (first !== null && first['name'] === undefined)) return {}
  return { department: first === null ? null : textOf(first['name']) }
}

function officeField(id: string, data: Json, out: Collector): RecordInput {
  const first = firstOf('offices', id, data, out)
  return first === undefined ? {} : { location: first === null ? null : officeLocation(first) }
}

/** First object of a list; null for an empty list, undefined where there is none to be read. */
function firstOf(name: string, id: string, data: Json, out: Collector): Json | null | undefined {
  const list = data[name]
  if (list === undefined) return undefined
  if (list === null) return null
  if (Array.isArray(list) && list.length === 0) return null
  if (Array.isArray(list) && isJson(list[0])) return list[0]
  out.fail('jobs', remoteKey(id), `\`${name}\` is no list of objects`, list)
  return undefined
}

/** An office is known by `location`, a text or its parts, else by its name (inferred). */
function officeLocation(office: Json): RecordInput | null {
  const { location } = office as { readonly location?: unknown }
  if (!isJson(location)) return placeOf(location) ?? placeOf(office['name']) ?? null
  const parts = { city: 'city', country: 'country', state: 'state', zip_code: 'zipCode', street_1: 'street' }
  return { ...fieldsOf(location, parts), raw: textOf(office['name']) }
}

const EMPLOYMENT = wordOf({
  FULLTIME: 'FULL_TIME',
  FULL_TIME: 'FULL_TIME',
  PARTTIME: 'PART_TIME',
  PART_TIME: 'PART_TIME',
})
const ARRANGEMENT = wordOf({ REMOTE: 'REMOTE', HYBRID: 'HYBRID', ONSITE: 'ON_SITE', ON_SITE: 'ON_SITE' })

/** Employment type, work arrangement and level; only that they exist is documented, their names are inferred. */
function enhancedFields(data: Json): RecordInput {
  const enhanced = data['jobInfoEnhanced']
  if (!isJson(enhanced)) return {}
  return fieldsOf(enhanced, {
    employment_type: ['employmentType', EMPLOYMENT],
    remote_work_status: ['workArrangement', ARRANGEMENT],
    experience_level: ['experienceLevel', textOf],
  })
}

const PERIOD = wordOf({
  ...{ YEAR: 'YEAR', YEARLY: 'YEAR', ANNUAL: 'YEAR', ANNUALLY: 'YEAR', MONTH: 'MONTH', MONTHLY: 'MONTH' },
  ...{ WEEK: 'WEEK', WEEKLY: 'WEEK', DAY: 'DAY', DAILY: 'DAY', HOUR: 'HOUR', HOURLY: 'HOUR' },
})

const amount = (value: unknown): unknown =>
  typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value

/** Pay as `salary: {min, max, currency, period}`; the parts are documented by a product page, their names and nesting are inferred. */
function salaryFields(data: Json): RecordInput {
  const compensation = data['jobCompensation']
  const salary = isJson(compensation) ? compensation['salary'] : undefined
  if (!isJson(salary)) return {}
  return fieldsOf(salary, {
    salary_amount_from: ['min', amount],
    salary_amount_to: ['max', amount],
    salary_currency: 'currency',
    salary_period: ['period', PERIOD],
  })
}

/** `jobPosts[]` as `{id, title, url, status, isExternal}` (inferred). */
function mapPostings(jobId: string, data: Json, out: Collector): void {
  const source = { model: 'job-postings', parent: jobId, name: 'jobPosts', entries: data['jobPosts'] } as const
  const ids = out.children(source, (post) => {
    const id = idOf(post['id'])
    if (id === null) throw new RangeError('a job post has no `id`')
    const fields = fieldsOf(post, {
      ...{ title: 'title', url: 'url', status: ['status', POSTING_STATUS] },
      visibility: ['isExternal', (value) => (value === true ? 'PUBLIC' : value === false ? 'INTERNAL' : undefined)],
    })
    return { id, record: { ...fields, remote_id: id, job_id: out.reference('jobs', jobId) } }
  })
  if (ids) out.completeList('jobs', jobId, 'job-postings', ids)
}

const POSTING_STATUS = wordOf({
  ...{ ACTIVE: 'ACTIVE', OPEN: 'ACTIVE', PUBLISHED: 'ACTIVE', DRAFT: 'DRAFT' },
  ...{ INACTIVE: 'INACTIVE', CLOSED: 'INACTIVE', ARCHIVED: 'INACTIVE' },
})

/** The pipeline in its order. */
function mapStages(jobId: string, data: Json, out: Collector): void {
  const source = { model: 'job-stages', parent: jobId, name: 'stages', entries: data['stages'] } as const
  const ids = out.children(source, (stage, index) => {
    const id = mapStage(stage, out)
    if (id === null) throw new RangeError('a stage has no `id`')
    const references = { job_id: out.reference('jobs', jobId), stage_id: out.reference('application-stages', id) }
    return { id, record: { ...references, index } }
  })
  if (ids) out.completeList('jobs', jobId, 'job-stages', ids)
}

const TEAM = { hiringManagers: 'HIRING_MANAGER', recruiters: 'RECRUITER' } as const

/** The hiring team stands in two lists. It is complete only when both are there. */
function mapTeam(jobId: string, data: Json, out: Collector): void {
  const roles = new Map<string, string[]>()
  let isComplete = true
  for (const [name, role] of Object.entries(TEAM)) {
    const source = { model: 'job-hiring-team', parent: jobId, name, entries: data[name] } as const
    const ids = out.children(source, (user) => {
      const id = mapUser(user, out)
      if (id === null) throw new RangeError(`one of \`${name}\` has no \`id\``)
      const all = [...(roles.get(id) ?? []), role]
      roles.set(id, [...new Set(all)])
      const references = { job_id: out.reference('jobs', jobId), user_id: out.reference('users', id) }
      return { id, record: { ...references, hiring_team_roles: roles.get(id) } }
    })
    if (ids === null) isComplete = false
  }
  if (isComplete) out.completeList('jobs', jobId, 'job-hiring-team', roles.keys())
}
