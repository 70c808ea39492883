import { createHash } from 'node:crypto'
import { type ModelName, parseRecordKey, type RecordKey } from '@tidemark/model'
import { qualified, statesAsOf, tableName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { MODELS } from './traits.ts'

/** A row of the projection, as PostgreSQL's JSON. */
export type TableRow = Readonly<Record<string, unknown>>

/** Every row of every model by its record key, as JSON text. */
export type Tables = ReadonlyMap<RecordKey, string>

/** Texts that were read before, so that a thousand copies of the same rows take the room of one. */
const texts = new Map<string, string>()

function interned(text: string): string {
  const known = texts.get(text)
  if (known !== undefined) return known
  texts.set(text, text)
  return text
}

/** The projection as it is now; of what belongs to versions everything, so without the time at which a row became readable. */
export function readTables(store: SqlStore, schema: string, models: readonly ModelName[] = MODELS): Promise<Tables> {
  const arm = (model: ModelName): string =>
    `select (to_jsonb(t) - 'effective_changed_at')::text as row from ${qualified(schema, tableName(model))} t`
  return read(store, models.map(arm).join(' union all '), [])
}

/** The projection as it was at a time. */
export function readTablesAsOf(store: SqlStore, schema: string, atMs: number): Promise<Tables> {
  const states = statesAsOf(schema, '$1::timestamptz')
  const arm = (model: ModelName): string =>
    `select (to_jsonb(t) - 'superseded_at')::text as row from ${states.from(model, 't')} where ${states.holds('t')}`
  return read(store, MODELS.map(arm).join(' union all '), [new Date(atMs).toISOString()])
}

/** A digest of everything, to be compared with {@link digestsAsOf}. */
export function digestOf(tables: Tables): string {
  return createHash('md5')
    .update([...tables.values()].join('\n'))
    .digest('hex')
}

/** Digests of the projection as it was at each of several times; null where there was nothing. */
export async function digestsAsOf(
  store: SqlStore,
  schema: string,
  times: readonly number[],
): Promise<(string | null)[]> {
  const states = statesAsOf(schema, 'a.at')
  const arm = (model: ModelName): string =>
    `select a.n, t.record_key, (to_jsonb(t) - 'superseded_at')::text as row from ${states.from(model, 't')}, a where ${states.holds('t')}`
  const rows = await store.query(
    `with a as (select * from unnest($1::timestamptz[]) with ordinality a(at, n))
select n::int4 as n, md5(string_agg(row, e'\\n' order by record_key collate "C")) as digest
from (${MODELS.map(arm).join(' union all ')}) r group by n`,
    [times.map((ms) => new Date(ms).toISOString())],
  )
  const digests = new Map(rows.map(({ n, digest }) => [Number(n), String(digest)]))
  return times.map((_, i) => digests.get(i + 1) ?? null)
}

async function read(store: SqlStore, sql: string, params: readonly string[]): Promise<Tables> {
  const rows = await store.query(sql, params)
  const entries = rows.map(({ row }): [RecordKey, string] => {
    const text = interned(String(row))
    return [(JSON.parse(text) as { record_key: RecordKey }).record_key, text]
  })
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

export const rowOf = (tables: Tables, key: RecordKey): TableRow | undefined => {
  const text = tables.get(key)
  return text === undefined ? undefined : (JSON.parse(text) as TableRow)
}

export const isDeleted = (row: TableRow): boolean => row['remote_deleted_at'] !== null

/** The parts of a key that is one. */
export function partsOf(key: RecordKey) {
  const parts = parseRecordKey(key)
  if (parts === undefined) throw new RangeError(`${key} is no record key`)
  return parts
}
