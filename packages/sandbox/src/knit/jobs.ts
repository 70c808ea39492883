/** A job of the world as Knit's `ats_jobs` shows it. */
import type { Company } from '../world/company.ts'
import type { Location, Rec } from '../world/types.ts'

type Job = Rec<'jobs'>

/** One model of a data type: its key in `eventData`, and its content. */
export interface Part<R> {
  readonly key: string
  readonly render: (company: Company, rec: R) => unknown
}

/** What is closed or archived is not active, and so not in an initial sync. */
export const isActiveJob = (job: Job): boolean => job.fields.status !== 'CLOSED' && job.fields.status !== 'ARCHIVED'

/** A time as Knit writes it. */
export const isoTime = (ms: number): string => new Date(ms).toISOString()

/** All that Knit shows of a user; null for one that is gone. */
export function userOf(company: Company, id: string): object | null {
  const user = company.tables.users.get(id)
  return user ? { id: user.remoteId, email: user.fields.email, employeeId: `E-${user.remoteId}` } : null
}

/** A stage by id and name; null for one that is gone. */
export function stageOf(company: Company, id: string | null): object | null {
  const stage = company.tables.application_stages.get(id ?? '')
  return stage ? { id: stage.remoteId, text: stage.fields.name } : null
}

/** One line for a place. */
export const placeText = (location: Location | null): string | null => location?.raw ?? null

const STATUSES = new Set(['OPEN', 'CLOSED', 'DRAFT', 'ARCHIVED'])

const statusOf = (status: string | null): string => (STATUSES.has(status ?? '') ? (status as string) : 'NOT_SPECIFIED')

/** Members of the team who have the role; a member without a role is nobody to Knit. */
function team(company: Company, job: Job, unifiedType: string): object[] {
  const hasRole = (id: string): boolean => company.tables.roles.get(id)?.fields.unified_type === unifiedType
  return (job.links.team ?? [])
    .filter((member) => member.roles.some(hasRole))
    .map((member) => userOf(company, member.user))
    .filter((user) => user !== null)
}

const info = (_company: Company, { remoteId, fields, createdMs, updatedMs }: Job): object => ({
  id: remoteId,
  title: fields.name,
  description: fields.description,
  createdAt: isoTime(createdMs),
  updatedAt: isoTime(updatedMs),
  closedAt: fields.closed_at,
  status: statusOf(fields.status),
  url: fields.post_url,
})

const named = (name: string | null): object[] => (name === null ? [] : [{ id: name.toLowerCase(), name }])

function posts(company: Company, job: Job): object[] {
  return company.children('job_postings', job.id).flatMap((id) => {
    const post = company.tables.job_postings.get(id)
    if (!post) return []
    const { title, url, status, visibility } = post.fields
    return [{ id: post.remoteId, title, url, status, isExternal: visibility === 'PUBLIC' }]
  })
}

const compensation = ({ fields }: Job): object => ({
  salary: {
    min: fields.salary_amount_from,
    max: fields.salary_amount_to,
    currency: fields.salary_currency,
    period: fields.salary_period,
  },
})

const questions = (company: Company, job: Job): object[] =>
  (job.links.questions ?? []).flatMap((id) => {
    const question = company.tables.screening_questions.get(id)
    return question ? [{ id: question.remoteId, text: question.fields.title }] : []
  })

/** The models of `ats_jobs`. */
export const JOB_PARTS: Readonly<Record<string, Part<Job>>> = {
  job_info: { key: 'info', render: info },
  job_departments: { key: 'departments', render: (_company, job) => named(job.fields.department) },
  job_offices: {
    key: 'offices',
    render: (_company, { fields }) => {
      const location = placeText(fields.location)
      return location === null ? [] : [{ id: location, name: fields.location?.city ?? null, location }]
    },
  },
  job_hiringManagers: { key: 'hiringManagers', render: (company, job) => team(company, job, 'HIRING_MANAGER') },
  job_recruiters: { key: 'recruiters', render: (company, job) => team(company, job, 'RECRUITER') },
  job_stages: {
    key: 'stages',
    render: (company, job) =>
      (job.links.stages ?? []).map((id) => stageOf(company, id)).filter((each) => each !== null),
  },
  job_rawValues: {
    key: 'rawValues',
    render: (_company, { fields }) => ({ status: fields.status, description: fields.description }),
  },
  job_posts: { key: 'jobPosts', render: posts },
  job_compensation: { key: 'jobCompensation', render: (_company, job) => compensation(job) },
  job_questions: { key: 'jobQuestions', render: questions },
  job_requirements: { key: 'jobRequirements', render: () => ({ skills: [], certifications: [], languages: [] }) },
  job_info_enhanced: {
    key: 'jobInfoEnhanced',
    render: (_company, { fields }) => ({
      employmentType: fields.employment_type,
      workArrangement: fields.remote_work_status,
      experienceLevel: fields.experience_level,
    }),
  },
}
