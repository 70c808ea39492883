/** The envelope around everything Knit sends (documented: "Syncing applications data"; `triggeredAt` was only observed). */
import { TidemarkError } from '@tidemark/base'
import { parseTime } from '@tidemark/model'
import { idOf, isJson, type Json, parseObject, textOf, timeOf } from './json.ts'

export interface Frame {
  readonly eventId: string | null
  readonly eventType: string
  /** Subscribed models, or counters; null where there are none. */
  readonly data: Json | null
  readonly syncType: string | null
  readonly dataType: string | null
  readonly syncRunId: string | null
  /** Id of the record in the source system. */
  readonly recordId: string | null
  /** In ms; null where Knit does not say, or nothing that is a time. */
  readonly triggeredAtMs: number | null
}

/** A webhook that is proved but makes no sense. */
export const unmappable = (problem: string, cause?: unknown): TidemarkError =>
  new TidemarkError(
    'WEBHOOK_UNMAPPABLE',
    `${problem}. The bytes are kept in ats.raw; compare them with Knit's event glossary.`,
    { cause },
  )

/** Reads the envelope. Throws WEBHOOK_UNMAPPABLE for a body that is no JSON object or says no type. */
export function readFrame(rawBody: Uint8Array): Frame {
  let json: Json
  try {
    json = parseObject(rawBody)
  } catch (error) {
    throw unmappable('The webhook is signed, but its body is no JSON object', error)
  }
  const eventType = textOf(json['eventType'])
  if (eventType === null) throw unmappable('The webhook has no text `eventType`')
  return {
    eventId: textOf(json['eventId']),
    eventType,
    data: isJson(json['eventData']) ? json['eventData'] : null,
    syncType: textOf(json['syncType']),
    dataType: textOf(json['syncDataType']),
    syncRunId: textOf(json['syncRunId']),
    recordId: idOf(json['recordId']),
    triggeredAtMs: parseTime(timeOf(json['triggeredAt'])) ?? null,
  }
}
