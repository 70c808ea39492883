import { LIMITS, TidemarkError } from '@tidemark/base'
import {
  type AvroRecord,
  changesTopic,
  MODEL_NAMES,
  MODEL_SCHEMAS,
  type ModelName,
  type Normalized,
  type ObservationCause,
  PUBLISHED_SCHEMAS,
  snapshotsTopic,
} from '@tidemark/model'
import { Reader, Writer } from './binary.ts'
import type { Change, Codec, CodecRegistry, ObservationFields, Observed, Singles, Snapshot } from './codec.ts'
import { type CompiledField, type CompiledRecord, compileRecord } from './compile.ts'
import { FRAME_BYTES, frameHeader, frameId } from './frame.ts'
import { CHANGE_FIELDS, OBSERVATION_FIELDS, SNAPSHOT_FIELDS } from './layout.ts'
import { encodeMask } from './mask.ts'
import { createUpgrader, type Upgrader } from './upgrade.ts'

export const KINDS = ['record', 'deleted', 'merged', 'anonymized'] as const

const SINGLE_SUBJECTS: Readonly<Record<keyof Singles, string>> = {
  Raw: 'ats.raw-value',
  Control: 'tidemark.ats.Control',
  SyncEvent: 'ats.syncs-value',
  DeadLetter: 'ats.dead-letters-value',
  Command: 'ats.commands-value',
  CompleteRun: 'ats.complete-runs-value',
}

/** One subject's newest schema, compiled, with the ids of all its versions. */
interface Entry {
  readonly subject: string
  readonly id: number
  readonly header: Buffer
  readonly compiled: CompiledRecord
}

/** Everything the hot path needs of one model. */
export interface ModelCodec {
  readonly model: ModelName
  readonly record: CompiledRecord
  readonly fieldNames: readonly string[]
  /** Index of remote_deleted_at among the record's fields. */
  readonly deletedField: number
  /** Joins have none. */
  readonly hasRemoteId: boolean
  readonly observationId: number
  readonly snapshotHeader: Buffer
  readonly changeHeader: Buffer
}

/** The codec plus its compiled insides, for the diff. */
export interface OpenCodec extends Codec {
  readonly models: ReadonlyMap<ModelName, ModelCodec>
  /** What a schema id of ats.observed stands for: a model, 'control', or undefined for an id that is none of ours. */
  observedKind(id: number): ModelName | 'control' | undefined
  /** Appends an encoded ObservationCause, the prefix of a change's cause. */
  writeCause(out: Writer, cause: ObservationCause): void
  /** The value in its subject's newest schema: itself when it is already, else re-encoded. */
  upgraded(value: Buffer): Buffer
}

/**
 * Registers all published schemas (every version, oldest first) and compiles the newest of each subject.
 * Throws SCHEMA_INCOMPATIBLE when the registry refuses one, SCHEMA_UNKNOWN when an envelope's layout is not the one the
 * hot path was written for.
 */
export async function openCodec(
  registry: CodecRegistry,
  published: Readonly<Record<string, readonly string[]>> = PUBLISHED_SCHEMAS,
): Promise<OpenCodec> {
  const entries = new Map<string, Entry>()
  const subjectOfId = new Map<number, string>()
  const upgrader = createUpgrader()
  for (const [subject, texts] of Object.entries(published)) {
    const entry = await registerSubject(registry, subject, texts, subjectOfId, upgrader)
    entries.set(subject, entry)
  }
  return createCodec(entries, subjectOfId, upgrader)
}

async function registerSubject(
  registry: CodecRegistry,
  subject: string,
  texts: readonly string[],
  subjectOfId: Map<number, string>,
  upgrader: Upgrader,
): Promise<Entry> {
  let id = -1
  for (const text of texts) {
    id = await registry.register(subject, text)
    subjectOfId.set(id, subject)
    upgrader.add(id, text)
  }
  const newest = texts.at(-1)
  if (newest === undefined) throw new TidemarkError('SCHEMA_UNKNOWN', `subject ${subject} has no published schema`)
  const compiled = compileRecord(JSON.parse(newest) as AvroRecord)
  upgrader.newest(subject, id, compiled)
  return { subject, id, header: frameHeader(id), compiled }
}

function requireLayout(entry: Entry, expected: string): void {
  const found = entry.compiled.fields.map((f) => f.name).join(' ')
  if (found !== expected) {
    throw new TidemarkError(
      'SCHEMA_UNKNOWN',
      `${entry.subject} has the fields "${found}", the codec reads "${expected}"`,
    )
  }
}

