import type { ModelName } from '@tidemark/model'
import { BOOKKEEPING, type Column, deliveredColumns, ident, qualified, TABLES, tableName } from './tables.ts'

const CHANGE_COLUMNS: readonly { readonly name: string; readonly type: string }[] = [
  { name: 'record_key', type: 'text' },
  { name: 'version', type: 'bigint' },
  { name: 'event_id', type: 'text' },
  { name: 'integration_id', type: 'text' },
  { name: 'model', type: 'text' },
  { name: 'id', type: 'text' },
  { name: 'op', type: 'text' },
  { name: 'changed_at', type: 'timestamptz' },
  { name: 'remote_changed_at', type: 'timestamptz' },
  { name: 'merged_into_id', type: 'text' },
  { name: 'fields', type: 'text[]' },
  { name: 'changes', type: 'jsonb' },
  { name: 'cause', type: 'jsonb' },
  { name: 'log_partition', type: 'integer' },
  { name: 'log_offset', type: 'bigint' },
]

/** Column list. */
export const names = (columns: readonly { readonly name: string }[]): string =>
  columns.map((c) => ident(c.name)).join(', ')
/** Column definitions of a row of JSON. */
export const typed = (columns: readonly { readonly name: string; readonly type: string }[]): string =>
  columns.map((c) => `${ident(c.name)} ${c.type}`).join(', ')

/** A readable projection from which rows take their times. */
export interface LiveTimes {
  readonly schema: string
  /** Collation of its record keys, by which its primary key is looked up: that of another version may be another. */
  readonly collation: string
}

/**
 * Writes rows of a model (`$1`: JSON list of rows) as of now (`$2`: ISO time). A row replaces only an older version, so writing
 * a change again does nothing. With `live`, a projection that is readable meanwhile, a row takes the time that the same version of
 * the record has there.
 */
export function upsertSql(schema: string, model: ModelName, live: LiveTimes | null = null): string {
  const rows = `jsonb_to_recordset($1::jsonb) as r(${typed(deliveredColumns(model))})`
  return writeSql({ schema, model, live, rows, now: '$2' })
}

/** Writes what stands in {@link stagedTable} as {@link upsertSql} does, as of now (`$1`: ISO time). Each record may stand there once. */
export function mergeSql(schema: string, model: ModelName, live: LiveTimes | null): string {
  return writeSql({ schema, model, live, rows: `${ident(stagedTable(model))} r`, now: '$1' })
}

/** Name of the temporary table from which {@link mergeSql} writes. */
export const stagedTable = (model: ModelName): string => `staged_${tableName(model)}`

/** Creates {@link stagedTable} for the rest of the transaction. */
export function stageSql(schema: string, model: ModelName): string {
  return `create temporary table ${ident(stagedTable(model))} on commit drop as
select ${names(deliveredColumns(model))} from ${qualified(schema, tableName(model))} with no data`
}

/** Columns of `changes`. */
export const HISTORY_COLUMNS: readonly string[] = CHANGE_COLUMNS.map((column) => column.name)

interface Write {
  readonly schema: string
  readonly model: ModelName
  readonly live: LiveTimes | null
  /** What to select from, as `r`. */
  readonly rows: string
  /** Parameter that holds the time. */
  readonly now: string
}

function writeSql({ schema, model, live, rows, now }: Write): string {
  const { name, columns } = TABLES[model]
  const fresh = `greatest(r.changed_at, ${now}::timestamptz)`
  const known = live === null ? fresh : `coalesce(${liveTimeSql(live, model, 'r')}, ${fresh})`
  // A new version has its data, whatever was erased of the one that it replaces.
  const own: Readonly<Record<string, string>> = { effective_changed_at: known, erased_at: 'null::timestamptz' }
  const values = columns.map((column) => own[column.name] ?? `r.${ident(column.name)}`)
  const replaced = columns
    .filter((column) => column.name !== 'record_key')
    .map((column) => `${ident(column.name)} = excluded.${ident(column.name)}`)
  return `insert into ${qualified(schema, name)} as t (${names(columns)})
select ${values.join(', ')}
from ${rows}
on conflict (record_key) do update set ${replaced.join(', ')}
where t.version < excluded.version`
}

