import type { Model, Rec } from '../world/types.ts'
import type { Mirror, Row } from './mirror.ts'
import { list, oneOf, startOfDay, timestamp } from './params.ts'

export type Predicate = (row: Row) => boolean

/** A query parameter: which field of the tool it needs, and what it lets through. */
export interface Filter {
  readonly field: string
  readonly parse: (value: string, mirror: Mirror) => Predicate
}

/** A list endpoint of section "read endpoints" of the contract. */
export interface Endpoint {
  /** Last part of the path: `/ats/<name>`. */
  readonly name: string
  readonly model: Model
  readonly filters: Readonly<Record<string, Filter>>
}

const lower = (value: string | null | undefined): string => (value ?? '').toLowerCase()

/** Builds a filter over one model's records; blanked rows never match. */
function by<M extends Model>(
  _model: M,
  field: string,
  parse: (value: string, mirror: Mirror) => (rec: Rec<M>, row: Row) => boolean,
): Filter {
  return {
    field,
    parse: (value, mirror) => {
      const accepts = parse(value, mirror)
      return (row) => !row.blanked && accepts(row.rec as Rec<M>, row)
    },
  }
}

/** Comma-separated values, any of which may equal the record's. */
function anyOf<M extends Model>(
  model: M,
  field: string,
  read: (rec: Rec<M>) => string | null,
  allowed?: readonly string[],
): Filter {
  return by(model, field, (value) => {
    const wanted = new Set(allowed ? oneOf(field, list(value), allowed) : list(value))
    return (rec) => wanted.has(read(rec) ?? '')
  })
}

function createdOnOrAfter<M extends Model>(model: M): Filter {
  return by(model, 'remote_created_at', (value) => {
    const fromMs = startOfDay(timestamp('remote_created_after', value))
    return (rec) => rec.createdMs >= fromMs
  })
}

const OUTCOMES = ['PENDING', 'HIRED', 'DECLINED']

export const ENDPOINTS: readonly Endpoint[] = [
  {
    name: 'jobs',
    model: 'jobs',
    filters: {
      job_codes: anyOf('jobs', 'job_code', (rec) => rec.fields.job_code),
      post_url: by('jobs', 'post_url', (value) => (rec) => rec.fields.post_url === value),
      statuses: anyOf('jobs', 'status', (rec) => rec.fields.status),
      status: by('jobs', 'status', (value) => (rec) => rec.fields.status === value),
      employment_types: anyOf('jobs', 'employment_type', (rec) => rec.fields.employment_type),
      visibilities: anyOf('jobs', 'visibility', (rec) => rec.fields.visibility),
      remote_created_after: createdOnOrAfter('jobs'),
      name_contains: by('jobs', 'name', (value) => (rec) => lower(rec.fields.name).includes(lower(value))),
    },
  },
  {
    name: 'candidates',
    model: 'candidates',
    filters: {
      email: by('candidates', 'email_addresses', (value) => {
        const wanted = lower(value)
        return (rec) => rec.fields.email_addresses.some((mail) => lower(mail.email_address) === wanted)
      }),
      job_ids: by('candidates', 'applications', (value) => {
        const jobs = new Set(list(value))
        return (_, row) => (row.dependents ?? []).some((app) => app.deletedAtMs === null && jobs.has(jobId(app)))
      }),
      first_name: by('candidates', 'first_name', (value) => (rec) => lower(rec.fields.first_name) === lower(value)),
      last_name: by('candidates', 'last_name', (value) => (rec) => lower(rec.fields.last_name) === lower(value)),
    },
  },
  {
    name: 'applications',
    model: 'applications',
    filters: {
      outcomes: anyOf('applications', 'outcome', (rec) => rec.fields.outcome, OUTCOMES),
      outcome: anyOf('applications', 'outcome', (rec) => rec.fields.outcome, OUTCOMES),
      job_ids: anyOf('applications', 'job_id', (rec) => rec.fields.job_id),
      job_remote_ids: by('applications', 'job_id', (value, mirror) => {
        const wanted = new Set(list(value))
        return (rec) => wanted.has(mirror.row('jobs', rec.fields.job_id)?.rec.remoteId ?? '')
      }),
      current_stage_ids: anyOf('applications', 'current_stage_id', (rec) => rec.fields.current_stage_id),
      remote_created_after: createdOnOrAfter('applications'),
    },
  },
  { name: 'application-stages', model: 'application_stages', filters: {} },
  {
    name: 'interviews',
    model: 'interviews',
    filters: {
      job_ids: by('interviews', 'application_id', (value, mirror) => {
        const wanted = new Set(list(value))
        return (rec) => wanted.has(jobId(mirror.row('applications', rec.fields.application_id)))
      }),
    },
  },
  { name: 'offers', model: 'offers', filters: {} },
  { name: 'rejection-reasons', model: 'rejection_reasons', filters: {} },
  { name: 'tags', model: 'tags', filters: {} },
  {
    name: 'users',
    model: 'users',
    filters: {
      emails: by('users', 'email', (value) => {
        const wanted = new Set(list(value).map(lower))
        return (rec) => rec.fields.email !== null && wanted.has(lower(rec.fields.email))
      }),
    },
  },
  {
    name: 'roles',
    model: 'roles',
    filters: { scopes: anyOf('roles', 'scope', (rec) => rec.fields.scope, ['SYSTEM', 'JOB']) },
  },
  {
    name: 'notes',
    model: 'notes',
    filters: {
      candidate_ids: anyOf('notes', 'candidate_id', (rec) => rec.fields.candidate_id),
      application_ids: anyOf('notes', 'application_id', (rec) => rec.fields.application_id),
    },
  },
]

function jobId(app: Row | undefined): string {
  return app?.model === 'applications' ? (app.rec as Rec<'applications'>).fields.job_id : ''
}
