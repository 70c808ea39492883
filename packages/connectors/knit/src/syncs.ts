/** Starting and steering Knit's syncs. Each call is safe to repeat: the records of a run that was started twice arrive twice. */
import type { HttpAnswer } from '@tidemark/connector/http'
import type { KnitCall, KnitClient } from './client.ts'
import { isJson, textOf } from './json.ts'
import { type DataType, KNIT_MODELS } from './streams.ts'

/** How often Knit looks for changes; the periods are not published. */
export type Frequency = 'standard' | 'medium' | 'high'

/** Whom a call is about, and how to end it. */
export type SyncCall = Pick<KnitCall, 'integrationId' | 'signal' | 'onRetry' | 'isBulk'>

export interface StartSync extends SyncCall {
  readonly dataType: DataType
  /** Default: an initial sync, which sends every active record. */
  readonly syncType?: 'initial_sync' | 'delta_sync'
}

export interface SyncStarted {
  readonly http: HttpAnswer
  /** The same for every run of one integration and data type. */
  readonly syncJobId: string
}

function readSyncJobId(data: unknown): string {
  const id = isJson(data) ? textOf(data['syncJobId']) : null
  if (id === null) throw new RangeError('Knit answered without the `syncJobId` of the sync')
  return id
}

/**
 * Starts a run of a data type with all its models, active records only, on top of the daily one, which keeps its time. Throws as
 * {@link KnitClient.call} does; PROVIDER_NOT_READY while another run is under way.
 */
export async function startSync(client: Pick<KnitClient, 'call'>, options: StartSync): Promise<SyncStarted> {
  const { dataType, syncType = 'initial_sync', ...call } = options
  const models = KNIT_MODELS[dataType]
  const body = { dataType, models, syncType, honorScheduler: true, includeInactiveRecords: false }
  const { http, value } = await client.call({ ...call, method: 'POST', name: 'sync.start', body }, readSyncJobId)
  return { http, syncJobId: value }
}

export interface UpdateSync extends SyncCall {
  readonly dataType: DataType
  readonly syncJobId: string
  /** Absent: as they are. Others than before make Knit begin a fresh initial run, so that the new ones arrive complete (documented). */
  readonly models?: readonly string[]
  readonly frequency?: Frequency
  /** URL for the events of this sync, in accounts that have no webhook for the category. */
  readonly destination?: string
}

/** Changes what a sync sends, how often, or where to. Throws as {@link KnitClient.call} does. */
export async function updateSync(client: Pick<KnitClient, 'call'>, options: UpdateSync): Promise<void> {
  const { dataType, syncJobId, models, frequency, destination, ...call } = options
  const changes = {
    ...(models === undefined ? {} : { models }),
    ...(frequency === undefined ? {} : { frequency }),
    ...(destination === undefined ? {} : { destination }),
  }
  const body = updateBody(syncJobId, { dataType, ...changes })
  await client.call({ ...call, method: 'POST', name: 'sync.update', body }, () => undefined)
}

/** An update names its sync by data type, as a start does, and by its id (inferred). */
const updateBody = (
  syncJobId: string,
  fields: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> => ({ ...fields, syncJobId })

export interface SetSyncTime extends SyncCall {
  readonly dataType: DataType
  /** UTC, 0 to 23. */
  readonly startHour: number
  /** 0 to 59. */
  readonly startMinute: number
  readonly frequency: Frequency
}

/** Sets when the daily run begins. Throws RangeError for a time that no clock shows, else as {@link KnitClient.call} does. */
export async function setSyncTime(client: Pick<KnitClient, 'call'>, options: SetSyncTime): Promise<void> {
  const { dataType, startHour, startMinute, frequency, ...call } = options
  if (!isWithin(startHour, 23) || !isWithin(startMinute, 59))
    throw new RangeError(`${startHour}:${startMinute} is no time of day in UTC; give hours 0 to 23 and minutes 0 to 59`)
  const body = { dataType, startHour, startMinute, frequency }
  await client.call({ ...call, method: 'POST', name: 'sync.startTime', body }, () => undefined)
}

const isWithin = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max
