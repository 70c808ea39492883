import type { Account, Run, SyncJob } from './accounts.ts'

/** One event before it is sent. */
export interface PlannedEvent {
  readonly eventType: string
  readonly eventData: Readonly<Record<string, unknown>>
  readonly recordId?: string
}

/** The envelope of an event, in the order of Knit's samples. */
export function envelope(
  event: PlannedEvent,
  about: {
    readonly eventId: string
    readonly job?: SyncJob
    readonly run?: Run
    readonly triggeredAtMs: number | null
  },
): Uint8Array {
  const { eventId, job, run, triggeredAtMs } = about
  const sync = job && { syncType: run?.syncType, syncDataType: job.dataType, syncJobId: job.syncJobId }
  return Buffer.from(
    JSON.stringify({
      eventId,
      eventType: event.eventType,
      eventData: event.eventData,
      ...sync,
      ...(run && { syncRunId: run.syncRunId }),
      ...(event.recordId !== undefined && { recordId: event.recordId }),
      ...(triggeredAtMs !== null && { triggeredAt: String(triggeredAtMs) }),
    }),
  )
}

/** Says that the source was read. */
export const processedEvent = (run: Run): PlannedEvent => ({
  eventType: 'sync.events.processed',
  eventData: { status: 'processed', ...countersOf(run), complete: false },
})

/** Says that every event of the run was acknowledged. */
export const allConsumedEvent = (run: Run, nowMs: number): PlannedEvent => ({
  eventType: 'sync.events.allConsumed',
  eventData: {
    status: 'completed',
    ...countersOf(run),
    consumed: run.consumed,
    completedAt: String(nowMs),
    complete: true,
  },
})

const countersOf = (run: Run): object => ({
  processed: run.processed,
  emitted: run.emitted,
  startedAt: String(run.startedAtMs),
  processedAt: String(run.processedAtMs ?? run.startedAtMs),
})

/** `sync.failed` and `sync.heartbeat` name the run where others name a record (observed). */
export const runEvent = (eventType: string, run: Run): PlannedEvent => ({
  eventType,
  eventData: { startedAt: String(run.startedAtMs) },
  recordId: run.syncRunId,
})

/** A record that is gone or no longer active. */
export function deletedEvent(dataType: string, recordId: string, emptyIds: boolean): PlannedEvent {
  const id = emptyIds ? '' : recordId
  const eventData = dataType === 'ats_jobs' ? { jobId: id } : { applicationId: id, candidateId: '', jobId: '' }
  return { eventType: 'record.deleted', eventData, recordId }
}

/** A connection was validated, or was not. */
export const activationEvent = (account: Account, errors: readonly string[]): PlannedEvent => ({
  eventType: 'app.integration.activate',
  eventData: { app: account.app, ...(errors.length > 0 && { errors: errors.map((message) => ({ message })) }) },
})
