import { type AvroField, type AvroType, compareCodePoints, isOptional } from '@tidemark/model'

/**
 * JSON text of a canonical value: times as ISO 8601 in UTC, values that are JSON text already verbatim, members in schema
 * order, map keys in code point order. Equal values give equal text.
 */
export function jsonText(field: AvroField, type: AvroType, value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (isOptional(type)) return jsonText(field, type[1], value)
  if (typeof type === 'string') return field.json && type === 'string' ? (value as string) : JSON.stringify(value)
  switch (type.type) {
    case 'long':
      return JSON.stringify(new Date(value as number).toISOString())
    case 'record':
      return recordText(type.fields, value as Readonly<Record<string, unknown>>)
    case 'array':
      return `[${(value as readonly unknown[]).map((item) => jsonText(ITEM, type.items, item)).join(',')}]`
    case 'map':
      return mapText(field, type.values, value as Readonly<Record<string, unknown>>)
  }
}

/** Items of an array carry no marks of their own. */
const ITEM: AvroField = { name: 'item', type: 'string' }

function recordText(fields: readonly AvroField[], value: Readonly<Record<string, unknown>>): string {
  return `{${fields.map((f) => `${JSON.stringify(f.name)}:${jsonText(f, f.type, value[f.name])}`).join(',')}}`
}

function mapText(field: AvroField, values: AvroType, value: Readonly<Record<string, unknown>>): string {
  const keys = Object.keys(value).sort(compareCodePoints)
  return `{${keys.map((key) => `${JSON.stringify(key)}:${jsonText(field, values, value[key])}`).join(',')}}`
}
