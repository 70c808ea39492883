import {
  type AvroField,
  type AvroType,
  compareCodePoints,
  isOptional,
  MODEL_NAMES,
  MODEL_SCHEMAS,
  type ModelName,
  type Models,
} from '@tidemark/model'

/** A plain JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

/** Writes one value as JSON text. */
type JsonWriter = (value: unknown) => string

const quote: JsonWriter = (value) => JSON.stringify(value)
const verbatim: JsonWriter = (value) => value as string
const time: JsonWriter = (value) => `"${new Date(value as number).toISOString()}"`

/** Items of an array carry no marks of their own. */
const ITEM: AvroField = { name: 'item', type: 'string' }

function compileJson(type: AvroType, field: AvroField): JsonWriter {
  if (typeof type === 'string') return field.json && type === 'string' ? verbatim : quote
  if (isOptional(type)) {
    const inner = compileJson(type[1], field)
    return (value) => (value === null || value === undefined ? 'null' : inner(value))
  }
  switch (type.type) {
    case 'long':
      return time
    case 'array':
      return arrayWriter(compileJson(type.items, ITEM))
    case 'map':
      return mapWriter(compileJson(type.values, field))
    default:
      return objectWriter(type.fields)
  }
}

function arrayWriter(item: JsonWriter): JsonWriter {
  return (value) => `[${(value as readonly unknown[]).map(item).join(',')}]`
}

function mapWriter(member: JsonWriter): JsonWriter {
  return (value) => {
    const entries = value as Readonly<Record<string, unknown>>
    const keys = Object.keys(entries).sort(compareCodePoints)
    return `{${keys.map((key) => `${quote(key)}:${member(entries[key])}`).join(',')}}`
  }
}

/** A field of a record as JSON. */
export interface Member {
  readonly name: string
  readonly label: string
  /** False when the field is carried, but not diffed. */
  readonly compared: boolean
  /** JSON text of a value that is there. */
  readonly write: JsonWriter
}

function membersOf(fields: readonly AvroField[]): Member[] {
  return fields.map((field) => ({
    name: field.name,
    label: `${quote(field.name)}:`,
    compared: field.diff !== 'ignore',
    write: compileJson(field.type, field),
  }))
}

function objectWriter(fields: readonly AvroField[]): JsonWriter {
  const members = membersOf(fields)
  return (value) => {
    const record = value as Readonly<Record<string, unknown>>
    return `{${members.map(({ name, label, write }) => label + write(record[name])).join(',')}}`
  }
}

const WRITERS = new Map<ModelName, JsonWriter>(
  MODEL_NAMES.map((model) => [model, objectWriter(MODEL_SCHEMAS[model].fields)]),
)

/**
 * JSON text of a canonical record: members in schema order, times as ISO 8601 in UTC with milliseconds, JSON-text fields
 * and maps of JSON texts as the JSON they hold. Throws RangeError for a time that no date can hold.
 */
export function recordJsonText<M extends ModelName>(model: M, record: Models[M]): string {
  return (WRITERS.get(model) as JsonWriter)(record)
}

const MEMBERS = new Map<ModelName, readonly Member[]>(
  MODEL_NAMES.map((model) => [model, membersOf(MODEL_SCHEMAS[model].fields)]),
)

/** Fields of a model, in schema order. */
export const membersOfModel = (model: ModelName): readonly Member[] => MEMBERS.get(model) as readonly Member[]

/** Name and JSON text of each field that holds a value and is compared (not marked `diff: ignore`), in schema order. */
export function fieldJsonTexts<M extends ModelName>(model: M, record: Models[M]): (readonly [string, string])[] {
  const values = record as unknown as Readonly<Record<string, unknown>>
  return membersOfModel(model)
    .filter(({ name, compared }) => compared && values[name] !== null && values[name] !== undefined)
    .map(({ name, write }) => [name, write(values[name])] as const)
}

/** Canonical record to plain JSON; see {@link recordJsonText}. Throws SyntaxError when a JSON-text field holds no JSON. */
export function recordToJson<M extends ModelName>(model: M, record: Models[M]): JsonObject {
  return JSON.parse(recordJsonText(model, record)) as JsonObject
}

/** Milliseconds to `2026-03-01T09:00:00.000Z`; null stays null. Throws RangeError for a time that no date can hold. */
export function isoTime(ms: number): string
export function isoTime(ms: number | null): string | null
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

/**
 * JSON text that PostgreSQL accepts: its text and jsonb cannot hold U+0000, so that becomes U+FFFD. Works on the text,
 * where U+0000 can only stand as an escape.
 */
export function postgresJson(text: string): string {
  if (!text.includes('\\u0000')) return text
  return text.replace(/\\(?:u0000|.)/gs, (sequence) => (sequence === '\\u0000' ? '\\ufffd' : sequence))
}
