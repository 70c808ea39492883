import type { Tool } from '../world/tools.ts'
import type { Model, Rec, TeamMember } from '../world/types.ts'
import type { Mirror, Row } from './mirror.ts'

/** What rendering needs beside the row. */
export interface RenderContext {
  readonly mirror: Mirror
  /** Fields that are never delivered, by model. */
  readonly absentFields: Tool['absentFields']
}

type Out = Record<string, unknown>

/** Milliseconds as Kombo writes times: `2026-01-05T09:00:00.000Z`. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** A record as its endpoint shows it: every key of the contract present, absent values null. */
export function render(row: Row, ctx: RenderContext): Out {
  return RENDERERS[row.model]?.(row, ctx) ?? {}
}

const RENDERERS: Readonly<Partial<Record<Model, (row: Row, ctx: RenderContext) => Out>>> = {
  jobs: renderJob,
  candidates: renderCandidate,
  applications: renderApplication,
  application_stages: (row, ctx) => own(row, ctx),
  interviews: renderInterview,
  offers: renderOffer,
  rejection_reasons: (row, ctx) => ({ ...own(row, ctx), remote_id: row.rec.remoteId }),
  tags: (row, ctx) => own(row, ctx),
  users: (row, ctx) => ({
    ...own(row, ctx),
    system_roles: liveLinks(row, ctx, 'roles').map((role) => roleOf(role, 'SYSTEM')),
  }),
  roles: (row, ctx) => own(row, ctx),
  notes: renderNote,
}

/** Id, remote id, own fields, bookkeeping. Blanked rows keep nothing but the ids. */
function own(row: Row, ctx: RenderContext): Out {
  const fields = masked(row.model, row.rec, ctx)
  return {
    id: row.id,
    remote_id: row.blanked ? null : row.rec.remoteId,
    ...fields,
    remote_data: null,
    changed_at: isoTime(row.changedAtMs),
    remote_deleted_at: row.deletedAtMs === null ? null : isoTime(row.deletedAtMs),
  }
}

/** Own fields without those that the tool does not deliver. */
function masked(model: Model, rec: Rec, ctx: RenderContext): Out {
  const fields = rec.fields as unknown as Out
  const absent = ctx.absentFields[model]
  if (!absent) return fields
  return Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, absent.includes(k) ? emptyLike(v) : v]))
}

function emptyLike(value: unknown): unknown {
  return Array.isArray(value) ? [] : null
}

function remoteTimes(row: Row, ctx: RenderContext): Out {
  const absent = ctx.absentFields[row.model] ?? []
  const time = (name: string, ms: number): string | null => (row.blanked || absent.includes(name) ? null : isoTime(ms))
  return {
    remote_created_at: time('remote_created_at', row.rec.createdMs),
    remote_updated_at: time('remote_updated_at', row.rec.updatedMs),
  }
}

const liveRow = (row: Row | undefined): row is Row => row !== undefined && row.deletedAtMs === null

/** The row behind a reference, also when it is deleted, until it is blanked. */
function reference(ctx: RenderContext, model: Model, id: unknown): Row | undefined {
  const row = ctx.mirror.row(model, id as string | null)
  return row && !row.blanked ? row : undefined
}

function dependents(row: Row, model: Model): Row[] {
  return (row.dependents ?? []).filter((each) => each.model === model && each.deletedAtMs === null)
}

function liveLinks(row: Row, ctx: RenderContext, key: 'tags' | 'roles' | 'users'): Row[] {
  return (row.rec.links[key] ?? []).map((id) => ctx.mirror.row(key, id)).filter(liveRow)
}

function roleOf(role: Row, scope: 'JOB' | 'SYSTEM'): Out {
  const { remote_label, unified_type } = (role.rec as Rec<'roles'>).fields
  return { remote_id: role.rec.remoteId, remote_label, unified_type, scope }
}

function userOf(user: Row, ctx: RenderContext): Out {
  const { first_name, last_name, email } = masked('users', user.rec, ctx)
  return { id: user.id, remote_id: user.rec.remoteId, first_name, last_name, email }
}

