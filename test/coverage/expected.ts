/**
 * What TRAFFIT and HR WORKS are expected to deliver, in the model's names: what Kombo publishes that it reads of them
 * (https://docs.kombo.dev/ats/connectors/traffit and https://docs.kombo.dev/ats/connectors/hrworks). Identity, deletion and bookkeeping
 * ({@link NOT_COMPARED}) are left out: every model has them.
 */
import type { ModelName } from '@tidemark/model'

export const COMPARED = ['traffit', 'hrworks'] as const
export type ComparedName = (typeof COMPARED)[number]

type Fields = Readonly<Partial<Record<ModelName, readonly string[]>>>

/** Reasons by `<model>.<field>`. */
type Reasons = Readonly<Record<string, string>>

/** Fields of every model that are not compared. */
export const NOT_COMPARED: ReadonlySet<string> = new Set(['id', 'remote_id', 'remote_deleted_at'])

const JOB = [
  ...['name', 'description', 'status', 'location', 'custom_fields', 'integration_fields'],
  ...['closed_at', 'remote_created_at', 'remote_data'],
]
const APPLICATION = ['outcome', 'current_stage_id', 'job_id', 'candidate_id']
const CANDIDATE = ['first_name', 'last_name', 'source', 'email_addresses', 'remote_data']

/** A model that is not named is expected to be absent. */
export const EXPECTED: Readonly<Record<ComparedName, Fields>> = {
  traffit: {
    users: ['first_name', 'email', 'remote_data'],
    jobs: [...JOB, 'confidential'],
    'job-postings': [
      ...['title', 'description_html', 'status', 'visibility', 'url', 'job_id', 'remote_data', 'remote_created_at'],
    ],
    candidates: CANDIDATE,
    'application-stages': ['name', 'global_index', 'remote_data'],
    applications: [...APPLICATION, 'remote_data'],
    tags: ['name'],
    'candidate-tags': ['candidate_id', 'tag_id'],
    'job-stages': ['index', 'job_id', 'stage_id'],
    'job-hiring-team': ['hiring_team_roles', 'job_id', 'user_id'],
  },
  hrworks: {
    // The address is on the newer of the published pages only.
    users: ['first_name', 'last_name', 'email'],
    jobs: [
      ...[...JOB, 'employment_type', 'category', 'department', 'experience_level', 'remote_work_status'],
      ...['opened_at', 'contact_id'],
    ],
    candidates: [...CANDIDATE, 'title', 'phone_numbers', 'location'],
    'application-stages': ['name'],
    applications: APPLICATION,
    'job-stages': ['index', 'job_id', 'stage_id'],
  },
}

/** Fields that are expected and that our connector does not deliver. */
export const EXCEPTIONS: Readonly<Record<ComparedName, Reasons>> = {
  traffit: {},
  hrworks: {
    'jobs.remote_data':
      'the connector attaches no native record; properties that no field holds are in `integration_fields`, the answers in `ats.raw`',
    'candidates.remote_data':
      'the native record holds particulars that the connector keeps out of records (birthday, gender, severe disability, salary)',
    'jobs.custom_fields':
      "no property of posts is known to be a field of the tenant's own; those that no field holds are `integration_fields` of type DEFAULT",
  },
}

/** Fields that our connector delivers beyond what is expected, and what they come from. */
export const ADDITIONS: Readonly<Record<ComparedName, Reasons>> = {
  traffit: {
    'users.last_name': '`lastname`',
    'users.status': '`is_active`',
    'jobs.remote_updated_at': '`updated_at`',
    'candidates.phone_numbers': '`mobile`',
    'candidates.social_media': '`linkedin`',
    'candidates.custom_fields': 'top-level keys that begin with `_`',
    'candidates.remote_created_at': '`created_at`',
    'candidates.remote_updated_at': '`updated_at`',
    'tags.remote_data': 'the row of `/employees/{id}/tags`',
  },
  hrworks: {
    'users.status': 'whether `/persons?onlyActive=true` lists the person',
    'applications.remote_created_at': '`creationDateAndTime`',
  },
}
