import { canonicalJson, MODEL_SCHEMAS, type ModelName, type RecordKey } from '@tidemark/model'
import { qualified, recordFromRow, selectList, TABLES } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'

/** A row of the tables. */
export interface ShownRow {
  readonly model: ModelName
  /** Every field as canonical JSON. */
  readonly fields: ReadonlyMap<string, string>
  readonly isDeleted: boolean
}

/** Every row of an integration. */
export async function readRows(
  store: SqlStore,
  schema: string,
  models: readonly ModelName[],
  integration: string,
): Promise<Map<RecordKey, ShownRow>> {
  const rows = new Map<RecordKey, ShownRow>()
  for (const model of models) {
    const table = qualified(schema, TABLES[model].name)
    const found = await store.query(
      `select ${selectList(model)} from ${table} t where starts_with(t.record_key, $1) order by t.record_key`,
      [`${integration}/`],
    )
    for (const row of found) rows.set(row['record_key'] as RecordKey, shown(model, row))
  }
  return rows
}

function shown(model: ModelName, row: Readonly<Record<string, unknown>>): ShownRow {
  const record = recordFromRow(model, row) as unknown as Readonly<Record<string, unknown>>
  const fields = MODEL_SCHEMAS[model].fields.map(({ name }): [string, string] => [name, canonicalJson(record[name])])
  return { model, fields: new Map(fields), isDeleted: row['remote_deleted_at'] !== null }
}
