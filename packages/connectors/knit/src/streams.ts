/** Knit's sync data types of the ATS category, and what arrives with each. */
import type { ModelName } from '@tidemark/model'

/** Streams: one for each data type that can be synced, with the models its events carry, its own first. */
export const STREAM_MODELS = {
  jobs: ['jobs', 'job-postings', 'job-stages', 'job-hiring-team', 'application-stages', 'users'],
  applications: [
    'applications',
    'candidates',
    'interviews',
    'interview-users',
    'offers',
    'application-stages',
    'users',
  ],
} as const satisfies Readonly<Record<string, readonly ModelName[]>>

/**
 * Models of which a complete run of a data type shows every record that there is. Users and stages come inside both data types, so one run does not
 * show all of them; a candidate whose last application is gone or inactive may exist all the same.
 */
export const SWEPT_MODELS = {
  jobs: ['jobs', 'job-postings'],
  applications: ['applications', 'interviews', 'offers'],
} as const satisfies Readonly<Record<keyof typeof STREAM_MODELS, readonly ModelName[]>>

export type KnitStream = keyof typeof STREAM_MODELS

/** `dataType` of a sync, which events call `syncDataType` (documented: "Start a sync"). */
export const DATA_TYPES = { jobs: 'ats_jobs', applications: 'ats_applications' } as const satisfies Readonly<
  Record<KnitStream, string>
>

export type DataType = (typeof DATA_TYPES)[KnitStream]

/** Ids of everything that can be subscribed to, by data type (documented: "Job data models", "Application data models"). */
export const KNIT_MODELS = {
  ats_jobs: [
    'job_info',
    'job_departments',
    'job_offices',
    'job_hiringManagers',
    'job_recruiters',
    'job_stages',
    'job_rawValues',
    'job_posts',
    'job_compensation',
    'job_questions',
    'job_requirements',
    'job_info_enhanced',
  ],
  ats_applications: [
    'application_info',
    'application_stage',
    'application_interviews',
    'application_rejection',
    'application_offers',
    'application_attachments',
  ],
} as const satisfies Readonly<Record<DataType, readonly string[]>>

/** True for a stream of Knit. */
export const isKnitStream = (name: string): name is KnitStream => Object.hasOwn(STREAM_MODELS, name)

/** The stream of a data type; undefined for those of other categories. */
export const streamOf = (dataType: string | null): KnitStream | undefined =>
  (Object.keys(DATA_TYPES) as KnitStream[]).find((stream) => DATA_TYPES[stream] === dataType)
