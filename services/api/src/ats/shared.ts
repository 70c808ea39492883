import type { ModelName } from '@tidemark/model'
import { groupBy, indexBy, pluck, type Reader, type Row } from './reader.ts'
import { closed, emailAddresses, pick, remoteId } from './values.ts'

/** Columns of the joins that pages of other models ask for. */
export const TAG_JOIN_COLUMNS = ['tag_id']
export const STAGE_JOIN_COLUMNS = ['stage_id', 'index']

/** Roles by their identifier in the ATS. */
export async function rolesByRemoteId(reader: Reader, assignments: readonly Row[]): Promise<Map<unknown, Row>> {
  const columns = ['remote_id', 'remote_label', 'unified_type']
  return indexBy(await reader.by('roles', 'remote_id', pluck(assignments, 'role_remote_id'), { columns }), 'remote_id')
}

/** An assigned role: what the roles listing says, or what the assignment itself carries. */
export function roleReference(assignment: Row, roles: ReadonlyMap<unknown, Row>, scope: 'JOB' | 'SYSTEM'): object {
  const role = roles.get(assignment['role_remote_id'])
  return {
    remote_id: assignment['role_remote_id'] ?? null,
    remote_label: role?.['remote_label'] ?? assignment['role_label'] ?? null,
    unified_type: closed('roleType', role?.['unified_type'] ?? assignment['role_unified_type']),
    scope,
  }
}

/** Tags of candidates: candidate id to `{id, remote_id, name}` lists. */
export async function tagsByCandidate(
  reader: Reader,
  candidateIds: readonly unknown[],
): Promise<Map<unknown, object[]>> {
  const joins = await reader.by('candidate-tags', 'candidate_id', candidateIds, { columns: TAG_JOIN_COLUMNS })
  const tags = await reader.by('tags', 'id', pluck(joins, 'tag_id'), { columns: ['remote_id', 'name'] })
  const byId = indexBy(tags, 'id')
  const out = new Map<unknown, object[]>()
  for (const [candidateId, group] of groupBy(joins, 'candidate_id')) {
    const list = group.flatMap((join): object | [] => {
      const tag = byId.get(join['tag_id'])
      return tag ? pick(tag, 'id', 'remote_id', 'name') : []
    })
    out.set(candidateId, list)
  }
  return out
}

/** Order of stages within jobs, `<job id>/<stage id>` to index. */
export async function stageIndexes(reader: Reader, jobIds: readonly unknown[]): Promise<Map<string, unknown>> {
  const joins = await reader.by('job-stages', 'job_id', jobIds, { columns: STAGE_JOIN_COLUMNS })
  return new Map(joins.map((join) => [`${join['job_id']}/${join['stage_id']}`, join['index'] ?? null]))
}

/** The stage an application is in; null when it is in none that is known. */
export function stageReference(
  application: Row,
  stages: ReadonlyMap<unknown, Row>,
  indexes: ReadonlyMap<string, unknown>,
): Record<string, unknown> | null {
  const stage = stages.get(application['current_stage_id'])
  if (!stage) return null
  const index = indexes.get(`${application['job_id']}/${stage['id']}`) ?? stage['global_index'] ?? null
  return { ...pick(stage, 'id', 'remote_id', 'name'), index }
}

/** The job a record refers to; null when it is not known. */
export function jobReference(row: Row, jobs: ReadonlyMap<unknown, Row>): object | null {
  const job = jobs.get(row['job_id'])
  return job ? { ...pick(job, 'id', 'name'), remote_id: remoteId(job) } : null
}

/** Referenced records by id, also those that are gone. */
export async function references(
  reader: Reader,
  model: ModelName,
  ids: readonly unknown[],
  columns: readonly string[],
): Promise<Map<unknown, Row>> {
  return indexBy(await reader.by(model, 'id', ids, { columns, deleted: true }), 'id')
}

/** Applications with candidate and job, as interviews and offers show them. */
export interface ApplicationContext {
  readonly applications: ReadonlyMap<unknown, Row>
  candidate(application: Row): object | null
  job(application: Row): object | null
}

export async function applicationContext(reader: Reader, rows: readonly Row[]): Promise<ApplicationContext> {
  const columns = ['remote_id', 'outcome', 'rejection_reason_name', 'candidate_id', 'job_id']
  const applications = await references(reader, 'applications', pluck(rows, 'application_id'), columns)
  const all = [...applications.values()]
  const [candidates, jobs] = await Promise.all([
    references(reader, 'candidates', pluck(all, 'candidate_id'), [
      'remote_id',
      'first_name',
      'last_name',
      'email_addresses',
    ]),
    references(reader, 'jobs', pluck(all, 'job_id'), ['remote_id', 'name']),
  ])
  return {
    applications,
    candidate(application) {
      const candidate = candidates.get(application['candidate_id'])
      if (!candidate) return null
      return {
        ...pick(candidate, 'id', 'first_name', 'last_name'),
        remote_id: remoteId(candidate),
        email_addresses: emailAddresses(candidate['email_addresses']),
      }
    },
    job: (application) => jobReference(application, jobs),
  }
}
