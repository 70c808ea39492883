import type { Company } from '../world/company.ts'
import type { JobFields, Rec } from '../world/types.ts'
import { keyOf, shortId } from './ids.ts'

const DAY_MS = 86_400_000

const CONTRACTS: Readonly<Record<string, readonly [key: string, label: string]>> = {
  CONTRACT: ['freelance', 'Freiberuflich'],
  INTERNSHIP: ['internship', 'Praktikum'],
  FULL_TIME: ['permanent', 'Unbefristet'],
  PART_TIME: ['permanent', 'Unbefristet'],
}

const WORKING_TIMES: Readonly<Record<string, readonly [key: string, label: string]>> = {
  FULL_TIME: ['fullTime', 'Vollzeit'],
  PART_TIME: ['partTime', 'Teilzeit'],
}

const PLACES: Readonly<Record<string, readonly [key: string, label: string]>> = {
  REMOTE: ['remote', 'Remote'],
  HYBRID: ['hybrid', 'Hybrid'],
  ON_SITE: ['onSite', 'Vor Ort'],
}

/** A key of a table with its label; what the table lacks gets a key of its own, as tenants may have. */
const labelled = (
  name: string,
  table: Readonly<Record<string, readonly [string, string]>>,
  value: string | null,
): Record<string, string | null> => {
  const [key, label] = value === null ? [null, null] : (table[value] ?? [keyOf(value), value])
  return { [name]: label, [`${name}Key`]: key }
}

const dateOf = (time: string | null, plusDays = 0): string | null =>
  time === null ? null : new Date(Date.parse(time) + plusDays * DAY_MS).toISOString().slice(0, 10)

/** The postings of a job as offers of its post. */
export const renderOffers = (company: Company, job: Rec<'jobs'>, address: object | null): object[] =>
  company.children('job_postings', job.id).flatMap((id) => {
    const posting = company.tables.job_postings.get(id)
    return posting === undefined ? [] : [renderOffer(job.fields, posting, address)]
  })

function renderOffer(job: JobFields, posting: Rec<'job_postings'>, address: object | null): object {
  const { title, description_html, status } = posting.fields
  const time = job.employment_type
  return {
    id: shortId(posting),
    displayName: title,
    postOfferNameSuffix: '',
    description: description_html,
    isActive: status === 'ACTIVE',
    jobPortal: 'website',
    priority: 1,
    // A draft is published some day.
    publicationDate: dateOf(job.opened_at, job.status === 'DRAFT' ? 400 : 0),
    validUntilDate: dateOf(job.closed_at),
    permanentEstablishments:
      address === null ? [] : [{ id: shortId(posting), name: job.location?.raw ?? null, number: '1', address }],
    ...labelled('placeOfWorkType', PLACES, job.remote_work_status),
    ...labelled('employmentContract', CONTRACTS, time),
    ...labelled('workingTimeModel', WORKING_TIMES, time !== null && time in WORKING_TIMES ? time : null),
    ...labelled('careerLevel', {}, job.experience_level),
  }
}
