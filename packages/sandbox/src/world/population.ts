import { type Random, seededRandom } from '@tidemark/base'
import type { Company } from './company.ts'
import { hash32 } from './ids.ts'
import {
  CITIES,
  DEPARTMENTS,
  FIRST_NAMES,
  JOB_TITLES,
  LAST_NAMES,
  LEVELS,
  NOTES,
  REJECTION_REASONS,
  ROLES,
  STAGES,
  TAGS,
} from './names.ts'
import { locationOf, slug } from './profile.ts'
import { answersFor, QUESTIONS } from './questions.ts'
import type { ApplicationFields, JobFields, Outcome, PostingFields, Rec, TeamMember } from './types.ts'

/** Sizes of one company's initial population. */
export interface CompanySizes {
  readonly jobs: number
  readonly candidates: number
  readonly applications: number
}

const DAY_MS = 86_400_000

const iso = (ms: number): string => new Date(ms).toISOString()

/** Ids of a table's records, in order. */
function idsOf(table: { values(): Iterable<Rec> }): string[] {
  return Array.from(table.values(), (rec) => rec.id)
}

/** Fills an empty company with people, jobs and applications of the year before `nowMs`; the same for the same seed and sizes. */
export function populate(company: Company, sizes: CompanySizes, nowMs: number): void {
  const random = seededRandom(hash32(company.integrationId, company.seed))
  const past = (days: number): number => nowMs - Math.floor(random.next() * days * DAY_MS) - 1000
  const founded = nowMs - 400 * DAY_MS
  for (const [remote_label, scope, unified_type] of ROLES) {
    company.seedRecord('roles', { remote_label, scope, unified_type }, {}, founded)
  }
  for (const name of TAGS) company.seedRecord('tags', { name }, {}, founded)
  for (const name of REJECTION_REASONS) company.seedRecord('rejection_reasons', { name }, {}, founded)
  for (const name of STAGES) {
    company.seedRecord('application_stages', { name, status: 'ACTIVE', custom_fields: {} }, {}, founded)
  }
  for (const question of QUESTIONS) company.seedRecord('screening_questions', question(company), {}, founded)
  const users = Math.max(5, Math.min(60, Math.ceil(sizes.jobs / 5)))
  for (let i = 0; i < users; i++) seedUser(company, random, past(390))
  for (let i = 0; i < sizes.jobs; i++) seedJob(company, random, past(360))
  const tags = idsOf(company.tables.tags)
  for (let i = 0; i < sizes.candidates; i++) {
    const chosen = random.chance(0.35) ? [random.pick(tags)] : []
    company.seedCandidate(chosen.length > 0 ? { tags: chosen } : NO_LINKS, past(360))
  }
  for (let i = 0; i < sizes.applications; i++) seedApplication(company, random, i, nowMs)
}

const NO_LINKS = { tags: [] } as const

function seedUser(company: Company, random: Random, createdMs: number): void {
  const roles = idsOf(company.tables.roles)
  const first = random.pick(FIRST_NAMES)
  const last = random.pick(LAST_NAMES)
  const n = company.tables.users.size + 1
  company.seedRecord(
    'users',
    {
      first_name: first,
      last_name: last,
      email: `${slug(first)}.${slug(last)}.${n}@${company.tool.slug}-customer.example.com`,
      status: random.chance(0.95) ? 'ACTIVE' : 'INACTIVE',
    },
    { roles: [roles[n === 1 ? 0 : 1 + random.int(2)] as string] },
    createdMs,
  )
}

