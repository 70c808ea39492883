/** Events of `ats_applications`. */
import type { RecordInput } from '@tidemark/model'
import type { Collector } from './collector.ts'
import { type FieldTable, fieldsOf, mapStage, mapUser, meaningOf, placeOf, referenceTo } from './fields.ts'
import { idOf, isJson, type Json, textOf, timeOf } from './json.ts'

/** Maps what an event shows of one application. */
export function mapApplication(id: string, data: Json, out: Collector): void {
  out.own('applications', id, {
    ...infoFields(id, data, out),
    ...stageField(data, out),
    ...rejectionFields(data),
  })
  mapInterviews(id, data, out)
  mapOffers(id, data, out)
}

const OUTCOMES: Readonly<Record<string, string>> = { ACTIVE: 'PENDING', HIRED: 'HIRED', REJECTED: 'DECLINED' }

function infoFields(id: string, data: Json, out: Collector): RecordInput {
  const info = data['info']
  if (!isJson(info)) return {}
  for (const name of ['owner', 'creditedTo']) mapUser(info[name], out)
  return withoutUndefined({
    ...fieldsOf(info, {
      // A status without a meaning in the model, also NOT_SPECIFIED, leaves the outcome open (inferred).
      outcome: ['status', (status) => meaningOf(OUTCOMES, status) ?? null],
      remote_created_at: ['appliedAt', timeOf],
      remote_updated_at: ['updatedAt', timeOf],
    }),
    job_id: referenceTo(out, 'jobs', info['jobId']),
    candidate_id: mapCandidate(id, info, out),
  })
}

function withoutUndefined(record: RecordInput): RecordInput {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
}

/** The person, who is seen nowhere else. Returns the reference to it. */
function mapCandidate(applicationId: string, info: Json, out: Collector): string | null | undefined {
  const candidate = info['candidate']
  if (candidate === undefined || candidate === null) return candidate
  const id = isJson(candidate) ? idOf(candidate['id']) : null
  if (!isJson(candidate) || id === null) {
    out.fail('candidates', null, `the candidate of application ${applicationId} has no \`id\``, candidate)
    return undefined
  }
  out.entity('candidates', id, {
    ...fieldsOf(candidate, CANDIDATE),
    ...fieldsOf(info, { source: ['origin', originOf] }),
  })
  return out.reference('candidates', id)
}

/** Each application has an origin and the candidate one source: an unspecified one never overwrites another's. */
const originOf = (origin: unknown): unknown => (origin === 'NOT_SPECIFIED' ? undefined : origin)

const CANDIDATE: FieldTable = {
  first_name: 'firstName',
  last_name: 'lastName',
  email_addresses: ['emails', (value) => contacts(value, 'email', 'email_address')],
  phone_numbers: ['phones', (value) => contacts(value, 'phoneNumber', 'phone_number')],
  social_media: ['links', (value) => (Array.isArray(value) ? value.map((link) => ({ link })) : value)],
  location: ['location', placeOf],
}

/**
 * Addresses or numbers with their types. Phones are documented as one object and as a list, so both are read; the value's name in an address
 * is inferred, and a bare text counts as the value. What is neither is handed on as it is, for the record to be refused with a path.
 */
function contacts(value: unknown, from: string, to: string): unknown {
  const list = Array.isArray(value) ? value : isJson(value) ? [value] : null
  if (list === null) return value
  return list.map((entry) => {
    if (typeof entry === 'string') return { [to]: entry }
    return isJson(entry) ? fieldsOf(entry, { [to]: from, type: ['type', contactType] }) : entry
  })
}

const contactType = (type: unknown): string => (type === 'WORK' || type === 'PERSONAL' ? type : 'OTHER')

/** The stage, which is created from its name where no job has shown it yet. */
function stageField(data: Json, out: Collector): RecordInput {
  const stage = data['currentStage']
  if (stage === null) return { current_stage_id: null }
  const id = mapStage(stage, out)
  return id === null ? {} : { current_stage_id: out.reference('application-stages', id) }
}

/** Whether `rejection.id` is the reason's or the rejection's is not said, so it makes no rejection reason. */
function rejectionFields(data: Json): RecordInput {
  const rejection = data['rejection']
  if (rejection === null) return { rejection_reason_name: null, rejected_at: null }
  if (!isJson(rejection)) return {}
  return fieldsOf(rejection, { rejection_reason_name: 'reason', rejected_at: ['rejectedAt', timeOf] })
}

/** Objects of a list with their ids; the others are failures of the model. */
function* identified(
  model: 'interviews' | 'offers',
  applicationId: string,
  data: Json,
  out: Collector,
): Generator<readonly [string, Json]> {
  const list = data[model]
  if (list === undefined || list === null) return
  const where = `in application ${applicationId}`
  if (!Array.isArray(list)) return out.fail(model, null, `${where}: \`${model}\` is no list`, list)
  for (const entry of list) {
    const id = isJson(entry) ? idOf(entry['id']) : null
    if (isJson(entry) && id !== null) yield [id, entry]
    else out.fail(model, null, `${where}: one has no \`id\``, entry)
  }
}

const INTERVIEW: FieldTable = {
  title: 'subject',
  starting_at: ['scheduledStart', timeOf],
  ending_at: ['scheduledEnd', timeOf],
  canceled: ['status', isCanceled],
}

/** Knit's names of an interview's states are inferred; one that is not specified says nothing. */
function isCanceled(status: unknown): boolean | undefined {
  const text = textOf(status)
  return text === null || text === 'NOT_SPECIFIED' ? undefined : text === 'CANCELLED' || text === 'CANCELED'
}

function mapInterviews(applicationId: string, data: Json, out: Collector): void {
  for (const [id, interview] of identified('interviews', applicationId, data, out)) {
    const application_id = out.reference('applications', applicationId)
    out.entity('interviews', id, { ...fieldsOf(interview, INTERVIEW), application_id })
    mapInterviewers(id, interview, out)
  }
}

function mapInterviewers(interviewId: string, interview: Json, out: Collector): void {
  const entries = interview['interviewers']
  const source = { model: 'interview-users', parent: interviewId, name: 'interviewers', entries } as const
  const ids = out.children(source, (user) => {
    const id = mapUser(user, out)
    if (id === null) throw new RangeError('an interviewer has no `id`')
    return {
      id,
      record: { interview_id: out.reference('interviews', interviewId), user_id: out.reference('users', id) },
    }
  })
  if (ids) out.completeList('interviews', interviewId, 'interview-users', ids)
}

/** Only SIGNED was seen on a page of Knit's; the other words are inferred. One that is not known leaves the status open. */
const OFFER_STATUS: Readonly<Record<string, string>> = {
  ...{ SIGNED: 'ACCEPTED', DECLINED: 'DECLINED', SENT: 'SENT', APPROVED: 'APPROVED', DRAFT: 'DRAFT' },
  DEPRECATED: 'ABANDONED',
}

function mapOffers(applicationId: string, data: Json, out: Collector): void {
  for (const [id, offer] of identified('offers', applicationId, data, out)) {
    const fields = fieldsOf(offer, {
      status: ['status', (status) => meaningOf(OFFER_STATUS, status) ?? null],
      employment_start_date: ['startDate', timeOf],
    })
    out.entity('offers', id, { ...fields, application_id: out.reference('applications', applicationId) })
  }
}
