import { changesTopic, type ModelName } from '@tidemark/model'
import { pastName, qualified, recordFromRow, selectList, TABLES } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { contentDigest } from './content.ts'
import type { ProjectionReader } from './projection.ts'
import { pastRowKey } from './superseded.ts'

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
            digest: contentDigest(model, recordFromRow(model, row)),
            // Only what is deleted may be erased.
            erased: row['erased_at'] !== null && row['remote_deleted_at'] !== null,
          },
        ]),
      )
    },
    async past(model, versions) {
      const rows = await store.query(
        `select ${selectList(model, pastFields(model))}, extract(epoch from t.superseded_at)::float8 * 1000 as ends_at_ms,
  exists (select 1 from ${qualified(schema, 'erasures')} e
    where e.model = $3 and e.record_key = t.record_key and e.version >= t.version) as may_be_erased
from ${qualified(schema, pastName(model))} t
join unnest($1::text[], $2::bigint[]) w(record_key, version) on w.record_key = t.record_key and w.version = t.version`,
        [versions.map(({ key }) => key), versions.map(({ version }) => version), model],
      )
      return new Map(
        rows.map((row) => [
          pastRowKey({ key: String(row['record_key']), version: Number(row['version']) }),
          {
            digest: contentDigest(model, recordFromRow(model, row)),
            erased: row['erased_at'] !== null && row['may_be_erased'] === true,
            endsAtMs: Math.round(Number(row['ends_at_ms'])),
          },
        ]),
      )
    },
    async count(model, ends) {
      const at = await positions(model)
      for (const [partition, end] of ends) if ((at.get(partition) ?? 0) !== end) return null
      const [row] = await store.query(
        `select (select count(*)::float8 from ${qualified(schema, TABLES[model].name)}) as records,
  (select count(*)::float8 from ${qualified(schema, pastName(model))}) as superseded`,
      )
      return { records: Number(row?.['records'] ?? 0), superseded: Number(row?.['superseded'] ?? 0) }
    },
  }
}

const pastFields = (model: ModelName): string[] =>
  TABLES[model].columns.map(({ name }) => name).filter((name) => name !== 'effective_changed_at')
