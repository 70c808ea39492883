import type {
  Command,
  CompleteRun,
  Control,
  DeadLetter,
  ModelName,
  ModelRecordChange,
  ModelRecordObservation,
  ModelRecordSnapshot,
  Models,
  Normalized,
  ObservationCause,
  Raw,
  SyncEvent,
} from '@tidemark/model'

/** Values that stand alone on their topics. */
export interface Singles {
  Raw: Raw
  Control: Control
  SyncEvent: SyncEvent
  DeadLetter: DeadLetter
  Command: Command
  CompleteRun: CompleteRun
}

type WithRecord<T, R, K extends string> = Omit<T, K> & { readonly [P in K]: R }
export type Observation<M extends ModelName = ModelName> = WithRecord<ModelRecordObservation, Models[M], 'record'>
export type Snapshot<M extends ModelName = ModelName> = WithRecord<ModelRecordSnapshot, Models[M], 'record'>
export type Change<M extends ModelName = ModelName> = WithRecord<
  ModelRecordChange,
  Models[M] | null,
  'before' | 'after'
>

/** Envelope of an observation, without what the normalized record brings (record, mask). */
export interface ObservationFields {
  readonly integrationId: string
  readonly kind: 'record' | 'deleted' | 'merged' | 'anonymized'
  readonly parentKey: string | null
  readonly remoteVersion: number | null
  readonly fetchStartedAt: number
  readonly observedAt: number
  readonly mergedIntoId: string | null
  readonly cause: ObservationCause
}

export type Observed =
  | { readonly kind: 'observation'; readonly model: ModelName; readonly observation: Observation }
  | { readonly kind: 'control'; readonly control: Control }

/** Confluent-framed canonical Avro, with the schema ids of one registry. All methods are synchronous. */
export interface Codec {
  encode<S extends keyof Singles>(name: S, value: Singles[S]): Buffer
  /** Throws VALUE_UNDECODABLE for bytes that are not a framed value of that schema. */
  decode<S extends keyof Singles>(name: S, value: Uint8Array): Singles[S]
  /** Throws RECORD_TOO_LARGE above LIMITS.recordBytesMax. */
  encodeObservation<M extends ModelName>(model: M, fields: ObservationFields, normalized: Normalized<M>): Buffer
  /** Reads a value of ats.observed; throws VALUE_UNDECODABLE. */
  decodeObserved(value: Uint8Array): Observed
  decodeChange<M extends ModelName>(model: M, value: Uint8Array): Change<M>
  decodeSnapshot<M extends ModelName>(model: M, value: Uint8Array): Snapshot<M>
  /** Registry id of a subject's newest schema. */
  schemaId(subject: string): number
}

/** What the codec needs of a schema registry; the SchemaRegistry port fits. */
export interface CodecRegistry {
  register(subject: string, schema: string): Promise<number>
  schemaById(id: number): Promise<string>
}
