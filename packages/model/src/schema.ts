/** Avro schema shapes as used in `schemas/`: records, optional values, strings, numbers, arrays, maps; nothing else. */
export interface AvroField {
  readonly name: string
  readonly type: AvroType
  readonly default?: unknown
  readonly doc?: string
  /** Holds personal data. */
  readonly personal?: boolean
  /** `ignore`: carried but not compared. */
  readonly diff?: 'ignore'
  /** Values are canonical JSON text. */
  readonly json?: boolean
  /** `set`: sorted, without repetition. `keyed`: sorted and compared by the member named in `key`. Else by position. */
  readonly collection?: 'set' | 'keyed'
  readonly key?: string
}

export interface AvroRecord {
  readonly type: 'record'
  readonly name: string
  readonly namespace?: string
  readonly doc?: string
  readonly fields: readonly AvroField[]
}

export type AvroType =
  | 'string'
  | 'bytes'
  | 'double'
  | 'int'
  | 'long'
  | 'boolean'
  | AvroRecord
  | { readonly type: 'long'; readonly logicalType: 'timestamp-millis' }
  | { readonly type: 'array'; readonly items: AvroType }
  | { readonly type: 'map'; readonly values: AvroType }
  | readonly ['null', AvroType]

export interface ModelSchema extends AvroRecord {
  readonly model: string
}

/** True for the optional form `["null", X]`. */
export function isOptional(type: AvroType): type is readonly ['null', AvroType] {
  return Array.isArray(type)
}

/** X of `["null", X]`, or the type itself. */
export function required(type: AvroType): Exclude<AvroType, readonly ['null', AvroType]> {
  return (isOptional(type) ? type[1] : type) as Exclude<AvroType, readonly ['null', AvroType]>
}
