/** The world's records as TRAFFIT shows them. */
import type { Company } from '../world/company.ts'
import { type CandidateFile, filesOf } from '../world/files.ts'
import { hash32 } from '../world/ids.ts'
import type { JsonObject, Location, Rec } from '../world/types.ts'
import type { Stay } from './history.ts'
import { stateRef, workflowIdOf } from './workflows.ts'

/** A time as TRAFFIT writes it: in UTC, without saying so. */
export const timeText = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')

const idOf = (rec: Rec): number => Number(rec.remoteId)
const times = (rec: Rec): { created_at: string; updated_at: string } => ({
  created_at: timeText(rec.createdMs),
  updated_at: timeText(rec.updatedMs),
})
const BY = { created_by: { id: 1 }, updated_by: { id: 1 } } as const

/** Ids of tenant-defined labels: the same for the same label. */
export const labelId = (label: string): number => 1000 + (hash32(label) % 1_000_000)

/** Fields that a tenant defines begin with an underscore. */
const custom = (fields: JsonObject | null): JsonObject =>
  Object.fromEntries(Object.entries(fields ?? {}).map(([name, value]) => [`_${name}`, value]))

export function userRow(rec: Rec<'users'>): JsonObject {
  const { first_name, last_name, email, status } = rec.fields
  return {
    ...{ id: idOf(rec), is_active: status !== 'INACTIVE', username: email?.split('@', 1)[0] ?? `user${rec.remoteId}` },
    ...{ email, name: first_name, lastname: last_name, permission_group: { id: 3, name: 'Recruiters' } },
    ...{ ...BY, updated_at: timeText(rec.updatedMs) },
  }
}

const isClosed = ({ fields }: Rec<'jobs'>): boolean => fields.status === 'CLOSED' || fields.status === 'ARCHIVED'

export function recruitmentRow(rec: Rec<'jobs'>): JsonObject {
  const { name, closed_at, confidential, job_code } = rec.fields
  return {
    ...{ id: idOf(rec), name, client: { id: 1, name: 'Sandbox Ltd' }, is_closed: isClosed(rec) },
    ...(closed_at === null ? {} : { closing_date: timeText(Date.parse(closed_at)) }),
    ...{ is_confidential: confidential, nrRef: job_code, ...BY, ...times(rec) },
  }
}

export function recruitmentDetail(company: Company, rec: Rec<'jobs'>): JsonObject {
  const { is_confidential: _, ...row } = recruitmentRow(rec)
  const people = (rec.links.team ?? []).flatMap(({ user }) => company.tables.users.get(user) ?? [])
  return {
    ...row,
    workflow_id: workflowIdOf(company, rec),
    status: rec.fields.status === 'DRAFT' ? 'draft' : 'active',
    responsible_person: people.map((person) => ({ id: idOf(person), email: person.fields.email })),
    ...custom(rec.fields.custom_fields),
  }
}

export function employeeRow(rec: Rec<'candidates'>): JsonObject {
  const { fields } = rec
  return {
    ...{ id: idOf(rec), name: fields.first_name, lastname: fields.last_name, status: 'active' },
    files: filesOf(rec).map(({ name, createdMs }) => ({ filename: name, file_uploaded: timeText(createdMs) })),
    email: fields.email_addresses[0]?.email_address ?? null,
    mobile: fields.phone_numbers[0]?.phone_number ?? null,
    linkedin: fields.social_media[0]?.link ?? null,
    ...{ candidate_about: null, candidate_location: fields.location?.raw ?? null, candidate_languages: null },
    ...{ _title: fields.title, _company: fields.company, ...custom(fields.custom_fields) },
    ...{ ...times(rec), ...BY },
  }
}

/** A file, which has an id here only. */
export const fileRow = ({ remoteId, name }: CandidateFile): JsonObject => ({ id: Number(remoteId), name })

/** An employee as one of a recruitment: there the source is in the row. */
export const employeeOfJobRow = (rec: Rec<'candidates'>): JsonObject => ({
  ...employeeRow(rec),
  ...(rec.fields.source === null ? {} : { source: { id: labelId(rec.fields.source), value: rec.fields.source } }),
  owner: { id: 1 },
})

export const sourceRow = (rec: Rec<'candidates'>): JsonObject => ({
  ...{ id: idOf(rec), domain: null, url: null, employee: { id: idOf(rec) } },
  dictionary_item: { id: labelId(rec.fields.source ?? '') },
})

export const tagRow = (rec: Rec<'tags'>): JsonObject => ({ id: idOf(rec), name: rec.fields.name })

export function historyRow(company: Company, stay: Stay): JsonObject {
  return {
    ...{ id: stay.id, date: timeText(stay.beganMs) },
    ...(stay.endedMs === null ? {} : { end_date: timeText(stay.endedMs) }),
    ...{ employee: { id: stay.employeeId }, recruitment: { id: stay.recruitmentId } },
    workflow_state: stateRef(company, stay.stateId),
    ...{ created_at: timeText(stay.beganMs), updated_at: timeText(stay.updatedMs), ...BY },
  }
}

const place = (location: Location): string =>
  JSON.stringify({
    ...{ latitude: '0', longitude: '0', locality: location.city, iso: location.country?.toLowerCase() ?? null },
    ...{ region1: location.state, postcode: location.zip_code, country: location.country },
  })

/** A published post of a job, or null when it is not published. */
export function publishedRow(company: Company, rec: Rec<'job_postings'>): JsonObject | null {
  const job = company.tables.jobs.get(rec.fields.job_id)
  if (!job || rec.fields.status !== 'ACTIVE' || rec.fields.visibility !== 'PUBLIC') return null
  const location = job.fields.location === null ? null : place(job.fields.location)
  const values = [{ field_id: 'description', value: rec.fields.description_html }]
  if (location !== null) values.push({ field_id: 'geolocation', value: location })
  const recruitment = {
    id: idOf(job),
    nr_ref: job.fields.job_code,
    client_id: 1,
    workflow_id: workflowIdOf(company, job),
  }
  return {
    id: idOf(rec),
    advert: { id: 100_000 + idOf(rec), name: rec.fields.title, language: 'en', recruitment, values },
    ...{ url: rec.fields.url, application_form: null, awarded: false },
    ...{ valid_start: timeText(rec.createdMs), valid_end: timeText(rec.createdMs + 365 * 86_400_000) },
    options: { 'job_location.translation': 'Location', ...(location === null ? {} : { job_location: location }) },
  }
}