/** The time that a live row has for the same version of the record under an alias; null when there is none. */
export const liveTimeSql = ({ schema, collation }: LiveTimes, model: ModelName, alias: string): string =>
  `(select l.effective_changed_at from ${qualified(schema, tableName(model))} l
  where l.record_key = ${alias}.record_key collate ${ident(collation)} and l.version = ${alias}.version)`

/** Writes history (`$1`: JSON list of rows of `changes`), also while a rebuild has not made the table's key yet. */
export function historySql(schema: string): string {
  return `insert into ${qualified(schema, 'changes')} (${names(CHANGE_COLUMNS)})
select ${CHANGE_COLUMNS.map((c) => `r.${ident(c.name)}`).join(', ')}
from jsonb_to_recordset($1::jsonb) as r(${typed(CHANGE_COLUMNS)})
on conflict do nothing`
}

/** Moves counts (`$1`: JSON list of movements). */
export function countsSql(schema: string): string {
  return `insert into ${qualified(schema, 'record_counts')} as t
  (integration_id, model, partition, records, deleted, changes, last_changed_at)
select r.integration_id, r.model, r.partition, r.records, r.deleted, r.changes, r.last_changed_at
from jsonb_to_recordset($1::jsonb) as r(integration_id text, model text, partition integer, records bigint,
  deleted bigint, changes bigint, last_changed_at timestamptz)
on conflict (integration_id, model, partition) do update set
  records = t.records + excluded.records,
  deleted = t.deleted + excluded.deleted,
  changes = t.changes + excluded.changes,
  last_changed_at = greatest(t.last_changed_at, excluded.last_changed_at)`
}

/**
 * Moves offsets (`$1`: JSON list of `{topic, partition, expected, next_offset}`) that stand where they are expected, and returns
 * one row per offset moved: fewer than asked means that somebody else moved one.
 */
export function moveOffsetsSql(schema: string): string {
  return `update ${qualified(schema, 'projection_offsets')} as p set next_offset = o.next_offset
from jsonb_to_recordset($1::jsonb) as o(topic text, partition integer, expected bigint, next_offset bigint)
where p.topic = o.topic and p.partition = o.partition and p.next_offset = o.expected
returning p.topic`
}

/** Adds missing offsets (`$1`: JSON list of `{topic, partition, next_offset}`). */
export function addOffsetsSql(schema: string): string {
  return `insert into ${qualified(schema, 'projection_offsets')} (topic, partition, next_offset)
select o.topic, o.partition, o.next_offset
from jsonb_to_recordset($1::jsonb) as o(topic text, partition integer, next_offset bigint)
on conflict (topic, partition) do nothing`
}

/** Select expression of a column whose value is JSON-ready in JS: times as ISO text, bigint as float8 (exact up to 2^53). */
export function selectExpression(column: Pick<Column, 'name' | 'type'>, alias = 't'): string {
  const name = `${alias}.${ident(column.name)}`
  if (column.type === 'timestamptz') return `${isoExpression(name)} as ${ident(column.name)}`
  if (column.type === 'bigint') return `${name}::float8 as ${ident(column.name)}`
  return name
}

/** SQL expression of a timestamptz as ISO 8601 text in UTC with milliseconds. */
export function isoExpression(expression: string): string {
  return `to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

/** Select list of all columns of a model's table, or of the named ones. */
export function selectList(model: ModelName, columns?: readonly string[], alias = 't'): string {
  const chosen = columns ? TABLES[model].columns.filter((c) => columns.includes(c.name)) : TABLES[model].columns
  return chosen.map((column) => selectExpression(column, alias)).join(', ')
}

/** Names of the bookkeeping columns. */
export const BOOKKEEPING_NAMES: ReadonlySet<string> = new Set(BOOKKEEPING.map((column) => column.name))
