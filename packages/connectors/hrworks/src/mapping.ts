/**
 * HR WORKS' records to unified records. Pure and total: whatever an answer holds, it comes to records and failures.
 *
 * - A record that has a listing of its own is observed only from there; a copy nested in another record gives its reference.
 * - Only keys that are present in the JSON are delivered.
 * - Records have no public id of HR WORKS': references are derived from the integration and the remote id.
 */
import type { ModelName } from '@tidemark/model'

/** Streams, each with the models it is the origin of, its own first. */
export const STREAM_MODELS = {
  users: ['users'],
  jobs: ['jobs'],
  candidates: ['candidates'],
  // Stages are only known from applications, so that they and their use by jobs come from the same run.
  applications: ['applications', 'application-stages', 'job-stages'],
} as const satisfies Readonly<Record<string, readonly ModelName[]>>

/** Models of which a stream lists all there are. A status that no application has at the moment is not gone. */
export const SWEPT_MODELS: Readonly<Record<keyof typeof STREAM_MODELS, readonly ModelName[]>> = {
  ...STREAM_MODELS,
  applications: ['applications'],
}

export type HrworksStream = keyof typeof STREAM_MODELS

/** True for a stream of HR WORKS. */
export const isHrworksStream = (name: string): name is HrworksStream => Object.hasOwn(STREAM_MODELS, name)

export { mapApplications, mapCandidates, statusesIn } from './applicants.ts'
export type { MappedRows, MappingContext } from './collector.ts'
export { mapUsers } from './people.ts'
export { mapJobStages, mapJobs } from './posts.ts'
