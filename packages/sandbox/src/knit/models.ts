import { createHash } from 'node:crypto'
import type { Company } from '../world/company.ts'
import type { Rec } from '../world/types.ts'
import { APPLICATION_PARTS, isActiveApplication } from './applications.ts'
import { isActiveJob, JOB_PARTS } from './jobs.ts'

export const DATA_TYPES = ['ats_jobs', 'ats_applications'] as const

export type DataType = (typeof DATA_TYPES)[number]

export const isDataType = (text: unknown): text is DataType => (DATA_TYPES as readonly unknown[]).includes(text)

/** Ids of the models of a data type. */
export const modelsOf = (dataType: DataType): readonly string[] =>
  Object.keys(dataType === 'ats_jobs' ? JOB_PARTS : APPLICATION_PARTS)

/** A record of a data type as an event shows it. */
export interface Shown {
  /** The id in the tool behind Knit. */
  readonly recordId: string
  readonly data: Readonly<Record<string, unknown>>
}

/** The subscribed models of every record of a data type, active ones only unless told otherwise. */
export function* show(
  company: Company,
  dataType: DataType,
  models: ReadonlySet<string>,
  includeInactive: boolean,
): Generator<Shown> {
  if (dataType === 'ats_jobs') {
    for (const job of company.tables.jobs.values())
      if (includeInactive || isActiveJob(job)) yield showJob(company, job, models)
    return
  }
  for (const application of company.tables.applications.values())
    if (includeInactive || isActiveApplication(application)) yield showApplication(company, application, models)
}

/** One job with the subscribed models; custom fields have no model and are always there. */
export function showJob(company: Company, job: Rec<'jobs'>, models: ReadonlySet<string>): Shown {
  const data: Record<string, unknown> = {}
  for (const [model, { key, render }] of Object.entries(JOB_PARTS))
    if (models.has(model)) data[key] = render(company, job)
  return { recordId: job.remoteId, data: { ...data, customFields: job.fields.custom_fields } }
}

/** One application with the subscribed models. */
export function showApplication(company: Company, app: Rec<'applications'>, models: ReadonlySet<string>): Shown {
  const data: Record<string, unknown> = {}
  for (const [model, { key, render }] of Object.entries(APPLICATION_PARTS))
    if (models.has(model)) data[key] = render(company, app)
  return { recordId: app.remoteId, data }
}

/** What Knit keeps of a record from one run to the next. */
export const fingerprint = (shown: Shown): string =>
  createHash('sha1').update(JSON.stringify(shown.data)).digest('base64')
