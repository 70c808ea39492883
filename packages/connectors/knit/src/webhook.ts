/** Knit's webhooks: one event each, signed over the raw bytes. The integration stands in a header, which the signature does not cover. */
import type { Mapped, PushedRun, WebhookEffect, WebhookReading, WebhookRequest } from '@tidemark/connector'
import { INTEGRATION_HEADER } from './auth.ts'
import { type Frame, readFrame, unmappable } from './frame.ts'
import { isJson, textOf } from './json.ts'
import { type MappingContext, mapDeletion, mapUpsert } from './mapping.ts'
import type { RecordVersion } from './options.ts'
import { disagreement, type RunCounters, readCounters } from './runs.ts'
import { type KnitStream, streamOf } from './streams.ts'
import { versionsOf } from './versions.ts'

/** The integration that a webhook is about, or null; never throws. */
export function integrationOf({ headers }: WebhookRequest): string | null {
  return textOf(headers[INTEGRATION_HEADER]?.trim())
}

/**
 * Reads a verified webhook. Unknown types are `ignored`. Throws WEBHOOK_UNMAPPABLE where a known type lacks what it is about, or the header
 * that says whose it is.
 */
export function readWebhook(request: WebhookRequest, scale: RecordVersion): WebhookReading {
  const frame = readFrame(request.rawBody)
  const { eventId, eventType } = frame
  const integrationId = integrationOf(request)
  const effect = EFFECTS.get(eventType)
  if (effect === undefined)
    return {
      ...{ eventId, eventName: eventType, integrationId },
      effects: [ignored(`type ${eventType} has no meaning for this connector`)],
    }
  if (integrationId === null)
    throw unmappable(`The ${eventType} webhook has no header ${INTEGRATION_HEADER}, so nobody knows whose it is`)
  return { eventId, eventName: eventType, integrationId, effects: [effect(frame, integrationId, scale)] }
}

type Effect = (frame: Frame, integrationId: string, scale: RecordVersion) => WebhookEffect

const ignored = (reason: string): WebhookEffect => ({ kind: 'ignored', reason })

/** An event about a data type that is read; those of other categories are passed over. */
const ofStream =
  (read: (frame: Frame, context: MappingContext) => WebhookEffect): Effect =>
  (frame, integrationId, scale) => {
    const stream = streamOf(frame.dataType)
    if (stream === undefined) return ignored(`data type ${frame.dataType ?? '(none)'} is not read`)
    return read(frame, { integrationId, stream, versions: versionsOf(frame, scale) })
  }

/** An event about a run. One that names no data type is still about one of ours: only a named foreign one is passed over. */
const ofRun =
  (read: (counters: RunCounters) => WebhookEffect): Effect =>
  (frame) => {
    if (frame.dataType !== null && streamOf(frame.dataType) === undefined)
      return ignored(`data type ${frame.dataType} is not read`)
    return read(readCounters(frame))
  }

/** An event with records, and the run that it belongs to where it names one. */
const withRecords = (map: (frame: Frame, context: MappingContext) => Mapped): Effect =>
  ofStream((frame, context) => {
    const run = runOf(frame.syncRunId, frame.syncType, context.stream)
    return { kind: 'records', mapped: map(frame, context), ...(run ? { run } : {}) }
  })

/** An initial run sends everything that is active (documented: "How do syncs work"), so what it does not send is gone or inactive. */
function runOf(runId: string | null, syncType: string | null, stream: KnitStream): PushedRun | null {
  return runId === null ? null : { id: runId, stream, isComplete: syncType === 'initial_sync' }
}

const runName = ({ syncRunId, dataType }: RunCounters): string =>
  `run ${syncRunId ?? '(unnamed)'} of ${dataType ?? '(no data type)'}`

/** Says that the source system was read; its events are still on their way. */
function processed(counters: RunCounters): WebhookEffect {
  const count = (value: number | null): string => (value === null ? 'an unknown number of' : String(value))
  const { processed: read, emitted } = counters
  return ignored(
    `${runName(counters)} read ${count(read)} records and emitted ${count(emitted)} events; it is complete when all are consumed`,
  )
}

/** The end of a run. One that is complete by Knit's word, but whose counters do not agree, says nothing about what is gone. */
function ended(counters: RunCounters, outcome: 'complete' | 'failed'): WebhookEffect {
  const { dataType, syncRunId, syncType, startedAtMs, emitted } = counters
  const problem = outcome === 'failed' ? 'Knit reported that it failed' : disagreement(counters)
  const stream = streamOf(dataType)
  const run = stream === undefined ? null : runOf(syncRunId, syncType, stream)
  if (run !== null)
    return {
      ...{ kind: 'pushed_run', run, outcome, startedAtMs, message: problem },
      events: problem === null ? emitted : null,
    }
  // Not known which run of what it is: only worth telling.
  const state = outcome === 'failed' ? 'FAILED' : problem === null ? 'SUCCEEDED' : 'PARTIALLY_FAILED'
  return { kind: 'provider_sync', state, startedAtMs }
}

/** What stands for errors of validation in an activation; that there may be some is documented, where they stand is inferred. */
const ERROR_KEYS = ['errors', 'validationErrors', 'error'] as const

function validationErrors({ data }: Frame): number {
  return ERROR_KEYS.reduce((sum, key) => sum + sizeOf(data?.[key]), 0)
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length
  if (isJson(value)) return Object.keys(value).length
  return textOf(value) === null ? 0 : 1
}

const EFFECTS: ReadonlyMap<string, Effect> = new Map<string, Effect>(
  Object.entries({
    'record.new': withRecords(mapUpsert),
    'record.modified': withRecords(mapUpsert),
    'record.deleted': withRecords(mapDeletion),
    'sync.events.processed': ofRun(processed),
    'sync.events.allConsumed': ofRun((counters) => ended(counters, 'complete')),
    'sync.failed': ofRun((counters) => ended(counters, 'failed')),
    'sync.heartbeat': ofRun((counters) => ignored(`${runName(counters)} goes on`)),
    'app.integration.activate': (frame) => {
      const errors = validationErrors(frame)
      // The texts of the errors stay in ats.raw: they may repeat what the customer typed.
      if (errors > 0) return { kind: 'integration', event: 'state_changed', state: `VALIDATION_FAILED (${errors})` }
      return { kind: 'integration', event: 'created', state: 'ACTIVE' }
    },
  } satisfies Record<string, Effect>),
)
