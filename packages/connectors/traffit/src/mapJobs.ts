/**
 * Recruitments to jobs, with their postings, stages and hiring team. A job is told by up to four answers: its short row in the listing, its
 * own detail, the list of published posts, and the workflows. What none of them says is not delivered.
 */

import type { Json } from '@tidemark/connector/mapping'
import { remoteKey } from '@tidemark/model'
import { type Collector, type MapContext, reference } from './collector.ts'
import { copied, customFields, timed } from './fields.ts'
import { idOf, refId, textOf } from './json.ts'
import { advertValue, descriptionOf, locationOf, type Published } from './published.ts'
import type { Workflows } from './workflows.ts'

/** What is known of one job; null for an answer that is not there. */
export interface JobAnswers {
  readonly row: Json | null
  readonly detail: Json | null
  readonly published: Published | null
  readonly workflows: Workflows | null
}

/** Maps one job and its children; a job without a readable id becomes a failure. */
export function mapJob(context: MapContext, answers: JobAnswers, out: Collector): void {
  const json = { ...answers.row, ...answers.detail }
  const id = idOf(json['id'])
  if (id === null) {
    out.fail('jobs', null, 'has no `id`', answers.detail ?? answers.row)
    return
  }
  const posts = postsOf(answers.published, id)
  const record = {
    ...ownFields(context, id, json, answers.detail !== null),
    ...(posts === null ? {} : { description: descriptionOf(posts), location: locationOf(posts) }),
    ...(answers.detail === null ? {} : { remote_data: remoteData(answers, posts) }),
  }
  out.add('jobs', remoteKey(id), record, { remoteVersion: context.times.version(json['updated_at']) })
  if (posts !== null && answers.published?.unread.length === 0) mapPostings(context, id, posts, out)
  if (answers.detail === null) return
  mapTeam(context, id, answers.detail, out)
  mapStages(context, id, answers.detail, answers.workflows, out)
}

/** A job's published posts; null where the list is not there, or might name the job in a row that could not be read. */
function postsOf(published: Published | null, jobId: string): readonly Json[] | null {
  if (published === null) return null
  return published.byJob.get(jobId) ?? (published.unread.length === 0 ? [] : null)
}

/** The short row lacks what these fields also need, so that they are left out without the detail. */
function ownFields({ times }: MapContext, id: string, json: Json, hasDetail: boolean): Record<string, unknown> {
  const isClosed = json['is_closed']
  const status = statusOf(json, hasDetail)
  return {
    remote_id: id,
    ...copied(json, { name: 'name', confidential: 'is_confidential' }),
    ...(status === null ? {} : { status }),
    // On an open job it is the planned deadline.
    ...(isClosed === true ? timed(json, times, { closed_at: 'closing_date' }) : {}),
    ...(isClosed === false ? { closed_at: null } : {}),
    ...timed(json, times, { remote_created_at: 'created_at', remote_updated_at: 'updated_at' }),
    ...(hasDetail ? { custom_fields: customFields(json), integration_fields: integrationFields(json) } : {}),
  }
}

/** `is_closed` decides, because the text can say "active" of a closed job; that a text "draft" means a draft is inferred. Null: not known. */
function statusOf(json: Json, hasDetail: boolean): 'OPEN' | 'CLOSED' | 'DRAFT' | null {
  if (json['is_closed'] === true) return 'CLOSED'
  if (!hasDetail || json['is_closed'] !== false) return null
  return textOf(json['status'])?.toLowerCase() === 'draft' ? 'DRAFT' : 'OPEN'
}

function integrationFields(json: Json): object[] {
  const client = json['client'] as { readonly name?: unknown } | null | undefined
  const values = { nrRef: json['nrRef'], 'client.name': client?.name, workflow_id: json['workflow_id'] }
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [{ id: key, key, type: 'DEFAULT', label: key, value }],
  )
}

const remoteData = ({ row, detail }: JobAnswers, posts: readonly Json[] | null): object => ({
  ...(row === null ? {} : { '/recruitments': row }),
  '/recruitments/{id}': detail,
  ...(posts === null ? {} : { '/public/job_posts/published': posts }),
})

/** Only published posts exist, so the list is complete: one that is no longer published is gone. */
function mapPostings(context: MapContext, jobId: string, posts: readonly Json[], out: Collector): void {
  const keys: string[] = []
  for (const post of posts) {
    const id = idOf(post['id'])
    if (id === null) {
      out.fail('job-postings', null, `a published post of job ${jobId} has no \`id\``, post)
      return
    }
    const key = remoteKey(jobId, id)
    if (keys.includes(key)) continue
    keys.push(key)
    out.add('job-postings', key, postingRecord(context, jobId, id, post))
  }
  out.children('job-postings', jobId, keys)
}

function postingRecord(context: MapContext, jobId: string, id: string, post: Json): Record<string, unknown> {
  const description = advertValue(post, 'description')
  return {
    remote_id: id,
    job_id: reference(context, 'jobs', jobId),
    title: (post['advert'] as Json)['name'] ?? null,
    ...(description === undefined ? {} : { description_html: description }),
    status: 'ACTIVE',
    visibility: 'PUBLIC',
    ...copied(post, { url: 'url' }),
    ...timed(post, context.times, createdFrom),
    remote_data: { '/public/job_posts/published': post },
  }
}

/** A post says when it begins to be valid and not when it was created (a choice). */
const createdFrom = { remote_created_at: 'valid_start' } as const

/** TRAFFIT does not say which part a responsible person plays; recruiter is inferred. */
const TEAM_ROLES = ['RECRUITER'] as const

function mapTeam(context: MapContext, jobId: string, detail: Json, out: Collector): void {
  const people = detail['responsible_person']
  if (people === undefined) return
  const ids = (Array.isArray(people) ? people : people === null ? [] : [people]).map(refId)
  if (ids.includes(null)) {
    out.fail('job-hiring-team', null, `a responsible person of job ${jobId} has no \`id\``, people)
    return
  }
  const keys: string[] = []
  for (const userId of new Set(ids as string[])) {
    const key = remoteKey(jobId, userId)
    keys.push(key)
    const references = { job_id: reference(context, 'jobs', jobId), user_id: reference(context, 'users', userId) }
    out.add('job-hiring-team', key, { ...references, hiring_team_roles: TEAM_ROLES })
  }
  out.children('job-hiring-team', jobId, keys)
}

/** The states of the job's workflow, ranked by order. Nothing where the workflow is not known or could not be read whole. */
function mapStages(
  context: MapContext,
  jobId: string,
  detail: Json,
  workflows: Workflows | null,
  out: Collector,
): void {
  const workflowId = idOf(detail['workflow_id'])
  if (workflowId === null || workflows === null || workflows.incomplete.has(workflowId)) return
  const ids = workflows.idsOf.get(workflowId)
  if (ids === undefined) return
  const keys: string[] = []
  for (const [index, stageId] of ids.entries()) {
    const key = remoteKey(jobId, stageId)
    keys.push(key)
    const references = {
      job_id: reference(context, 'jobs', jobId),
      stage_id: reference(context, 'application-stages', stageId),
    }
    out.add('job-stages', key, { ...references, index })
  }
  out.children('job-stages', jobId, keys)
}
