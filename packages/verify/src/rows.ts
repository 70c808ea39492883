import {
  type AvroField,
  type AvroType,
  canonicalJson,
  changesTopic,
  isOptional,
  MODEL_SCHEMAS,
  type ModelName,
} from '@tidemark/model'
import { qualified, selectList, TABLES } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { contentDigest } from './content.ts'
import type { ProjectionReader } from './projection.ts'

/** Reads the projection's tables in one schema for the comparison with the changes. */
export function createProjectionReader(store: SqlStore, schema: string): ProjectionReader {
  const offsets = qualified(schema, 'projection_offsets')
  const positions = async (model: ModelName): Promise<Map<number, number>> => {
    const rows = await store.query(`select partition, next_offset::float8 as next from ${offsets} where topic = $1`, [
      changesTopic(model),
    ])
    return new Map(rows.map((row) => [Number(row['partition']), Number(row['next'])]))
  }
  return {
    position: async (model, partition) => (await positions(model)).get(partition) ?? 0,
    async rows(model, keys) {
      const table = qualified(schema, TABLES[model].name)
      const rows = await store.query(
        `select ${selectList(model)} from ${table} t where t.record_key = any($1::text[])`,
        [keys],
      )
      return new Map(
        rows.map((row) => [
          String(row['record_key']),
          {
            version: Number(row['version']),
            digest: contentDigest(model, recordOfRow(model, row)),
            // Only what is deleted may be erased.
            erased: row['erased_at'] !== null && row['remote_deleted_at'] !== null,
          },
        ]),
      )
    },
    async count(model, ends) {
      const at = await positions(model)
      for (const [partition, end] of ends) if ((at.get(partition) ?? 0) !== end) return null
      const [row] = await store.query(`select count(*)::float8 as n from ${qualified(schema, TABLES[model].name)}`)
      return Number(row?.['n'] ?? 0)
    },
  }
}

/** The canonical record that a row stands for. */
function recordOfRow(model: ModelName, row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    MODEL_SCHEMAS[model].fields.map((field) => [field.name, canonical(field, field.type, row[field.name] ?? null)]),
  )
}

function canonical(field: AvroField, type: AvroType, value: unknown): unknown {
  if (isOptional(type)) return value === null ? null : canonical(field, type[1], value)
  if (typeof type === 'string') return field.json && type === 'string' ? canonicalJson(value) : value
  switch (type.type) {
    case 'long':
      return Date.parse(value as string)
    case 'array':
      return (value as unknown[]).map((item) => canonical({ name: 'item', type: type.items }, type.items, item))
    case 'map':
      return Object.fromEntries(
        Object.entries(value as object).map(([key, member]) => [key, canonical(field, type.values, member)]),
      )
    case 'record': {
      const members = value as Readonly<Record<string, unknown>>
      return Object.fromEntries(type.fields.map((f) => [f.name, canonical(f, f.type, members[f.name] ?? null)]))
    }
  }
}
