import {
  type AvroField,
  type AvroType,
  canonicalJson,
  isOptional,
  MODEL_SCHEMAS,
  type ModelName,
  type Models,
} from '@tidemark/model'

/**
 * The canonical record a row holds: the inverse of what {@link toRows} writes, for a row selected with `selectList`. Equal to the
 * record that was projected, but for U+0000, which PostgreSQL cannot hold.
 */
export function recordFromRow<M extends ModelName>(model: M, row: Readonly<Record<string, unknown>>): Models[M] {
  const fields = MODEL_SCHEMAS[model].fields
  const record = Object.fromEntries(fields.map((field) => [field.name, canonical(field.type, field, row[field.name])]))
  return record as unknown as Models[M]
}

/** Items of an array carry no marks of their own. */
const ITEM: AvroField = { name: 'item', type: 'string' }

function canonical(type: AvroType, field: AvroField, value: unknown): unknown {
  if (isOptional(type)) return value === null || value === undefined ? null : canonical(type[1], field, value)
  if (typeof type === 'string') return field.json && type === 'string' ? canonicalJson(value) : value
  switch (type.type) {
    case 'long':
      return Date.parse(value as string)
    case 'array':
      return (value as readonly unknown[]).map((item) => canonical(type.items, ITEM, item))
    case 'map':
      return canonicalMap(type.values, field, value as Readonly<Record<string, unknown>>)
    default: {
      const source = value as Readonly<Record<string, unknown>>
      return Object.fromEntries(type.fields.map((f) => [f.name, canonical(f.type, f, source[f.name])]))
    }
  }
}

function canonicalMap(values: AvroType, field: AvroField, source: Readonly<Record<string, unknown>>): object {
  const out = Object.create(null) as Record<string, unknown>
  for (const [key, value] of Object.entries(source)) out[key] = canonical(values, field, value)
  return out
}