/** Own fields of a new job. */
export function jobFields(company: Company, random: Random, openedMs: number, status: string): JobFields {
  const name = random.pick(JOB_TITLES)
  const number = company.upcomingNumber('jobs')
  const from = 2500 + 100 * random.int(60)
  const user = company.tables.users.pick(random)
  return {
    name,
    job_code: `${name.replace(/[^A-Z]/g, '') || 'X'}-${new Date(openedMs).getUTCFullYear()}-${String(number).padStart(3, '0')}`,
    description: `<p>We are looking for a <b>${name}</b>.</p><ul><li>Kindness</li><li>Second breakfast included</li></ul>`,
    confidential: false,
    weekly_hours: random.pick([20, 32, 37.5, 40]),
    employment_type: random.pick(['FULL_TIME', 'FULL_TIME', 'PART_TIME', 'CONTRACT', 'INTERNSHIP', 'Werkstudent']),
    status,
    visibility: random.pick(['PUBLIC', 'PUBLIC', 'PUBLIC', 'INTERNAL', 'UNLISTED', 'CONFIDENTIAL']),
    category: random.pick(['Technical Job', 'Business Job', 'Operations Job', null]),
    department: random.pick(DEPARTMENTS),
    post_url: `https://jobs.${company.tool.slug}.example.com/post/${number}`,
    experience_level: random.pick(LEVELS),
    remote_work_status: random.pick(['REMOTE', 'HYBRID', 'ON_SITE', 'TEMPORARY', null]),
    salary_amount: null,
    salary_amount_from: from,
    salary_amount_to: from + 1500,
    salary_currency: random.pick(['EUR', 'PLN', 'USD']),
    salary_period: 'MONTH',
    location: locationOf(random.pick(CITIES)),
    custom_fields: random.chance(0.3)
      ? { cost_center: `CC-${100 + random.int(50)}`, headcount: 1 + random.int(4) }
      : {},
    remote_url: `https://${company.host}/jobs/${number}`,
    opened_at: iso(openedMs),
    closed_at: status === 'CLOSED' ? iso(openedMs + 30 * DAY_MS) : null,
    contact_id: user?.id ?? null,
  }
}

/** Own fields of a posting of a job. */
export function postingFields(job: Rec<'jobs'>): PostingFields {
  const visibility = job.fields.visibility
  return {
    job_id: job.id,
    title: job.fields.name,
    description_html: job.fields.description,
    status: job.fields.status === 'OPEN' ? 'ACTIVE' : 'INACTIVE',
    visibility: visibility === 'PUBLIC' || visibility === 'INTERNAL' || visibility === 'UNLISTED' ? visibility : null,
    url: job.fields.post_url,
  }
}

/** Links of a new job: a pipeline, sometimes questions, a hiring team. */
export function jobLinks(
  company: Company,
  random: Random,
): { readonly stages: readonly string[]; readonly questions: readonly string[]; readonly team: readonly TeamMember[] } {
  const stages = idsOf(company.tables.application_stages)
  const optional = new Set([2, 3, 5])
  const pipeline = stages.filter((_, index) => !optional.has(index) || random.chance(0.6))
  const all = idsOf(company.tables.screening_questions)
  const questions = random.chance(0.4) ? all.filter(() => random.chance(0.4)) : []
  const roles = Array.from(company.tables.roles.values()).filter((role) => role.fields.scope === 'JOB')
  const team: TeamMember[] = []
  for (let i = 0; i < 1 + random.int(3); i++) {
    const user = company.tables.users.pick(random, (rec) => !team.some((member) => member.user === rec.id))
    const role = roles[i % Math.max(1, roles.length)]
    if (user) team.push({ user: user.id, roles: role ? [role.id] : [] })
  }
  return { stages: pipeline, questions, team }
}

function seedJob(company: Company, random: Random, createdMs: number): void {
  const status = random.pick(['OPEN', 'OPEN', 'OPEN', 'CLOSED', 'CLOSED', 'DRAFT', 'ARCHIVED'])
  const job = company.seedRecord(
    'jobs',
    jobFields(company, random, createdMs, status),
    jobLinks(company, random),
    createdMs,
  )
  if (status === 'OPEN' || random.chance(0.3)) {
    company.seedRecord('job_postings', postingFields(job), {}, createdMs)
  }
}

