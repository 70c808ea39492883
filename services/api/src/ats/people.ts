import type { Linked } from './endpoints.ts'
import { screeningAnswer } from './questions.ts'
import { groupBy, pluck, type Reader, type Row } from './reader.ts'
import {
  jobReference,
  references,
  STAGE_JOIN_COLUMNS,
  stageIndexes,
  stageReference,
  TAG_JOIN_COLUMNS,
  tagsByCandidate,
} from './shared.ts'
import {
  closed,
  emailAddresses,
  integrationFields,
  items,
  phoneNumbers,
  pick,
  remoteId,
  socialMedia,
} from './values.ts'

const STAGE_COLUMNS = ['remote_id', 'name', 'status', 'custom_fields', 'global_index']
const JOB_COLUMNS = ['remote_id', 'name']
const APPLICATION_COLUMNS = [
  ...['remote_id', 'outcome', 'rejection_reason_name', 'rejected_at', 'remote_url', 'changed_at'],
  ...['remote_created_at', 'remote_updated_at', 'current_stage_id', 'job_id'],
]
const CANDIDATE_COLUMNS = [
  ...['remote_id', 'first_name', 'last_name', 'email_addresses', 'phone_numbers', 'social_media'],
  ...['source', 'remote_url'],
]
const INTERVIEW_COLUMNS = ['remote_id', 'title', 'starting_at', 'ending_at', 'location', 'canceled']
const OFFER_COLUMNS = ['remote_id', 'status']

/** What {@link shapeCandidates} asks for first. */
export const CANDIDATES_LINKED: readonly Linked[] = [
  { own: 'id', model: 'applications', column: 'candidate_id', columns: APPLICATION_COLUMNS },
  { own: 'id', model: 'candidate-tags', column: 'candidate_id', columns: TAG_JOIN_COLUMNS },
]

/** What {@link shapeApplications} asks for first. */
export const APPLICATIONS_LINKED: readonly Linked[] = [
  { own: 'current_stage_id', model: 'application-stages', column: 'id', columns: STAGE_COLUMNS, deleted: true },
  { own: 'job_id', model: 'jobs', column: 'id', columns: JOB_COLUMNS, deleted: true },
  { own: 'job_id', model: 'job-stages', column: 'job_id', columns: STAGE_JOIN_COLUMNS },
  { own: 'candidate_id', model: 'candidates', column: 'id', columns: CANDIDATE_COLUMNS, deleted: true },
  { own: 'candidate_id', model: 'candidate-tags', column: 'candidate_id', columns: TAG_JOIN_COLUMNS },
  { own: 'id', model: 'interviews', column: 'application_id', columns: INTERVIEW_COLUMNS },
  { own: 'id', model: 'offers', column: 'application_id', columns: OFFER_COLUMNS },
]

/** Candidates as Kombo shows them: with applications and tags. */
export async function shapeCandidates(rows: readonly Row[], reader: Reader): Promise<object[]> {
  const ids = pluck(rows, 'id')
  const [applications, tags] = await Promise.all([applicationsByCandidate(reader, ids), tagsByCandidate(reader, ids)])
  return rows.map((row) => ({
    ...pick(row, 'id', 'first_name', 'last_name', 'company', 'title', 'confidential', 'source', 'location'),
    ...pick(row, 'custom_fields', 'remote_url', 'remote_created_at', 'remote_updated_at', 'changed_at'),
    ...pick(row, 'remote_deleted_at'),
    remote_id: remoteId(row),
    email_addresses: emailAddresses(row['email_addresses']),
    phone_numbers: phoneNumbers(row['phone_numbers']),
    social_media: socialMedia(row['social_media']),
    integration_fields: integrationFields(row['integration_fields']),
    remote_data: null,
    applications: applications.get(row['id']) ?? [],
    tags: tags.get(row['id']) ?? [],
  }))
}

