import { preconditionOptions, questionFormat } from './questions.ts'
import { groupBy, indexBy, pluck, type Reader, type Row } from './reader.ts'
import { roleReference, rolesByRemoteId } from './shared.ts'
import { closed, integrationFields, items, pick, remoteId, userReference } from './values.ts'

/** Jobs as Kombo shows them: with stages, screening questions, postings and hiring team. */
export async function shapeJobs(rows: readonly Row[], reader: Reader): Promise<object[]> {
  const ids = pluck(rows, 'id')
  const [stages, questions, postings, team] = await Promise.all([
    stagesByJob(reader, ids),
    questionsByJob(reader, ids),
    postingsByJob(reader, ids),
    teamByJob(reader, ids),
  ])
  return rows.map((row) => ({
    ...pick(row, 'id', 'name', 'job_code', 'description', 'confidential', 'weekly_hours', 'employment_type', 'status'),
    ...pick(row, 'visibility', 'category', 'department', 'post_url', 'experience_level', 'remote_work_status'),
    ...pick(row, 'salary_amount', 'salary_amount_from', 'salary_amount_to', 'salary_currency', 'salary_period'),
    ...pick(row, 'location', 'custom_fields', 'remote_url', 'opened_at', 'closed_at', 'remote_created_at'),
    ...pick(row, 'remote_updated_at', 'contact_id', 'changed_at', 'remote_deleted_at'),
    remote_id: remoteId(row),
    integration_fields: integrationFields(row['integration_fields']),
    remote_data: null,
    stages: stages.get(row['id']) ?? [],
    screening_questions: questions.get(row['id']) ?? [],
    job_postings: postings.get(row['id']) ?? [],
    hiring_team: team.get(row['id']) ?? [],
  }))
}

const byIndex = (a: Row, b: Row): number => Number(a['index'] ?? Infinity) - Number(b['index'] ?? Infinity) || 0

async function stagesByJob(reader: Reader, jobIds: readonly unknown[]): Promise<Map<unknown, object[]>> {
  const joins = await reader.by('job-stages', 'job_id', jobIds, { columns: ['stage_id', 'index'] })
  const columns = ['remote_id', 'name', 'status', 'custom_fields']
  const stages = indexBy(await reader.by('application-stages', 'id', pluck(joins, 'stage_id'), { columns }), 'id')
  const out = new Map<unknown, object[]>()
  for (const [jobId, group] of groupBy(joins, 'job_id')) {
    const list = group.toSorted(byIndex).flatMap((join) => {
      const stage = stages.get(join['stage_id'])
      if (!stage) return []
      const status = closed('activity', stage['status'])
      return {
        ...pick(stage, 'id', 'remote_id', 'name', 'custom_fields'),
        status,
        index: join['index'],
        remote_data: null,
      }
    })
    out.set(jobId, list)
  }
  return out
}

async function questionsByJob(reader: Reader, jobIds: readonly unknown[]): Promise<Map<unknown, object[]>> {
  const columns = ['question_id', 'index', 'required', 'precondition_question_id', 'precondition_options']
  const joins = await reader.by('job-screening-questions', 'job_id', jobIds, { columns })
  const fields = ['remote_id', 'title', 'description', 'format', 'category']
  const questions = indexBy(
    await reader.by('screening-questions', 'id', pluck(joins, 'question_id'), { columns: fields }),
    'id',
  )
  const out = new Map<unknown, object[]>()
  for (const [jobId, group] of groupBy(joins, 'job_id')) {
    const list = group.toSorted(byIndex).flatMap((join) => {
      const question = questions.get(join['question_id'])
      return question ? questionOfJob(question, join) : []
    })
    out.set(jobId, list)
  }
  return out
}

function questionOfJob(question: Row, join: Row): object {
  return {
    ...pick(question, 'id', 'remote_id', 'title', 'description'),
    format: questionFormat(question['format']),
    category: closed('questionCategory', question['category']),
    ...pick(join, 'index', 'required', 'precondition_question_id'),
    precondition_options: preconditionOptions(join['precondition_options']),
  }
}

async function postingsByJob(reader: Reader, jobIds: readonly unknown[]): Promise<Map<unknown, object[]>> {
  const columns = ['remote_id', 'title', 'description_html', 'status', 'visibility', 'url']
  const postings = await reader.by('job-postings', 'job_id', jobIds, { columns })
  const out = new Map<unknown, object[]>()
  for (const [jobId, group] of groupBy(postings, 'job_id')) {
    const list = group.map((posting) => ({
      ...pick(posting, 'id', 'remote_id', 'title', 'description_html', 'url'),
      status: closed('postingStatus', posting['status']),
      visibility: closed('postingVisibility', posting['visibility']),
      remote_data: null,
    }))
    out.set(jobId, list)
  }
  return out
}

async function teamByJob(reader: Reader, jobIds: readonly unknown[]): Promise<Map<unknown, object[]>> {
  const roleColumns = ['user_id', 'role_remote_id', 'role_label', 'role_unified_type']
  const [members, assignments] = await Promise.all([
    reader.by('job-hiring-team', 'job_id', jobIds, { columns: ['user_id', 'hiring_team_roles'] }),
    reader.by('job-role-assignments', 'job_id', jobIds, { columns: roleColumns }),
  ])
  const userColumns = ['remote_id', 'first_name', 'last_name', 'email']
  const users = indexBy(await reader.by('users', 'id', pluck(members, 'user_id'), { columns: userColumns }), 'id')
  const roles = await rolesByRemoteId(reader, assignments)
  const assigned = Map.groupBy(assignments, (row) => `${row['job_id']}/${row['user_id']}`)
  const out = new Map<unknown, object[]>()
  for (const [jobId, group] of groupBy(members, 'job_id')) {
    const list = group.flatMap((member) => {
      const user = users.get(member['user_id'])
      if (!user) return []
      const jobRoles = assigned.get(`${jobId}/${user['id']}`) ?? []
      return {
        ...userReference(user),
        hiring_team_roles: items(member['hiring_team_roles']).filter((role) => closed('teamRole', role) !== null),
        job_roles: jobRoles.map((assignment) => roleReference(assignment, roles, 'JOB')),
      }
    })
    out.set(jobId, list)
  }
  return out
}