/** Own fields of a new application at the first stage of the job. */
export function applicationFields(
  company: Company,
  random: Random,
  candidate: Rec<'candidates'>,
  job: Rec<'jobs'>,
): ApplicationFields {
  return {
    outcome: 'PENDING',
    rejection_reason_name: null,
    rejected_at: null,
    current_stage_id: job.links.stages?.[0] ?? null,
    job_id: job.id,
    candidate_id: candidate.id,
    screening_question_answers: answersFor(company, random, job),
    custom_fields: {},
    remote_url: `https://${company.host}/applications/${company.upcomingNumber('applications')}`,
  }
}

function seedApplication(company: Company, random: Random, index: number, nowMs: number): void {
  const { candidates, jobs } = company.tables
  const candidate = index < candidates.size ? candidates.at(index) : candidates.pick(random)
  const taken = candidate ? company.children('applications', candidate.id) : []
  const jobsOf = new Set(taken.map((id) => company.tables.applications.get(id)?.fields.job_id))
  const job = jobs.pick(random, (rec) => !jobsOf.has(rec.id)) ?? jobs.pick(random)
  if (!candidate || !job) return
  const createdMs = candidate.createdMs + Math.floor(random.next() * (nowMs - candidate.createdMs))
  const stages = job.links.stages ?? []
  const at = random.int(Math.max(1, stages.length))
  const last = at === stages.length - 1
  const outcome: Outcome = last ? 'HIRED' : random.pick(['PENDING', 'PENDING', 'DECLINED'] as const)
  const application = company.seedRecord(
    'applications',
    {
      ...applicationFields(company, random, candidate, job),
      outcome,
      current_stage_id: stages[at] ?? null,
      rejection_reason_name: outcome === 'DECLINED' ? random.pick(REJECTION_REASONS) : null,
      rejected_at: outcome === 'DECLINED' ? iso(createdMs + Math.floor((nowMs - createdMs) / 2)) : null,
    },
    {},
    createdMs,
  )
  seedAround(company, random, application, job, at)
}

/** Interviews, offers and notes of an application, the further it got the more. */
function seedAround(company: Company, random: Random, app: Rec<'applications'>, job: Rec<'jobs'>, stage: number): void {
  const interviewers = job.links.team?.map((member) => member.user) ?? []
  if (stage >= 2 && random.chance(0.3)) {
    const startMs = app.createdMs + 7 * DAY_MS
    company.seedRecord(
      'interviews',
      {
        title: `Interview for ${job.fields.name}`,
        starting_at: iso(startMs),
        ending_at: iso(startMs + 3_600_000),
        location: random.chance(0.5) ? locationOf(random.pick(CITIES)) : null,
        video_conferencing_url: random.chance(0.5) ? `https://meet.example.com/${app.remoteId}` : null,
        application_id: app.id,
        stage_id: app.fields.current_stage_id,
        canceled: random.chance(0.05),
      },
      { users: interviewers.slice(0, 2) },
      app.createdMs,
    )
  }
  if (stage >= (job.links.stages?.length ?? 0) - 2 && random.chance(0.5)) {
    const status = app.fields.outcome === 'HIRED' ? 'ACCEPTED' : random.pick(['DRAFT', 'APPROVED', 'SENT'] as const)
    company.seedRecord(
      'offers',
      { status, employment_start_date: iso(app.createdMs + 90 * DAY_MS), application_id: app.id, custom_fields: {} },
      {},
      app.createdMs,
    )
  }
  if (random.chance(0.1)) {
    company.seedRecord(
      'notes',
      {
        candidate_id: app.fields.candidate_id,
        application_id: random.chance(0.7) ? app.id : null,
        author_id: interviewers[0] ?? null,
        title: random.chance(0.5) ? 'Screening' : null,
        content_html: `<p>${random.pick(NOTES)}</p>`,
        is_private: random.chance(0.2),
      },
      {},
      app.createdMs,
    )
  }
}