function createCodec(
  entries: ReadonlyMap<string, Entry>,
  subjectOfId: ReadonlyMap<number, string>,
  upgrader: Upgrader,
): OpenCodec {
  const entry = (subject: string): Entry => {
    const found = entries.get(subject)
    if (!found) throw new TidemarkError('SCHEMA_UNKNOWN', `subject ${subject} is not published`)
    return found
  }
  const models = new Map<ModelName, ModelCodec>()
  const observedKinds = new Map<string, ModelName | 'control'>([[SINGLE_SUBJECTS.Control, 'control']])
  for (const model of MODEL_NAMES) {
    const subjects = subjectsOf(model)
    requireLayout(entry(subjects.observation), OBSERVATION_FIELDS)
    requireLayout(entry(subjects.snapshot), SNAPSHOT_FIELDS)
    requireLayout(entry(subjects.change), CHANGE_FIELDS)
    models.set(model, modelCodec(model, entry(subjects.observation), entry(subjects.snapshot), entry(subjects.change)))
    observedKinds.set(subjects.observation, model)
  }
  const singleSubject = (name: keyof Singles): Entry => entry(SINGLE_SUBJECTS[name])
  const modelOf = (model: ModelName): ModelCodec => models.get(model) as ModelCodec
  const writer = new Writer(64 * 1024)
  const control = singleSubject('Control').compiled
  const cause = control.fields.find((f) => f.name === 'cause') as CompiledField

  const encodeWith = (target: Entry, value: unknown): Buffer => {
    writer.reset()
    writer.raw(target.header, 0, FRAME_BYTES)
    target.compiled.write(writer, value)
    return writer.take()
  }
  const decodeWith = (target: Entry, value: Uint8Array): unknown => {
    const buf = upgraded(asBuffer(value))
    const id = frameId(buf)
    if (id !== target.id) {
      throw new TidemarkError('VALUE_UNDECODABLE', `schema id ${id} is not one of ${target.subject}`)
    }
    const reader = new Reader(buf, FRAME_BYTES)
    const out = target.compiled.read(reader)
    if (!reader.done)
      throw new TidemarkError('VALUE_UNDECODABLE', `${reader.end - reader.pos} bytes too many for ${target.subject}`)
    return out
  }
  const upgraded = (value: Buffer): Buffer => upgrader.upgrade(subjectOfId.get(frameId(value)), value)
  const observedKind = (id: number): ModelName | 'control' | undefined => observedKinds.get(subjectOfId.get(id) ?? '')

  return {
    models,
    observedKind,
    upgraded,
    writeCause: (out, value) => cause.write(out, value),
    encode: (name, value) => encodeWith(singleSubject(name), value),
    decode: <S extends keyof Singles>(name: S, value: Uint8Array) =>
      decodeWith(singleSubject(name), value) as Singles[S],
    encodeObservation(model, fields, normalized) {
      const value = encodeWith(
        entry(subjectsOf(model).observation),
        observationValue(modelOf(model).fieldNames, fields, normalized),
      )
      return bounded(value, model, fields)
    },
    decodeObserved: (value) => decodeObserved(value, observedKind, (subject, v) => decodeWith(entry(subject), v)),
    decodeChange: <M extends ModelName>(model: M, value: Uint8Array) =>
      decodeWith(entry(subjectsOf(model).change), value) as Change<M>,
    decodeSnapshot: <M extends ModelName>(model: M, value: Uint8Array) =>
      decodeWith(entry(subjectsOf(model).snapshot), value) as Snapshot<M>,
    schemaId: (subject) => entry(subject).id,
  }
}

export function subjectsOf(model: ModelName): { observation: string; snapshot: string; change: string } {
  return {
    observation: `tidemark.ats.${MODEL_SCHEMAS[model].name}Observation`,
    snapshot: `${snapshotsTopic(model)}-value`,
    change: `${changesTopic(model)}-value`,
  }
}

function modelCodec(model: ModelName, observation: Entry, snapshot: Entry, change: Entry): ModelCodec {
  const record = compileRecord(MODEL_SCHEMAS[model])
  const fieldNames = record.fields.map((f) => f.name)
  return {
    model,
    record,
    fieldNames,
    hasRemoteId: fieldNames[1] === 'remote_id',
    deletedField: fieldNames.indexOf('remote_deleted_at'),
    observationId: observation.id,
    snapshotHeader: snapshot.header,
    changeHeader: change.header,
  }
}

function observationValue(names: readonly string[], fields: ObservationFields, normalized: Normalized): unknown {
  const { delivered } = normalized
  return {
    integration_id: fields.integrationId,
    kind: KINDS.indexOf(fields.kind),
    parent_key: fields.parentKey,
    remote_version: fields.remoteVersion,
    fetch_started_at: fields.fetchStartedAt,
    observed_at: fields.observedAt,
    merged_into_id: fields.mergedIntoId,
    cause: fields.cause,
    mask: delivered === undefined ? null : encodeMask(names, delivered),
    record: normalized.record,
  }
}

function bounded(value: Buffer, model: ModelName, fields: ObservationFields): Buffer {
  if (value.length <= LIMITS.recordBytesMax) return value
  throw new TidemarkError(
    'RECORD_TOO_LARGE',
    `a record of ${model} in ${fields.integrationId} takes ${value.length} bytes, more than ${LIMITS.recordBytesMax}`,
    { fields: { model, bytes: value.length, bytesMax: LIMITS.recordBytesMax } },
  )
}

function decodeObserved(
  value: Uint8Array,
  observedKind: (id: number) => ModelName | 'control' | undefined,
  decode: (subject: string, value: Uint8Array) => unknown,
): Observed {
  const id = frameId(value)
  const kind = observedKind(id)
  if (kind === undefined) throw new TidemarkError('VALUE_UNDECODABLE', `schema id ${id} is not one of ats.observed`)
  if (kind === 'control') return { kind, control: decode(SINGLE_SUBJECTS.Control, value) as Singles['Control'] }
  const observation = decode(subjectsOf(kind).observation, value)
  return { kind: 'observation', model: kind, observation: observation as never }
}

function asBuffer(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
