/** An application of the world, with its candidate, as Knit's `ats_applications` shows it. */
import type { Company } from '../world/company.ts'
import type { Rec } from '../world/types.ts'
import { isoTime, type Part, placeText, stageOf, userOf } from './jobs.ts'

type Application = Rec<'applications'>

/** Rejected and hired applications have a status of their own in the data, so they are shown; only what is gone is not. */
export const isActiveApplication = (_application: Application): boolean => true

const STATUSES = { PENDING: 'ACTIVE', HIRED: 'HIRED', DECLINED: 'REJECTED' } as const

const ORIGINS: Readonly<Record<string, string>> = { 'Employee Referral': 'REFERRAL', Agency: 'AGENCY' }

const contactType = (type: string | null): string =>
  type === 'WORK' ? 'WORK' : type === 'PRIVATE' || type === 'HOME' ? 'PERSONAL' : 'NOT_SPECIFIED'

/** A candidate as Knit shows it, also in a search. */
export function showCandidate({ remoteId, fields }: Rec<'candidates'>): object {
  return {
    id: remoteId,
    firstName: fields.first_name,
    lastName: fields.last_name,
    phones: fields.phone_numbers.map(({ type, phone_number }) => ({
      type: contactType(type),
      phoneNumber: phone_number,
    })),
    emails: fields.email_addresses.map(({ type, email_address }) => ({
      type: contactType(type),
      email: email_address,
    })),
    links: fields.social_media.map(({ link }) => link).filter((link) => link !== null),
    location: placeText(fields.location),
  }
}

function info(company: Company, app: Application): object {
  const candidate = company.tables.candidates.get(app.fields.candidate_id)
  const job = company.tables.jobs.get(app.fields.job_id)
  const owner = job?.links.team?.[0]?.user
  return {
    id: app.remoteId,
    status: app.fields.outcome === null ? 'NOT_SPECIFIED' : STATUSES[app.fields.outcome],
    candidate: candidate ? showCandidate(candidate) : null,
    origin: ORIGINS[candidate?.fields.source ?? ''] ?? 'EXTERNAL',
    appliedAt: isoTime(app.createdMs),
    updatedAt: isoTime(app.updatedMs),
    jobId: job?.remoteId ?? null,
    owner: owner === undefined ? null : userOf(company, owner),
    creditedTo: null,
  }
}

function interviews(company: Company, app: Application): object[] {
  return company.children('interviews', app.id).flatMap((id) => {
    const interview = company.tables.interviews.get(id)
    if (!interview) return []
    const { title, starting_at, ending_at, canceled } = interview.fields
    return [
      {
        id: interview.remoteId,
        subject: title,
        scheduledStart: starting_at,
        scheduledEnd: ending_at,
        status: canceled ? 'CANCELLED' : 'SCHEDULED',
        interviewers: (interview.links.users ?? [])
          .map((user) => userOf(company, user))
          .filter((user) => user !== null),
      },
    ]
  })
}

function rejection(_company: Company, app: Application): object | null {
  const { outcome, rejection_reason_name, rejected_at } = app.fields
  if (outcome !== 'DECLINED') return null
  return { id: `rejection-${app.remoteId}`, reason: rejection_reason_name, rejectedAt: rejected_at }
}

const OFFER_STATUSES = {
  ...{ ACCEPTED: 'SIGNED', DECLINED: 'DECLINED', SENT: 'SENT', APPROVED: 'APPROVED', DRAFT: 'DRAFT' },
  ABANDONED: 'DEPRECATED',
} as const

function offers(company: Company, app: Application): object[] {
  return company.children('offers', app.id).flatMap((id) => {
    const offer = company.tables.offers.get(id)
    if (!offer) return []
    const { status, employment_start_date } = offer.fields
    const state = status === null ? 'NOT_SPECIFIED' : OFFER_STATUSES[status]
    const dates = { hireDate: null, offerDate: isoTime(offer.createdMs), sentAt: null, closedAt: null }
    return [{ id: offer.remoteId, status: state, startDate: employment_start_date, ...dates }]
  })
}

/** The models of `ats_applications`. */
export const APPLICATION_PARTS: Readonly<Record<string, Part<Application>>> = {
  application_info: { key: 'info', render: info },
  application_stage: {
    key: 'currentStage',
    render: (company, app) => stageOf(company, app.fields.current_stage_id),
  },
  application_interviews: { key: 'interviews', render: interviews },
  application_rejection: { key: 'rejection', render: rejection },
  application_offers: { key: 'offers', render: offers },
  application_attachments: { key: 'attachments', render: () => [] },
}
