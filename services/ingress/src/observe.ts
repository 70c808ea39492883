/**
 * What a page or a record-bearing webhook becomes on the log: its records as observations, its complete child lists as control
 * records behind them, its failures as dead letters. One record that cannot be encoded never holds up the others.
 */
import { classify, LIMITS, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { ChildList, Mapped, MappedRecord, MappingFailure } from '@tidemark/connector'
import { clippedJson } from '@tidemark/connector/mapping'
import type { AppendRecord } from '@tidemark/log'
import {
  type Control,
  DEAD_LETTERS_TOPIC,
  type ModelName,
  normalizeRecord,
  OBSERVED_TOPIC,
  type ObservationCause,
  PARENT_MODEL,
  partitionOf,
  publicId,
  RAW_TOPIC,
  type RawPosition,
  recordKey,
  rootKey,
} from '@tidemark/model'

/** Bytes of the JSON of a record that cannot be encoded, in its dead letter. */
const LETTER_JSON_BYTES_MAX = 16_384

/** Where and when something was seen, and why. */
export interface Sighting {
  readonly source: string
  readonly integrationId: string
  readonly fetchStartedAtMs: number
  readonly observedAtMs: number
  /** Without evidence, which belongs to single records. */
  readonly cause: ObservationCause
}

export interface ModelTally {
  observed: number
  failed: number
}

export type Tally = Map<ModelName, ModelTally>

/** Counts one record of a model. */
export function count(tally: Tally, model: ModelName, outcome: keyof ModelTally, by = 1): void {
  const entry = tally.get(model) ?? { observed: 0, failed: 0 }
  entry[outcome] += by
  tally.set(model, entry)
}

/** A record that is listed, but could not be read; null where not even that is known. */
export interface Unread {
  readonly model: ModelName | null
  readonly key: string | null
}

export interface Observed {
  /** Observations in the order of the records, then control records, then dead letters. */
  readonly appends: readonly AppendRecord[]
  readonly tally: Tally
  /** Codes of the dead letters, for metrics. */
  readonly deadLetters: readonly { readonly stage: string; readonly code: string }[]
  readonly unread: readonly Unread[]
}

/** Encodes what was mapped; pure. Never throws for a record, whatever it holds. */
export function observe(codec: Codec, partitions: number, mapped: Mapped, sighting: Sighting): Observed {
  const appends: AppendRecord[] = []
  const tally: Tally = new Map()
  const letters: Letter[] = mapped.failures.map((failure) => ({ ...failure, stage: 'mapping', key: null }))
  for (const record of mapped.records) {
    const outcome = encodeRecord(codec, partitions, record, sighting)
    if ('failed' in outcome) letters.push(outcome.failed)
    else appends.push(outcome.append)
    if (!('failed' in outcome)) count(tally, record.model, 'observed')
  }
  for (const list of mapped.childLists) appends.push(encodeChildList(codec, partitions, list, sighting))
  for (const letter of letters) {
    if (letter.model !== null) count(tally, letter.model, 'failed')
    appends.push(encodeLetter(codec, letter, sighting))
  }
  return {
    appends,
    tally,
    deadLetters: letters.map(({ stage, error }) => ({ stage, code: error.code })),
    unread: letters.map((letter) => ({ model: letter.model, key: keyOf(letter, sighting.integrationId) })),
  }
}

const keyOf = ({ key, model, remoteKey: remote }: Letter, integrationId: string): string | null =>
  key ?? (model === null || remote === null ? null : recordKey(integrationId, model, remote))

interface Letter extends MappingFailure {
  readonly stage: 'mapping' | 'encoding'
  readonly key: string | null
}

function encodeRecord(
  codec: Codec,
  partitions: number,
  mapped: MappedRecord,
  sighting: Sighting,
): { readonly append: AppendRecord } | { readonly failed: Letter } {
  const { model, remoteKey } = mapped
  const key = recordKey(sighting.integrationId, model, remoteKey)
  let stage: Letter['stage'] = 'mapping'
  try {
    requireKeyLength(key)
    const normalized = normalizeRecord(model, { ...mapped.record, id: mapped.record['id'] ?? publicId(key) })
    stage = 'encoding'
    const root = rootKey(key)
    const value = codec.encodeObservation(
      model,
      {
        integrationId: sighting.integrationId,
        kind: mapped.kind,
        parentKey: PARENT_MODEL[model] === undefined ? null : root,
        remoteVersion: mapped.remoteVersion,
        fetchStartedAt: sighting.fetchStartedAtMs,
        observedAt: sighting.observedAtMs,
        mergedIntoId: mapped.mergedIntoId ?? null,
        cause: { ...sighting.cause, evidence: evidenceOf(mapped) },
      },
      normalized,
    )
    const timestampMs = sighting.observedAtMs
    const partition = partitionOf(root, partitions)
    return { append: { topic: OBSERVED_TOPIC, partition, key: Buffer.from(key), value, timestampMs } }
  } catch (thrown) {
    return {
      failed: {
        error: classify(thrown),
        model,
        remoteKey,
        json: clippedJson(mapped.record, LETTER_JSON_BYTES_MAX),
        stage,
        key,
      },
    }
  }
}

function requireKeyLength(key: string): void {
  const bytes = Buffer.byteLength(key)
  if (bytes <= LIMITS.recordKeyBytesMax) return
  throw new TidemarkError(
    'RECORD_TOO_LARGE',
    `The record's key has ${bytes} bytes, more than ${LIMITS.recordKeyBytesMax}; the record was set aside.`,
  )
}

const evidenceOf = (mapped: MappedRecord): ObservationCause['evidence'] =>
  mapped.evidence === undefined ? null : { ...mapped.evidence, pages: null, records: null }

function encodeChildList(codec: Codec, partitions: number, list: ChildList, sighting: Sighting): AppendRecord {
  const { integrationId } = sighting
  const parentKey = recordKey(integrationId, list.parentModel, list.parentRemoteKey)
  const control: Control = {
    kind: 'child_sweep',
    integration_id: integrationId,
    model: list.model,
    sync_id: sighting.cause.sync_id,
    parent_key: parentKey,
    children: list.children.map((remote) => recordKey(integrationId, list.model, remote)),
    fetch_started_at: sighting.fetchStartedAtMs,
    observed_at: sighting.observedAtMs,
    pages: null,
    records: null,
    cause: sighting.cause,
    begin_offset: null,
    spared: [],
    names_suspects: false,
  }
  return {
    topic: OBSERVED_TOPIC,
    partition: partitionOf(parentKey, partitions),
    key: Buffer.from(parentKey),
    value: codec.encode('Control', control),
    timestampMs: sighting.observedAtMs,
  }
}

function encodeLetter(codec: Codec, letter: Letter, sighting: Sighting): AppendRecord {
  const raw = sighting.cause.raw
  return deadLetterRecord(codec, {
    stage: letter.stage,
    error: letter.error,
    source: sighting.source,
    integrationId: sighting.integrationId,
    model: letter.model,
    recordKey: keyOf(letter, sighting.integrationId),
    topic: RAW_TOPIC,
    position: raw,
    atMs: sighting.observedAtMs,
    // Which of a page's records it was is not in its position.
    value: Buffer.from(letter.json),
  })
}

export interface DeadLetterFields {
  readonly stage: string
  readonly error: TidemarkError
  readonly source: string | null
  readonly integrationId: string | null
  readonly model: string | null
  readonly recordKey: string | null
  /** Topic and position of the input. */
  readonly topic: string
  readonly position: RawPosition | null
  readonly atMs: number
  readonly value: Uint8Array | null
}

/** A record of ats.dead-letters, in the partition of its input. */
export function deadLetterRecord(codec: Codec, fields: DeadLetterFields): AppendRecord {
  const key = fields.recordKey ?? fields.integrationId ?? fields.source
  return {
    topic: DEAD_LETTERS_TOPIC,
    partition: fields.position?.partition ?? 0,
    key: key === null ? null : Buffer.from(key),
    value: codec.encode('DeadLetter', {
      stage: fields.stage,
      code: fields.error.code,
      message: fields.error.message,
      source: fields.source,
      integration_id: fields.integrationId,
      model: fields.model,
      record_key: fields.recordKey,
      topic: fields.topic,
      partition: fields.position?.partition ?? null,
      offset: fields.position?.offset ?? null,
      at: fields.atMs,
      value: fields.value,
    }),
    timestampMs: fields.atMs,
  }
}
