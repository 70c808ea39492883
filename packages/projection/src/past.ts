import type { ModelName } from '@tidemark/model'
import { names, typed } from './statements.ts'
import { type Column, ident, pastColumns, pastName, qualified, tableName } from './tables.ts'

/** Columns of superseded versions that come from changes of one batch. */
export const supersededColumns = (model: ModelName): readonly Column[] =>
  pastColumns(model).filter(({ name }) => name !== 'erased_at')

/**
 * Makes room for new versions (`$1`: JSON list of `{record_key, version, changed_at}`, all of one record in one statement): what they replace
 * in a model's table goes to its superseded versions, and older ones that end later than a new one begins end with it. Run before the
 * rows are replaced; a version that is there already changes nothing. Returns the records whose replaced version had been erased, as
 * `{record_key, version}` with the version that follows it.
 *
 * What is to be shortened is looked up record by record and taken by its place (ctid): a join would read the whole table where PostgreSQL
 * has no statistics yet, as while a rebuild fills it.
 */
export function replaceSql(schema: string, model: ModelName): string {
  const [table, past] = [qualified(schema, tableName(model)), qualified(schema, pastName(model))]
  const moved = pastColumns(model).filter(({ name }) => name !== 'superseded_at')
  return `with k as (
  select * from jsonb_to_recordset($1::jsonb) as k(record_key text, version bigint, changed_at timestamptz)
), m as (
  select t.record_key, t.changed_at, t.erased_at, min(k.changed_at) as superseded_at, min(k.version) as next
  from ${table} t join k on k.record_key = t.record_key and k.version > t.version group by t.record_key
), moved as (
  insert into ${past} (${names(moved)}, superseded_at)
  select ${moved.map(({ name }) => `t.${ident(name)}`).join(', ')}, m.superseded_at
  from m join ${table} t on t.record_key = m.record_key
  on conflict (record_key, version) do nothing
), shortened as (
  update ${past} h set superseded_at = (select m.superseded_at from m where m.record_key = h.record_key)
  where h.ctid = any(array(
    select o.ctid from m cross join lateral (
      select p.ctid from ${past} p where p.record_key = m.record_key and p.superseded_at > m.superseded_at offset 0
    ) o where m.superseded_at < m.changed_at))
)
select m.record_key, m.next::float8 as version from m where m.erased_at is not null`
}

/**
 * Writes versions that later ones of the same batch supersede (`$1`: JSON list of rows with `superseded_at`), after {@link replaceSql}.
 * What is there stays as it is: also erased.
 */
export function supersededSql(schema: string, model: ModelName): string {
  const columns = supersededColumns(model)
  return `insert into ${qualified(schema, pastName(model))} (${names(columns)})
select ${columns.map(({ name }) => `r.${ident(name)}`).join(', ')}
from jsonb_to_recordset($1::jsonb) as r(${typed(columns)})
on conflict (record_key, version) do nothing`
}
