import { TidemarkError } from '@tidemark/base'
import { MODEL_NAMES, type ModelName } from '@tidemark/model'
import { bulkTables, ident, type LiveTimes, migrations, qualified, tableName } from '@tidemark/projection'
import type { SqlRunner, SqlStore } from '@tidemark/store'
import { sha256Of } from '../migrate.ts'
import type { Gap, Schemas } from './types.ts'

/** Marks a schema as a rebuild's, and says how far it is. Gone after the switch. */
const MARKER = 'projection_rebuild'

export interface Marker {
  /** `filling`: the secondary indexes are missing. */
  readonly state: 'filling' | 'indexed'
  /** True when there was a live projection at its beginning, whose times the rows keep. */
  readonly had_live: boolean
  readonly gaps: readonly Gap[]
}

export interface Existing {
  readonly live: boolean
  readonly next: boolean
  readonly old: boolean
}

export async function existingSchemas(store: SqlRunner, schemas: Schemas): Promise<Existing> {
  const { live, next, old } = schemas
  const rows = await store.query<{ name: string }>(
    `select n.nspname::text as name from pg_namespace n where n.nspname = any($1::text[])`,
    [[live, next, old]],
  )
  const names = new Set(rows.map(({ name }) => name))
  return { live: names.has(live), next: names.has(next), old: names.has(old) }
}

/** Hash of what the tables look like, whatever the schema's name. */
const layout = (): string => sha256Of(JSON.stringify(migrations('layout')))

/** What an unfinished rebuild has left; null when there is none, or one of another version. Throws CONFIG_INVALID for a stranger's schema. */
export async function readMarker(store: SqlRunner, { next }: Schemas): Promise<Marker | null> {
  const [found] = await store.query<{ found: boolean }>('select to_regclass($1) is not null as found', [
    qualified(next, MARKER),
  ])
  if (!found?.found) {
    const message = `the schema "${next}" exists, but no rebuild made it. Rename or drop it: a rebuild needs the name`
    throw new TidemarkError('CONFIG_INVALID', message, { fields: { schema: next } })
  }
  const [row] = await store.query<Marker & { layout: string; [column: string]: unknown }>(
    `select layout, state, had_live, gaps from ${qualified(next, MARKER)}`,
  )
  return row?.layout === layout() ? row : null
}

/** Creates the schema to be filled, all or nothing. */
export async function createNext(store: SqlStore, { next }: Schemas, marker: Marker): Promise<void> {
  const { tables, indexes, attachKey } = bulkTables(next)
  const rest = marker.state === 'indexed' ? [...indexes, `${attachKey};`, ...unplacedIndexes(next)] : []
  const table = qualified(next, MARKER)
  await store.script(`${tables}
${rest.join('\n')}
create table ${table} (layout text not null, state text not null, had_live boolean not null, gaps jsonb not null);
insert into ${table} values ('${layout()}', '${marker.state}', ${marker.had_live}, '${JSON.stringify(marker.gaps)}');`)
}

export async function updateMarker(store: SqlRunner, { next }: Schemas, marker: Partial<Marker>): Promise<void> {
  const { state = null, gaps = null } = marker
  await store.query(
    `update ${qualified(next, MARKER)} set state = coalesce($1::text, state), gaps = coalesce($2::jsonb, gaps)`,
    [state, gaps === null ? null : JSON.stringify(gaps)],
  )
}

export const dropMarkerSql = (schema: string): string => `drop table ${qualified(schema, MARKER)}`

/** Throws an unfinished rebuild away. */
export async function dropNext(store: SqlStore, { next }: Schemas): Promise<void> {
  await store.script(`drop schema ${ident(next)} cascade`)
}

/** Rows that the live projection does not have in this version wait for the switch with the latest of all times. */
export const UNPLACED = 'infinity'

const unplacedName = (model: ModelName): string => `${tableName(model)}_unplaced`

/** Indexes of the rows without a time of their own, so that the switch finds them at once. */
export const unplacedIndexes = (schema: string): string[] =>
  MODEL_NAMES.map(
    (model) =>
      `create index if not exists ${ident(unplacedName(model))} on ${qualified(schema, tableName(model))} (record_key) ` +
      `where effective_changed_at = '${UNPLACED}';`,
  )

export const dropUnplacedSql = (schema: string): string =>
  `drop index ${MODEL_NAMES.map((model) => qualified(schema, unplacedName(model))).join(', ')}`

/** Models whose live table has the columns by which times are looked up, whatever else its version has, and how they are. */
export async function modelsWithTimes(store: SqlRunner, { live }: Schemas): Promise<Map<ModelName, LiveTimes>> {
  const rows = await store.query<{ name: string; collation: string | null }>(
    `select c.relname::text as name, max(k.collname::text) filter (where a.attname = 'record_key') as collation
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
left join pg_collation k on k.oid = a.attcollation
where n.nspname = $1 and c.relkind = 'r' and a.attname in ('record_key', 'version', 'effective_changed_at')
group by c.relname having count(*) = 3`,
    [live],
  )
  const found = new Map(rows.map(({ name, collation }) => [name, { schema: live, collation: collation ?? 'default' }]))
  return new Map(
    MODEL_NAMES.flatMap((model) => {
      const times = found.get(tableName(model))
      return times ? [[model, times]] : []
    }),
  )
}
