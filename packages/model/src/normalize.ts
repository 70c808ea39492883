import { TidemarkError } from '@tidemark/base'
import { canonicalJson, compareCodePoints } from './canonical.ts'
import { MODEL_SCHEMAS, type ModelName, type Models } from './generated/types.ts'
import { type AvroField, type AvroType, isOptional, required } from './schema.ts'

/** What a connector hands over: field name to provider value. An absent field was not delivered; null was delivered as null. */
export type RecordInput = Readonly<Record<string, unknown>>

/** The same for one model: in a literal, a misspelt field does not compile. */
export type RecordInputOf<M extends ModelName> = { readonly [F in keyof Models[M]]?: unknown }

export interface Normalized<M extends ModelName = ModelName> {
  /** Every field present; not delivered ones are null. */
  readonly record: Models[M]
  /** Names of the delivered fields; undefined when all were. */
  readonly delivered: ReadonlySet<string> | undefined
}

/** Latest time we accept: year 9999. Earlier than year 1 is a vendor's way to say nothing, and refused too. */
const TIME_MAX = 253_402_300_799_999
const TIME_MIN = -62_135_596_800_000

/**
 * Turns provider values into the canonical record of a model: every field present, strings well-formed, times in
 * milliseconds, -0 as 0, sets sorted and unique, keyed collections sorted by key, free-form values as canonical JSON text.
 * Equal content gives a deeply equal result. Throws TidemarkError RECORD_INVALID naming the path of the value it refuses.
 * Members that the schema does not know are left out.
 */
export function normalizeRecord<M extends ModelName>(model: M, input: RecordInput): Normalized<M> {
  const schema = MODEL_SCHEMAS[model]
  const record: Record<string, unknown> = {}
  const delivered = new Set<string>()
  for (const field of schema.fields) {
    const value = input[field.name]
    if (value !== undefined) delivered.add(field.name)
    record[field.name] = normalizeField(field, value, `/${field.name}`)
  }
  return {
    record: record as unknown as Models[M],
    delivered: delivered.size === schema.fields.length ? undefined : delivered,
  }
}

function invalid(path: string, expected: string, value: unknown): TidemarkError {
  const got = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value
  return new TidemarkError('RECORD_INVALID', `${path}: expected ${expected}, got ${got}`, { fields: { path } })
}

function normalizeField(field: AvroField, value: unknown, path: string): unknown {
  if (value === undefined || value === null) {
    if (isOptional(field.type)) return null
    throw invalid(path, 'a value', null)
  }
  const type = required(field.type)
  if (typeof type === 'object' && type.type === 'map') return normalizeMap(type.values, value, field, path)
  if (typeof type === 'object' && type.type === 'array') return normalizeArray(type.items, value, field, path)
  if (field.json) return jsonText(value, path)
  return normalizeValue(type, value, path)
}

function normalizeValue(type: AvroType, value: unknown, path: string): unknown {
  if (typeof type === 'string') return normalizePrimitive(type, value, path)
  if (isOptional(type)) return value === null || value === undefined ? null : normalizeValue(type[1], value, path)
  if (type.type === 'long') return normalizeTime(value, path)
  if (type.type === 'record') return normalizeNested(type.fields, value, path)
  throw invalid(path, 'no nested collection', value)
}

function normalizePrimitive(type: string, value: unknown, path: string): unknown {
  switch (type) {
    case 'string':
      if (typeof value === 'string') return value.toWellFormed()
      if (typeof value === 'number' && Number.isFinite(value)) return String(value === 0 ? 0 : value)
      throw invalid(path, 'text', value)
    case 'boolean':
      if (typeof value === 'boolean') return value
      throw invalid(path, 'true or false', value)
    case 'double':
      if (typeof value === 'number' && Number.isFinite(value)) return value === 0 ? 0 : value
      throw invalid(path, 'a number', value)
    case 'int':
      if (typeof value === 'number' && (value | 0) === value) return value | 0
      throw invalid(path, 'a whole number of 32 bits', value)
    default:
      throw invalid(path, type, value)
  }
}

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/i

/** Milliseconds from an ISO 8601 text (no offset means UTC, finer than milliseconds is cut off) or from epoch milliseconds. */
export function parseTime(value: unknown): number | undefined {
  const ms = typeof value === 'number' ? Math.trunc(value) : typeof value === 'string' ? parseIso(value) : Number.NaN
  return ms >= TIME_MIN && ms <= TIME_MAX ? (ms === 0 ? 0 : ms) : undefined
}

function parseIso(text: string): number {
  const m = ISO.exec(text.trim())
  if (!m) return Number.NaN
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = m
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'))
  const date = new Date(0)
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return Number.NaN
  if (Number(hour) > 24 || Number(minute) > 59 || Number(second) > 60) return Number.NaN
  const local = date.getTime() + ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000 + ms
  return local - zoneOffsetMs(zone)
}

function zoneOffsetMs(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0
  const digits = zone.replace(/\D/g, '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2, 4))
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000
}

function normalizeTime(value: unknown, path: string): number {
  const ms = parseTime(value)
  if (ms === undefined) throw invalid(path, 'an ISO 8601 time between the years 1 and 9999', value)
  return ms
}

function normalizeNested(fields: readonly AvroField[], value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(path, 'an object', value)
  const source = value as Record<string, unknown>
  const out: Record<string, unknown> = {}
  for (const field of fields) out[field.name] = normalizeField(field, source[field.name], `${path}/${field.name}`)
  return out
}

function normalizeMap(values: AvroType, value: unknown, field: AvroField, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(path, 'an object', value)
  const entries = new Map<string, unknown>()
  for (const [key, member] of Object.entries(value)) if (member !== undefined) entries.set(key.toWellFormed(), member)
  // Without a prototype, so that "__proto__" is a key like any other.
  const out = Object.create(null) as Record<string, unknown>
  for (const key of [...entries.keys()].sort(compareCodePoints)) {
    const member = entries.get(key)
    out[key] = field.json ? jsonText(member, `${path}/${key}`) : normalizeValue(values, member, `${path}/${key}`)
  }
  return out
}

function normalizeArray(items: AvroType, value: unknown, field: AvroField, path: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(path, 'a list', value)
  const out = value.map((item, i) => normalizeValue(items, item, `${path}/${i}`))
  if (field.collection === 'set') return [...new Set(out as string[])].sort(compareCodePoints)
  if (field.collection === 'keyed') return sortKeyed(out as Record<string, unknown>[], field.key as string)
  return out
}

/** Orders by key, then by content, so that the provider's order never shows. */
function sortKeyed(items: Record<string, unknown>[], key: string): Record<string, unknown>[] {
  const rank = (item: Record<string, unknown>): string => (item[key] === null ? '' : `1${String(item[key])}`)
  return items
    .map((item) => ({ item, rank: rank(item), text: canonicalJson(item) }))
    .sort((a, b) => compareCodePoints(a.rank, b.rank) || compareCodePoints(a.text, b.text))
    .map(({ item }) => item)
}

function jsonText(value: unknown, path: string): string {
  try {
    return canonicalJson(value)
  } catch (error) {
    throw new TidemarkError('RECORD_INVALID', `${path}: ${(error as Error).message}`, {
      cause: error,
      fields: { path },
    })
  }
}
