import { groupBy, indexBy, pluck, type Reader, type Row } from './reader.ts'
import { applicationContext, references, roleReference, rolesByRemoteId } from './shared.ts'
import { closed, email, integrationFields, pick, remoteId, userReference } from './values.ts'

const times = (row: Row): Record<string, unknown> => pick(row, 'changed_at', 'remote_deleted_at')
const remoteTimes = (row: Row): Record<string, unknown> => pick(row, 'remote_created_at', 'remote_updated_at')
const USER_COLUMNS = ['remote_id', 'first_name', 'last_name', 'email']

export async function shapeStages(rows: readonly Row[]): Promise<object[]> {
  return rows.map((row) => ({
    ...pick(row, 'id', 'remote_id', 'name', 'custom_fields'),
    ...times(row),
    status: closed('activity', row['status']),
    remote_data: null,
  }))
}

/** Interviews with interviewers, application, candidate and job. */
export async function shapeInterviews(rows: readonly Row[], reader: Reader): Promise<object[]> {
  const joins = await reader.by('interview-users', 'interview_id', pluck(rows, 'id'), { columns: ['user_id'] })
  const users = indexBy(await reader.by('users', 'id', pluck(joins, 'user_id'), { columns: USER_COLUMNS }), 'id')
  const usersOf = groupBy(joins, 'interview_id')
  const context = await applicationContext(reader, rows)
  return rows.map((row) => {
    const application = context.applications.get(row['application_id'])
    return {
      ...pick(row, 'id', 'remote_id', 'title', 'starting_at', 'ending_at', 'location', 'video_conferencing_url'),
      ...pick(row, 'application_id', 'stage_id', 'canceled'),
      ...remoteTimes(row),
      ...times(row),
      remote_data: null,
      users: (usersOf.get(row['id']) ?? []).flatMap((join) => {
        const user = users.get(join['user_id'])
        return user ? userReference(user) : []
      }),
      application: application
        ? {
            ...pick(application, 'id', 'remote_id', 'rejection_reason_name'),
            outcome: closed('outcome', application['outcome']),
            candidate: context.candidate(application),
            job: context.job(application),
          }
        : null,
    }
  })
}

/** Offers with candidate and job of their application. */
export async function shapeOffers(rows: readonly Row[], reader: Reader): Promise<object[]> {
  const context = await applicationContext(reader, rows)
  return rows.map((row) => {
    const application = context.applications.get(row['application_id'])
    return {
      ...pick(row, 'id', 'remote_id', 'employment_start_date', 'application_id', 'custom_fields'),
      ...times(row),
      ...remoteTimes(row),
      status: closed('offerStatus', row['status']),
      integration_fields: integrationFields(row['integration_fields']),
      remote_data: null,
      application: application ? { candidate: context.candidate(application), job: context.job(application) } : null,
    }
  })
}

export async function shapeRejectionReasons(rows: readonly Row[]): Promise<object[]> {
  return rows.map((row) => ({ ...pick(row, 'id', 'name'), ...times(row), remote_id: remoteId(row), remote_data: null }))
}

export async function shapeTags(rows: readonly Row[]): Promise<object[]> {
  return rows.map((row) => ({ ...pick(row, 'id', 'remote_id', 'name'), ...times(row), remote_data: null }))
}

/** Users with their system-wide roles. */
export async function shapeUsers(rows: readonly Row[], reader: Reader): Promise<object[]> {
  const columns = ['role_remote_id', 'role_label', 'role_unified_type']
  const assignments = await reader.by('user-roles', 'user_id', pluck(rows, 'id'), { columns })
  const roles = await rolesByRemoteId(reader, assignments)
  const assigned = groupBy(assignments, 'user_id')
  return rows.map((row) => ({
    ...pick(row, 'id', 'remote_id', 'first_name', 'last_name'),
    ...times(row),
    email: email(row['email']),
    status: closed('activity', row['status']),
    remote_data: null,
    system_roles: (assigned.get(row['id']) ?? []).map((assignment) => roleReference(assignment, roles, 'SYSTEM')),
  }))
}

export async function shapeRoles(rows: readonly Row[]): Promise<object[]> {
  return rows.map((row) => ({
    ...pick(row, 'id', 'remote_id', 'remote_label'),
    ...times(row),
    scope: closed('roleScope', row['scope']),
    unified_type: closed('roleType', row['unified_type']),
    remote_data: null,
  }))
}

/** Notes with their authors. */
export async function shapeNotes(rows: readonly Row[], reader: Reader): Promise<object[]> {
  const authors = await references(reader, 'users', pluck(rows, 'author_id'), USER_COLUMNS)
  return rows.map((row) => {
    const author = authors.get(row['author_id'])
    return {
      ...pick(row, 'id', 'candidate_id', 'application_id', 'author_id', 'title', 'content_html', 'is_private'),
      ...remoteTimes(row),
      ...times(row),
      remote_id: remoteId(row),
      author: author ? userReference(author) : null,
    }
  })
}
