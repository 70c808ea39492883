/**
 * The records of Knit's events to unified records. Pure and total: whatever an event holds, the answer is records, complete child lists and
 * failures.
 *
 * - `recordId` is the key of a job or application, and the only one in a deletion; where `info.id` says another, nothing is mapped, because
 *   references would point to one and deletions to the other.
 * - Candidates, interviews, offers, stages and users have no events of their own: they are what the events of jobs and applications show.
 * - Only keys that are present in the JSON are delivered, and a list gives a child list only when all of it could be read.
 */
import type { Mapped } from '@tidemark/connector'
import { type ModelName, remoteKey } from '@tidemark/model'
import { Collector } from './collector.ts'
import { type Frame, unmappable } from './frame.ts'
import { idOf, isJson, type Json } from './json.ts'
import { mapApplication } from './mapApplication.ts'
import { mapJob } from './mapJob.ts'
import { type KnitStream, STREAM_MODELS } from './streams.ts'
import type { Versions } from './versions.ts'

/** Whose event it is, and how its records are ordered. */
export interface MappingContext {
  readonly integrationId: string
  readonly stream: KnitStream
  readonly versions: Versions
}

const MAP_ONE = { jobs: mapJob, applications: mapApplication } as const

/** Maps `record.new` and `record.modified`, which mean the same. Throws WEBHOOK_UNMAPPABLE for an event without any data. */
export function mapUpsert(frame: Frame, { integrationId, stream, versions }: MappingContext): Mapped {
  const { data } = frame
  if (data === null) throw unmappable(`The ${frame.eventType} webhook has no object \`eventData\``)
  const model = STREAM_MODELS[stream][0]
  const out = new Collector(integrationId, versions)
  const id = keyOf(frame, data)
  if (typeof id !== 'string') {
    out.fail(model, frame.recordId === null ? null : remoteKey(frame.recordId), id.problem, data)
    return out.mapped
  }
  try {
    MAP_ONE[stream](id, data, out)
    return out.mapped
  } catch (error) {
    // Not foreseen by any rule (a structure nested without end, say); still only this record's problem.
    const rest = new Collector(integrationId, versions)
    rest.fail(model, remoteKey(id), `cannot be mapped: ${(error as Error).message}`, data)
    return rest.mapped
  }
}

function keyOf({ recordId }: Frame, data: Json): string | { readonly problem: string } {
  const info = data['info']
  if (info !== undefined && info !== null && !isJson(info)) return { problem: '`info` is no object' }
  const own = idOf(info?.['id'])
  if (recordId === null && own === null) return { problem: 'has neither `recordId` nor `info.id`' }
  if (recordId !== null && own !== null && recordId !== own)
    return { problem: `\`recordId\` ${recordId} and \`info.id\` ${own} differ` }
  return (recordId ?? own) as string
}

/** Name of the record's own id in the data of a deletion; Knit's sample leaves it empty. */
const ID_IN_DELETION = { jobs: 'jobId', applications: 'applicationId' } as const

/**
 * Maps `record.deleted`. For a job it also means that it was closed (documented), and Knit does not say which, so the job is marked as both.
 * A deleted application leaves its candidate alone. Throws WEBHOOK_UNMAPPABLE for an event that names no record.
 */
export function mapDeletion(frame: Frame, { integrationId, stream, versions }: MappingContext): Mapped {
  const id = frame.recordId ?? idOf(frame.data?.[ID_IN_DELETION[stream]])
  if (id === null) throw unmappable(`The ${frame.eventType} webhook of ${frame.dataType} names no record`)
  const model: ModelName = STREAM_MODELS[stream][0]
  const out = new Collector(integrationId, versions)
  const detail = `${frame.eventType} of ${frame.dataType}, event ${frame.eventId ?? 'without an id'}`
  out.deleted(model, id, stream === 'jobs' ? { status: 'CLOSED' } : {}, detail)
  return out.mapped
}
