import { CandidateMutations } from './candidate-mutations.ts'
import { applicationName, personName } from './describe.ts'
import { applicationFields, jobFields, jobLinks, postingFields } from './population.ts'
import type {
  InterviewFields,
  JobFields,
  Links,
  Mutation,
  OfferFields,
  OfferStatus,
  TeamMember,
  UserFields,
} from './types.ts'

const iso = (ms: number): string => new Date(ms).toISOString()

/**
 * Explicit mutations: each forces one thing to happen now in one company. Ids are Kombo ids or remote ids. A method returns the
 * mutation, or null when nothing changed; the create methods return the new record's Kombo id. An unknown id throws RECORD_INVALID.
 */
export abstract class Mutations extends CandidateMutations {
  renameTag(integrationId: string, id: string, name: string): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('tag_renamed', `tag renamed to ${name}`, (draft) => draft.edit('tags', id, { name }))
  }

  renameStage(integrationId: string, id: string, name: string): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('stage_renamed', `stage renamed to ${name}`, (draft) =>
      draft.edit('application_stages', id, { name }),
    )
  }

  /** A candidate applies to a job, at its first stage. */
  apply(integrationId: string, candidateId: string, jobId: string): string {
    const company = this.company(integrationId)
    const candidate = company.find('candidates', candidateId)
    const job = company.find('jobs', jobId)
    let id = ''
    company.mutate('application_created', `${personName(candidate)} applied for ${job.fields.name}`, (draft) => {
      id = draft.insert('applications', applicationFields(company, this.random, candidate, job)).id
    })
    return id
  }

  moveApplication(integrationId: string, id: string, stageId: string): Mutation | null {
    const company = this.company(integrationId)
    const app = company.find('applications', id)
    const to = company.find('application_stages', stageId)
    const from = company.tables.application_stages.get(app.fields.current_stage_id ?? '')
    const text = `${applicationName(company, app)}: ${from?.fields.name ?? '?'} -> ${to.fields.name}`
    return company.mutate('application_moved', text, (draft) =>
      draft.edit('applications', app.id, { current_stage_id: to.id }),
    )
  }

  rejectApplication(integrationId: string, id: string, reason: string | null = 'Position filled'): Mutation | null {
    return this.#decline(integrationId, id, 'application_rejected', reason)
  }

  /** Kombo shows a withdrawal as DECLINED too, here without a reason. */
  withdrawApplication(integrationId: string, id: string): Mutation | null {
    return this.#decline(integrationId, id, 'application_withdrawn', null)
  }

  /** Moves to the job's last stage with outcome HIRED; an offer that is out becomes accepted. */
  hireApplication(integrationId: string, id: string): Mutation | null {
    const company = this.company(integrationId)
    const app = company.find('applications', id)
    const stages = company.tables.jobs.get(app.fields.job_id)?.links.stages ?? []
    return company.mutate('application_hired', `${applicationName(company, app)}: hired`, (draft) => {
      draft.edit('applications', app.id, {
        outcome: 'HIRED',
        current_stage_id: stages.at(-1) ?? app.fields.current_stage_id,
      })
      for (const offer of company.children('offers', app.id)) draft.edit('offers', offer, { status: 'ACCEPTED' })
    })
  }

  createJob(integrationId: string, fields: Partial<JobFields> = {}): string {
    const company = this.company(integrationId)
    const { random } = this
    let id = ''
    company.mutate(
      'job_created',
      () => `new job ${company.tables.jobs.get(id)?.fields.name}`,
      (draft) => {
        const all = { ...jobFields(company, random, draft.nowMs, 'OPEN'), ...fields }
        const job = draft.insert('jobs', all, jobLinks(company, random))
        if (all.status === 'OPEN') draft.insert('job_postings', postingFields(job))
        id = job.id
      },
    )
    return id
  }

  editJob(integrationId: string, id: string, patch: Partial<JobFields>): Mutation | null {
    const company = this.company(integrationId)
    const job = company.find('jobs', id)
    const text = `${job.fields.name}: ${Object.keys(patch).join(', ')} edited`
    return company.mutate('job_edited', text, (draft) => draft.edit('jobs', job.id, patch))
  }

  /** Closes a job; its postings become inactive. */
  closeJob(integrationId: string, id: string): Mutation | null {
    return this.#setJobStatus(integrationId, id, false)
  }

  /** Opens a job again; its postings become active. */
  openJob(integrationId: string, id: string): Mutation | null {
    return this.#setJobStatus(integrationId, id, true)
  }

  setJobStages(integrationId: string, id: string, stages: readonly string[]): Mutation | null {
    return this.#linkJob(integrationId, id, 'job_stages_changed', 'stages', { stages })
  }

  setJobQuestions(integrationId: string, id: string, questions: readonly string[]): Mutation | null {
    return this.#linkJob(integrationId, id, 'job_questions_changed', 'screening questions', { questions })
  }

  setHiringTeam(integrationId: string, id: string, team: readonly TeamMember[]): Mutation | null {
    return this.#linkJob(integrationId, id, 'job_team_changed', 'hiring team', { team })
  }

  /** Schedules an interview one week from now, with the first two of the hiring team unless told otherwise. */
  scheduleInterview(
    integrationId: string,
    applicationId: string,
    fields: Partial<InterviewFields> = {},
    users?: readonly string[],
  ): string {
    const company = this.company(integrationId)
    const app = company.find('applications', applicationId)
    const job = company.tables.jobs.get(app.fields.job_id)
    const team = job?.links.team?.map((member) => member.user).slice(0, 2) ?? []
    let id = ''
    company.mutate('interview_scheduled', `${applicationName(company, app)}: interview scheduled`, (draft) => {
      const startMs = draft.nowMs + 7 * 86_400_000
      const all: InterviewFields = {
        title: `Interview for ${job?.fields.name ?? 'a job'}`,
        starting_at: iso(startMs),
        ending_at: iso(startMs + 3_600_000),
        location: null,
        video_conferencing_url: `https://meet.example.com/${app.remoteId}`,
        application_id: app.id,
        stage_id: app.fields.current_stage_id,
        canceled: false,
        ...fields,
      }
      id = draft.insert('interviews', all, { users: users ?? team }).id
    })
    return id
  }

  createOffer(integrationId: string, applicationId: string, fields: Partial<OfferFields> = {}): string {
    const company = this.company(integrationId)
    const app = company.find('applications', applicationId)
    let id = ''
    company.mutate('offer_created', `${applicationName(company, app)}: offer drafted`, (draft) => {
      const start = iso(draft.nowMs + 60 * 86_400_000)
      const base = { status: 'DRAFT', employment_start_date: start, application_id: app.id, custom_fields: {} } as const
      id = draft.insert('offers', { ...base, ...fields }).id
    })
    return id
  }

  setOfferStatus(integrationId: string, id: string, status: OfferStatus): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('offer_changed', `offer is ${status}`, (draft) => draft.edit('offers', id, { status }))
  }

  addNote(integrationId: string, applicationId: string, html: string): string {
    const company = this.company(integrationId)
    const app = company.find('applications', applicationId)
    let id = ''
    company.mutate('note_added', `${applicationName(company, app)}: note added`, (draft) => {
      const author = company.tables.users.pick(this.random)?.id ?? null
      const { candidate_id } = app.fields
      const rest = { title: null, content_html: html, is_private: false }
      id = draft.insert('notes', { candidate_id, application_id: app.id, author_id: author, ...rest }).id
    })
    return id
  }

  editUser(integrationId: string, id: string, patch: Partial<UserFields>): Mutation | null {
    const company = this.company(integrationId)
    return company.mutate('user_changed', `user edited`, (draft) => draft.edit('users', id, patch))
  }

  #decline(
    integrationId: string,
    id: string,
    kind: 'application_rejected' | 'application_withdrawn',
    reason: string | null,
  ): Mutation | null {
    const company = this.company(integrationId)
    const app = company.find('applications', id)
    const what = kind === 'application_rejected' ? `rejected (${reason ?? 'no reason'})` : 'withdrew'
    return company.mutate(kind, `${applicationName(company, app)}: ${what}`, (draft) =>
      draft.edit('applications', app.id, {
        outcome: 'DECLINED',
        rejection_reason_name: reason,
        rejected_at: iso(draft.nowMs),
      }),
    )
  }

  #setJobStatus(integrationId: string, id: string, open: boolean): Mutation | null {
    const company = this.company(integrationId)
    const job = company.find('jobs', id)
    const text = `${job.fields.name}: ${open ? 'opened' : 'closed'}`
    return company.mutate(open ? 'job_opened' : 'job_closed', text, (draft) => {
      draft.edit('jobs', job.id, {
        status: open ? 'OPEN' : 'CLOSED',
        closed_at: open ? null : iso(draft.nowMs),
      })
      for (const posting of company.children('job_postings', job.id)) {
        draft.edit('job_postings', posting, { status: open ? 'ACTIVE' : 'INACTIVE' })
      }
    })
  }

  #linkJob(
    integrationId: string,
    id: string,
    kind: 'job_stages_changed' | 'job_questions_changed' | 'job_team_changed',
    what: string,
    links: Links,
  ): Mutation | null {
    const company = this.company(integrationId)
    const job = company.find('jobs', id)
    return company.mutate(kind, `${job.fields.name}: ${what} changed`, (draft) => draft.link('jobs', job.id, links))
  }
}
