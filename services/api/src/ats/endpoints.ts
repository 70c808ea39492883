import type { ModelName } from '@tidemark/model'
import { anyOf, anyOfFolded, byEmail, contains, equals, equalsFolded, type Filter, linked, since } from './filters.ts'
import { shapeJobs } from './jobs.ts'
import {
  shapeInterviews,
  shapeNotes,
  shapeOffers,
  shapeRejectionReasons,
  shapeRoles,
  shapeStages,
  shapeTags,
  shapeUsers,
} from './others.ts'
import { APPLICATIONS_LINKED, CANDIDATES_LINKED, shapeApplications, shapeCandidates } from './people.ts'
import type { Reader, ReadOptions, Row } from './reader.ts'

/** Linked records whose changes also count for `updated_after`: those of `model` whose `select` column names the listed `own`. */
export interface Link {
  readonly own: string
  readonly model: ModelName
  readonly select: string
  /** Instead of the linked records themselves, records of this model that they refer to. */
  readonly through?: { readonly model: ModelName; readonly column: string; readonly key: string }
}

/** Records that every page shows beside its own: those of `model` whose `column` holds a page's `own`. */
export interface Linked extends ReadOptions {
  readonly own: string
  readonly model: ModelName
  readonly column: string
}

/** One Kombo listing. */
export interface Endpoint {
  readonly model: ModelName
  readonly filters: readonly Filter[]
  readonly links: readonly Link[]
  /** What `shape` asks the reader for first; comes with the page in one statement. What it asks for beside that is read when it asks. */
  readonly linked?: readonly Linked[]
  readonly shape: (rows: readonly Row[], reader: Reader) => Promise<object[]>
}

const JOB_STATUS = ['OPEN', 'CLOSED', 'DRAFT', 'ARCHIVED']
const EMPLOYMENT = ['FULL_TIME', 'PART_TIME', 'CONTRACT', 'SEASONAL', 'INTERNSHIP']
const VISIBILITY = ['PUBLIC', 'INTERNAL', 'UNLISTED', 'CONFIDENTIAL']
const OUTCOME = ['PENDING', 'HIRED', 'DECLINED']

const child = (model: ModelName, select: string): Link => ({ own: 'id', model, select })

/** Every listing of `/v1/ats/`, by its path. What counts as an update follows Kombo's newest documentation. */
export const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  jobs: {
    model: 'jobs',
    filters: [
      anyOf('job_codes', 'job_code'),
      equals('post_url', 'post_url'),
      anyOf('statuses', 'status', JOB_STATUS),
      anyOf('status', 'status', JOB_STATUS),
      anyOf('employment_types', 'employment_type', EMPLOYMENT),
      anyOf('visibilities', 'visibility', VISIBILITY),
      since('remote_created_after', 'remote_created_at'),
      contains('name_contains', 'name'),
    ],
    links: [
      child('job-stages', 'job_id'),
      child('job-postings', 'job_id'),
      child('job-hiring-team', 'job_id'),
      child('job-role-assignments', 'job_id'),
      child('job-screening-questions', 'job_id'),
      {
        ...child('job-screening-questions', 'job_id'),
        through: { model: 'screening-questions', column: 'question_id', key: 'id' },
      },
    ],
    shape: shapeJobs,
  },
  candidates: {
    model: 'candidates',
    filters: [
      byEmail,
      linked('job_ids', { own: 'id', model: 'applications', select: 'candidate_id', column: 'job_id' }),
      equalsFolded('first_name', 'first_name'),
      equalsFolded('last_name', 'last_name'),
    ],
    links: [child('applications', 'candidate_id'), child('candidate-tags', 'candidate_id')],
    linked: CANDIDATES_LINKED,
    shape: shapeCandidates,
  },
  applications: {
    model: 'applications',
    filters: [
      anyOf('outcomes', 'outcome', OUTCOME),
      anyOf('outcome', 'outcome', OUTCOME),
      anyOf('job_ids', 'job_id'),
      linked('job_remote_ids', { own: 'job_id', model: 'jobs', select: 'id', column: 'remote_id' }),
      anyOf('current_stage_ids', 'current_stage_id'),
      since('remote_created_after', 'remote_created_at'),
    ],
    links: [
      { own: 'candidate_id', model: 'candidates', select: 'id' },
      child('interviews', 'application_id'),
      child('offers', 'application_id'),
    ],
    linked: APPLICATIONS_LINKED,
    shape: shapeApplications,
  },
  'application-stages': { model: 'application-stages', filters: [], links: [], shape: shapeStages },
  interviews: {
    model: 'interviews',
    filters: [linked('job_ids', { own: 'application_id', model: 'applications', select: 'id', column: 'job_id' })],
    links: [child('interview-users', 'interview_id'), { own: 'application_id', model: 'applications', select: 'id' }],
    shape: shapeInterviews,
  },
  offers: {
    model: 'offers',
    filters: [],
    links: [{ own: 'application_id', model: 'applications', select: 'id' }],
    shape: shapeOffers,
  },
  'rejection-reasons': { model: 'rejection-reasons', filters: [], links: [], shape: shapeRejectionReasons },
  tags: { model: 'tags', filters: [], links: [], shape: shapeTags },
  users: {
    model: 'users',
    filters: [anyOfFolded('emails', 'email')],
    links: [
      child('user-roles', 'user_id'),
      {
        ...child('user-roles', 'user_id'),
        through: { model: 'roles', column: 'role_remote_id', key: 'remote_id' },
      },
    ],
    shape: shapeUsers,
  },
  roles: { model: 'roles', filters: [anyOf('scopes', 'scope', ['SYSTEM', 'JOB'])], links: [], shape: shapeRoles },
  notes: {
    model: 'notes',
    filters: [anyOf('candidate_ids', 'candidate_id'), anyOf('application_ids', 'application_id')],
    links: [],
    shape: shapeNotes,
  },
}