function tagsOf(candidate: Row, ctx: RenderContext): Out[] {
  return liveLinks(candidate, ctx, 'tags').map((tag) => ({
    id: tag.id,
    remote_id: tag.rec.remoteId,
    name: (tag.rec as Rec<'tags'>).fields.name,
  }))
}

function jobOf(ctx: RenderContext, id: unknown): Out | null {
  const job = reference(ctx, 'jobs', id)
  return job ? { id: job.id, remote_id: job.rec.remoteId, name: (job.rec as Rec<'jobs'>).fields.name } : null
}

/** A stage as an application shows it; its index is the position in the application's job. */
function stageOf(ctx: RenderContext, app: Rec<'applications'>): Out | null {
  const stage = reference(ctx, 'application_stages', app.fields.current_stage_id)
  if (!stage) return null
  const job = ctx.mirror.row('jobs', app.fields.job_id)
  const index = job?.rec.links.stages?.indexOf(stage.id) ?? -1
  const { name, status, custom_fields } = (stage.rec as Rec<'application_stages'>).fields
  return { id: stage.id, remote_id: stage.rec.remoteId, name, status, custom_fields, index: index < 0 ? null : index }
}

function renderJob(row: Row, ctx: RenderContext): Out {
  const links = row.rec.links
  const stages = (links.stages ?? []).map((id) => ctx.mirror.row('application_stages', id))
  const questions = (links.questions ?? []).map((id) => ctx.mirror.row('screening_questions', id))
  return {
    ...own(row, ctx),
    remote_id: row.rec.remoteId,
    integration_fields: [],
    ...remoteTimes(row, ctx),
    stages: stages.flatMap((stage, index) => {
      if (!liveRow(stage)) return []
      const { name, status, custom_fields } = (stage.rec as Rec<'application_stages'>).fields
      return [{ id: stage.id, remote_id: stage.rec.remoteId, name, status, custom_fields, index, remote_data: null }]
    }),
    screening_questions: questions.flatMap((question, index) =>
      liveRow(question) ? [{ id: question.id, remote_id: question.rec.remoteId, ...question.rec.fields, index }] : [],
    ),
    job_postings: dependents(row, 'job_postings').map((posting) => {
      const { job_id: _, ...rest } = (posting.rec as Rec<'job_postings'>).fields
      return { id: posting.id, remote_id: posting.rec.remoteId, ...rest, remote_data: null }
    }),
    hiring_team: (links.team ?? []).flatMap((member) => teamEntry(member, ctx)),
  }
}

function teamEntry(member: TeamMember, ctx: RenderContext): Out[] {
  const user = ctx.mirror.row('users', member.user)
  if (!liveRow(user)) return []
  const roles = member.roles.map((id) => ctx.mirror.row('roles', id)).filter(liveRow)
  const types = roles.map((role) => (role.rec as Rec<'roles'>).fields.unified_type)
  return [
    {
      ...userOf(user, ctx),
      // ADMIN is a type of job_roles only.
      hiring_team_roles: types.filter((type) => type !== null && type !== 'ADMIN'),
      job_roles: roles.map((role) => roleOf(role, 'JOB')),
    },
  ]
}

function renderCandidate(row: Row, ctx: RenderContext): Out {
  return {
    ...own(row, ctx),
    remote_id: row.rec.remoteId,
    integration_fields: [],
    ...remoteTimes(row, ctx),
    applications: dependents(row, 'applications').map((app) => {
      const rec = app.rec as Rec<'applications'>
      const { outcome, rejection_reason_name, rejected_at, remote_url } = masked('applications', rec, ctx)
      const stage = stageOf(ctx, rec)
      return {
        id: app.id,
        remote_id: rec.remoteId,
        outcome,
        rejection_reason_name,
        rejected_at,
        remote_url,
        changed_at: isoTime(app.changedAtMs),
        ...remoteTimes(app, ctx),
        current_stage: stage && {
          id: stage['id'],
          name: stage['name'],
          remote_id: stage['remote_id'],
          index: stage['index'],
        },
        job: jobOf(ctx, rec.fields.job_id),
      }
    }),
    tags: tagsOf(row, ctx),
  }
}

