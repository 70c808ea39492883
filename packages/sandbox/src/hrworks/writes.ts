/** Creating applications and adding files to them. */
import { seededRandom } from '@tidemark/base'
import type { Company } from '../world/company.ts'
import { applicationFields } from '../world/population.ts'
import { candidateProfile } from '../world/profile.ts'
import type { Rec } from '../world/types.ts'
import { postUuid, shortId } from './ids.ts'
import type { WriteResult } from './jobQueue.ts'
import type { Row } from './render.ts'

/** Applications whose documents are remembered, and documents of each. */
const DOCUMENTS_MAX = { applications: 1000, each: 50 }

const textOf = (row: Row, name: string): string => (typeof row[name] === 'string' ? (row[name] as string) : '')

/** Names of the documents of applications, by application. */
export class Documents {
  readonly #names = new Map<string, string[]>()

  of(applicationId: string): readonly string[] {
    return this.#names.get(applicationId) ?? []
  }

  add(applicationId: string, name: string): void {
    const names = this.#names.get(applicationId) ?? []
    if (names.length >= DOCUMENTS_MAX.each) throw new RangeError('the application has too many documents')
    this.#names.set(applicationId, [...names, name])
    const [oldest] = this.#names.keys()
    if (this.#names.size > DOCUMENTS_MAX.applications && oldest !== undefined) this.#names.delete(oldest)
  }
}

/**
 * Creates applications, with their applicants where nobody has the address yet. Throws a RangeError for a row that
 * lacks something.
 */
export function createApplications(company: Company, rows: readonly Row[], baseUrl: string): readonly WriteResult[] {
  const checked = rows.map((row) => {
    for (const name of ['firstName', 'lastName', 'email'])
      if (textOf(row, name) === '') throw new RangeError(`${name} is missing`)
    const job = findJob(company, row)
    if (job === undefined) throw new RangeError('neither postOfferId nor postId is known')
    return { row, job }
  })
  return checked.map(({ row, job }, recordId) => {
    const id = createApplication(company, row, job)
    return { recordId, resourceLocation: `${baseUrl}/applicant-management/job-applications/${id}`, data: { id } }
  })
}

function findJob(company: Company, row: Row): Rec<'jobs'> | undefined {
  const offerId = textOf(row, 'postOfferId')
  for (const posting of company.tables.job_postings.values())
    if (shortId(posting) === offerId) return company.tables.jobs.get(posting.fields.job_id)
  const postId = textOf(row, 'postId')
  return Array.from(company.tables.jobs.values()).find((job) => postUuid(job) === postId || job.remoteId === postId)
}

function createApplication(company: Company, row: Row, job: Rec<'jobs'>): string {
  const email = textOf(row, 'email')
  let id = ''
  company.mutate('application_created', `${textOf(row, 'firstName')} applied for ${job.fields.name}`, (draft) => {
    const known = Array.from(company.tables.candidates.values()).find(({ fields }) =>
      fields.email_addresses.some((address) => address.email_address === email),
    )
    const candidate = known ?? draft.insert('candidates', newCandidate(company, row), { tags: [] })
    const random = seededRandom(company.upcomingNumber('applications'))
    id = shortId(draft.insert('applications', applicationFields(company, random, candidate, job)))
  })
  return id
}

function newCandidate(company: Company, row: Row) {
  const phone = textOf(row, 'phone')
  return {
    ...candidateProfile(company.seed, company.upcomingNumber('candidates'), company.host),
    first_name: textOf(row, 'firstName'),
    last_name: textOf(row, 'lastName'),
    source: textOf(row, 'howDidYouHearAboutUs') || null,
    email_addresses: [{ email_address: textOf(row, 'email'), type: null }],
    phone_numbers: phone === '' ? [] : [{ phone_number: phone, type: null }],
    location: null,
  }
}