async function applicationsByCandidate(reader: Reader, ids: readonly unknown[]): Promise<Map<unknown, object[]>> {
  const rows = await reader.by('applications', 'candidate_id', ids, { columns: APPLICATION_COLUMNS })
  const [stages, jobs, indexes] = await applicationLinks(reader, rows)
  const out = new Map<unknown, object[]>()
  for (const [candidateId, group] of groupBy(rows, 'candidate_id')) {
    const list = group.map((row) => ({
      ...pick(row, 'id', 'remote_id', 'rejection_reason_name', 'rejected_at', 'remote_url', 'changed_at'),
      ...pick(row, 'remote_created_at', 'remote_updated_at'),
      outcome: closed('outcome', row['outcome']),
      current_stage: stageReference(row, stages, indexes),
      job: jobReference(row, jobs),
    }))
    out.set(candidateId, list)
  }
  return out
}

function applicationLinks(
  reader: Reader,
  rows: readonly Row[],
): Promise<[Map<unknown, Row>, Map<unknown, Row>, Map<string, unknown>]> {
  return Promise.all([
    references(reader, 'application-stages', pluck(rows, 'current_stage_id'), STAGE_COLUMNS),
    references(reader, 'jobs', pluck(rows, 'job_id'), JOB_COLUMNS),
    stageIndexes(reader, pluck(rows, 'job_id')),
  ])
}

/** Applications as Kombo shows them: with candidate, stage, job, interviews and offers. */
export async function shapeApplications(rows: readonly Row[], reader: Reader): Promise<object[]> {
  const ids = pluck(rows, 'id')
  const [[stages, jobs, indexes], candidates, interviews, offers] = await Promise.all([
    applicationLinks(reader, rows),
    candidateReferences(reader, pluck(rows, 'candidate_id')),
    reader.by('interviews', 'application_id', ids, { columns: INTERVIEW_COLUMNS }),
    reader.by('offers', 'application_id', ids, { columns: OFFER_COLUMNS }),
  ])
  const interviewsOf = groupBy(interviews, 'application_id')
  const offersOf = groupBy(offers, 'application_id')
  return rows.map((row) => {
    const stage = stages.get(row['current_stage_id'])
    const reference = stageReference(row, stages, indexes)
    return {
      ...pick(row, 'id', 'remote_id', 'rejection_reason_name', 'rejected_at', 'current_stage_id', 'job_id'),
      ...pick(row, 'candidate_id', 'custom_fields', 'remote_url', 'changed_at', 'remote_deleted_at'),
      ...pick(row, 'remote_created_at', 'remote_updated_at'),
      outcome: closed('outcome', row['outcome']),
      screening_question_answers: items(row['screening_question_answers']).map(screeningAnswer),
      integration_fields: integrationFields(row['integration_fields']),
      remote_data: null,
      candidate: candidates.get(row['candidate_id']) ?? null,
      current_stage:
        stage && reference
          ? { ...reference, status: closed('activity', stage['status']), custom_fields: stage['custom_fields'] ?? null }
          : null,
      job: jobReference(row, jobs),
      interviews: (interviewsOf.get(row['id']) ?? []).map((interview) => pick(interview, 'id', ...INTERVIEW_COLUMNS)),
      offers: (offersOf.get(row['id']) ?? []).map((offer) => ({
        ...pick(offer, 'id', 'remote_id'),
        status: closed('offerStatus', offer['status']),
      })),
    }
  })
}

async function candidateReferences(reader: Reader, ids: readonly unknown[]): Promise<Map<unknown, object>> {
  const [candidates, tags] = await Promise.all([
    references(reader, 'candidates', ids, CANDIDATE_COLUMNS),
    tagsByCandidate(reader, ids),
  ])
  const out = new Map<unknown, object>()
  for (const [id, row] of candidates) {
    out.set(id, {
      ...pick(row, 'id', 'first_name', 'last_name', 'source', 'remote_url'),
      remote_id: remoteId(row),
      email_addresses: emailAddresses(row['email_addresses']),
      phone_numbers: phoneNumbers(row['phone_numbers']),
      social_media: socialMedia(row['social_media']),
      tags: tags.get(id) ?? [],
    })
  }
  return out
}