function renderApplication(row: Row, ctx: RenderContext): Out {
  const rec = row.rec as Rec<'applications'>
  const candidate = reference(ctx, 'candidates', rec.fields.candidate_id)
  return {
    ...own(row, ctx),
    ...(row.blanked ? { job_id: null, candidate_id: null } : {}),
    integration_fields: [],
    ...remoteTimes(row, ctx),
    candidate: candidate && !row.blanked ? applicationCandidate(candidate, ctx) : null,
    current_stage: stageOf(ctx, rec),
    job: jobOf(ctx, rec.fields.job_id),
    interviews: dependents(row, 'interviews').map((interview) => {
      const { title, starting_at, ending_at, location, canceled } = (interview.rec as Rec<'interviews'>).fields
      return { id: interview.id, remote_id: interview.rec.remoteId, title, starting_at, ending_at, location, canceled }
    }),
    offers: dependents(row, 'offers').map((offer) => ({
      id: offer.id,
      remote_id: offer.rec.remoteId,
      status: (offer.rec as Rec<'offers'>).fields.status,
    })),
  }
}

function applicationCandidate(candidate: Row, ctx: RenderContext): Out {
  const fields = masked('candidates', candidate.rec, ctx)
  return {
    id: candidate.id,
    remote_id: candidate.rec.remoteId,
    first_name: fields['first_name'],
    last_name: fields['last_name'],
    email_addresses: fields['email_addresses'],
    phone_numbers: fields['phone_numbers'],
    social_media: fields['social_media'],
    source: fields['source'],
    remote_url: fields['remote_url'],
    tags: tagsOf(candidate, ctx),
  }
}

/** The candidate as interviews and offers show it. */
function briefCandidate(ctx: RenderContext, id: unknown): Out | null {
  const candidate = reference(ctx, 'candidates', id)
  if (!candidate) return null
  const { first_name, last_name, email_addresses } = masked('candidates', candidate.rec, ctx)
  return { id: candidate.id, remote_id: candidate.rec.remoteId, first_name, last_name, email_addresses }
}

function renderInterview(row: Row, ctx: RenderContext): Out {
  const app = reference(ctx, 'applications', (row.rec as Rec<'interviews'>).fields.application_id)
  const rec = app?.rec as Rec<'applications'> | undefined
  return {
    ...own(row, ctx),
    ...(row.blanked ? { application_id: null } : {}),
    ...remoteTimes(row, ctx),
    users: liveLinks(row, ctx, 'users').map((user) => userOf(user, ctx)),
    application: rec
      ? {
          id: rec.id,
          remote_id: rec.remoteId,
          outcome: rec.fields.outcome,
          rejection_reason_name: rec.fields.rejection_reason_name,
          candidate: briefCandidate(ctx, rec.fields.candidate_id),
          job: jobOf(ctx, rec.fields.job_id),
        }
      : null,
  }
}

function renderOffer(row: Row, ctx: RenderContext): Out {
  const app = reference(ctx, 'applications', (row.rec as Rec<'offers'>).fields.application_id)
  const rec = app?.rec as Rec<'applications'> | undefined
  return {
    ...own(row, ctx),
    ...(row.blanked ? { application_id: null } : {}),
    integration_fields: [],
    ...remoteTimes(row, ctx),
    application: rec
      ? { candidate: briefCandidate(ctx, rec.fields.candidate_id), job: jobOf(ctx, rec.fields.job_id) }
      : null,
  }
}

function renderNote(row: Row, ctx: RenderContext): Out {
  const author = ctx.mirror.row('users', (row.rec as Rec<'notes'>).fields.author_id)
  const { remote_data: _, ...rest } = own(row, ctx)
  return {
    ...rest,
    remote_id: row.rec.remoteId,
    ...remoteTimes(row, ctx),
    author: liveRow(author) ? userOf(author, ctx) : null,
  }
}
