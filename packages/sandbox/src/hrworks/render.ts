/** The records of a company in HR WORKS' form. */
import type { Company } from '../world/company.ts'
import { SOURCES } from '../world/names.ts'
import type { Location, Rec } from '../world/types.ts'
import { applicantUuid, keyOf, personUuid, postUuid, shortId, unitUuid } from './ids.ts'
import { renderOffers } from './renderOffers.ts'

export type Row = Readonly<Record<string, unknown>>

const ALPHA_3: Readonly<Record<string, string>> = {
  ...{ DE: 'DEU', PL: 'POL', NZ: 'NZL', PT: 'PRT', GB: 'GBR', CH: 'CHE', NO: 'NOR', US: 'USA' },
}

/** An address; the street of the world holds the number too. */
export function renderAddress(location: Location | null): Row | null {
  if (location === null) return null
  const [, street = location.street_1 ?? null, streetNumber = null] =
    /^(.*\D)\s+(\d+)$/.exec(location.street_1 ?? '') ?? []
  return {
    ...{ street, streetNumber, additional: location.street_2 ?? null, zipCode: location.zip_code ?? null },
    city: location.city ?? null,
    internationalCountryCode: ALPHA_3[location.country ?? ''] ?? location.country ?? null,
  }
}

/** Names of the organization units: the departments of the jobs. */
export const unitNames = (company: Company): string[] => [
  ...new Set(
    Array.from(company.tables.jobs.values(), ({ fields }) => fields.department).filter((name) => name !== null),
  ),
]

/** The number of an organization unit. */
export const unitNumber = (name: string): string => String(Number.parseInt(unitUuid(name).slice(0, 6), 16))

export const renderUnit = (name: string): Row => ({
  uuid: unitUuid(name),
  number: unitNumber(name),
  name,
  isActive: true,
})

const personnelNumber = (user: Rec<'users'>): string => String(10_000 + Number(user.remoteId))

export const renderPerson = (user: Rec<'users'>): Row => ({
  personId: `person-${user.remoteId}`,
  personnelNumber: personnelNumber(user),
  firstName: user.fields.first_name,
  lastName: user.fields.last_name,
  uuid: personUuid(user),
  externalIds: [],
  personIdentifierForKiosk: null,
  datevPersonnelNumber: '',
})

/** Master data names no uuid: who it belongs to is told by the personnel number. */
export const renderMasterData = (user: Rec<'users'>): Row => ({
  personnelNumber: personnelNumber(user),
  firstName: user.fields.first_name,
  lastName: user.fields.last_name,
  email: user.fields.email,
  position: null,
  joinDate: new Date(user.createdMs).toISOString().slice(0, 10),
  leaveDate: null,
})

export function renderPost(company: Company, job: Rec<'jobs'>): Row {
  const { fields } = job
  const { department } = fields
  return {
    uuid: postUuid(job),
    key: fields.job_code,
    name: keyOf(fields.name ?? ''),
    displayName: fields.name,
    isActive: fields.status === 'OPEN',
    organizationUnitNumber: department === null ? null : unitNumber(department),
    organizationUnitUuid: department === null ? null : unitUuid(department),
    contactInformation: contact(company, job),
    scopeOfActivities: fields.category,
    scopeOfActivitiesKey: fields.category === null ? null : keyOf(fields.category),
    postImageUrl: null,
    postDescriptions: { tasks: { title: 'Ihre Aufgaben', description: fields.description } },
    postOffers: renderOffers(company, job, renderAddress(fields.location)),
    howDidYouHearAboutUsOptions: Object.fromEntries(SOURCES.map((label) => [keyOf(label), label])),
  }
}

/** Every third post names its contact by address only. */
function contact(company: Company, job: Rec<'jobs'>): Row | null {
  const user = company.tables.users.get(job.fields.contact_id ?? '')
  if (user === undefined) return null
  const { first_name, last_name, email } = user.fields
  const names = { firstName: first_name, lastName: last_name, email, phone: null }
  return Number(job.remoteId) % 3 === 0 ? names : { personUuid: personUuid(user), ...names }
}

/** Statuses of pending applications by the number of their stage; a further stage has a key of its own. */
const STATUS_KEYS = [
  'new',
  'inProgress',
  'shortlisted',
  'caseStudy',
  'interview',
  'referenceCheck',
  'offer',
  'onboarding',
]

/** HR WORKS has one status where the world has a stage and an outcome. */
function renderStatus(company: Company, { fields }: Rec<'applications'>): Row {
  if (fields.outcome === 'HIRED') return { statusIdentifier: 'hired', status: 'Eingestellt' }
  if (fields.outcome === 'DECLINED') {
    const isWithdrawn = fields.rejection_reason_name === null
    return isWithdrawn
      ? { statusIdentifier: 'withdrawn', status: 'Zurückgezogen' }
      : { statusIdentifier: 'rejected', status: 'Abgelehnt' }
  }
  const stage = company.tables.application_stages.get(fields.current_stage_id ?? '')
  if (stage === undefined) return { statusIdentifier: 'new', status: 'Neu' }
  const identifier = STATUS_KEYS[Number(stage.remoteId) - 1] ?? `stage${stage.remoteId}`
  return { statusIdentifier: identifier, status: stage.fields.name }
}

/** An application as it is nested in its applicant. */
export function renderBaseApplication(
  company: Company,
  application: Rec<'applications'>,
  documents: readonly string[],
): Row {
  const candidate = company.tables.candidates.get(application.fields.candidate_id)
  const job = company.tables.jobs.get(application.fields.job_id)
  const [posting] = job === undefined ? [] : company.children('job_postings', job.id)
  const offer = company.tables.job_postings.get(posting ?? '')
  const source = candidate?.fields.source ?? null
  return {
    id: shortId(application),
    ...renderStatus(company, application),
    postUuid: job === undefined ? null : postUuid(job),
    postId: job?.remoteId ?? null,
    postOfferId: offer === undefined ? null : shortId(offer),
    applicationDocuments: documents,
    creationDateAndTime: new Date(application.createdMs).toISOString(),
    desiredSalary: null,
    howDidYouHearAboutUs: source === null ? null : keyOf(source),
    remark: null,
    permissionToStoreApplication: 'afterApplication',
    mayBePassedWithinCorporateGroup: false,
    hasPrivacyTermsAccepted: true,
  }
}

/** An applicant without the applications. */
export function renderApplicant(candidate: Rec<'candidates'>): Row {
  const { fields } = candidate
  return {
    uuid: applicantUuid(candidate.id),
    firstName: fields.first_name,
    lastName: fields.last_name,
    title: null,
    email: fields.email_addresses[0]?.email_address ?? null,
    phone: fields.phone_numbers[0]?.phone_number ?? null,
    birthday: null,
    address: renderAddress(fields.location),
    languageCode: 'de',
    isActive: true,
  }
}
