import type { ModelName } from '@tidemark/model'
import { MODEL_NAMES } from '@tidemark/model'
import { ident, pastName, personalFields, qualified, tableName } from './tables.ts'

/** Models with a field that holds personal data; the others have nothing to erase. */
export const PERSONAL_MODELS: readonly ModelName[] = MODEL_NAMES.filter((model) => personalFields(model).length > 0)

/** Rows whose data may have to go: what the partial indexes hold. */
const PRESENT = 'erased_at is null and remote_deleted_at is not null'

/** Indexes that find what is due, one statement each; none for models without personal data. */
export function erasureIndexes(
  schema: string,
  model: ModelName,
): { readonly table: string[]; readonly past: string[] } {
  if (personalFields(model).length === 0) return { table: [], past: [] }
  const index = (table: string, on: string): string =>
    `create index if not exists ${ident(`${table}_erasable`)} on ${qualified(schema, table)} ${on} where ${PRESENT};`
  return {
    table: [index(tableName(model), '(remote_deleted_at)')],
    past: [index(pastName(model), '((superseded_at - remote_deleted_at))')],
  }
}

/**
 * Deleted since `$1` at the latest. In the order of the index, so that PostgreSQL does not read the table instead: it expects many such rows
 * where many records are deleted, of which nearly all are erased.
 */
const dueTable = (schema: string, model: ModelName, limit: number): string =>
  `select t.record_key, t.version from ${qualified(schema, tableName(model))} t
where t.erased_at is null and t.remote_deleted_at is not null and t.remote_deleted_at <= $1::timestamptz
order by t.remote_deleted_at limit ${limit}`

/** Was deleted for `$2` ms or longer before a later version: seen again only after its data had to be gone. */
const duePast = (schema: string, model: ModelName, limit: number): string =>
  `select h.record_key, h.version from ${qualified(schema, pastName(model))} h
where h.erased_at is null and h.remote_deleted_at is not null
  and h.superseded_at - h.remote_deleted_at >= $2::float8 * interval '1 millisecond'
order by h.superseded_at - h.remote_deleted_at limit ${limit}`

/** Models that have something due for erasure (`$1`: ISO time of the latest deletion that is due, `$2`: the delay in ms), as `{model}`. */
export function dueModelsSql(schema: string): string {
  const some = (due: string): string => `(select d.version from (${due}) d) is not null`
  const models = PERSONAL_MODELS.map(
    (model) =>
      `select '${model}' as model where ${some(dueTable(schema, model, 1))} or ${some(duePast(schema, model, 1))}`,
  )
  return models.join('\nunion all\n')
}

/** Versions of a model that are due (`$1`, `$2` as for {@link dueModelsSql}), `limit` at most, as `{record_key, version}`. */
export function dueSql(schema: string, model: ModelName, limit: number): string {
  return `select d.record_key, max(d.version)::float8 as version from (
(${dueTable(schema, model, limit)})
union all
(${duePast(schema, model, limit)})
) d group by d.record_key order by d.record_key limit ${limit}`
}

/**
 * Erasures of a model that stand in `from`, not in `schema`, and whose version `schema` has reached, behind the one of `$1` (record key)
 * and `$2` (version), `limit` at most, as `{record_key, version, erased_at}`.
 */
export function missingErasuresSql(schema: string, from: string, model: ModelName, limit: number): string {
  return `select e.record_key, e.version::float8 as version, e.erased_at from ${qualified(from, 'erasures')} e
join ${qualified(schema, tableName(model))} t on t.record_key = e.record_key and t.version >= e.version
where e.model = '${model}' and (e.record_key, e.version) > ($1::text, $2::bigint)
  and not exists (select 1 from ${qualified(schema, 'erasures')} n
    where n.model = e.model and n.record_key = e.record_key and n.version = e.version)
order by e.record_key, e.version limit ${limit}`
}

/** Statements that erase personal data; each with the texts that it takes. Run in this order, in one transaction. */
export interface EraseStatements {
  /** Notes the erasures. `$1`: JSON list of `{record_key, version, erased_at}`: everything up to this version. */
  readonly note: string
  /** Empties the fields in the table, and in that of superseded versions. `$1` as above. */
  readonly rows: readonly [string, string]
  /** Empties the values in `changes`, and what the change after the last erased version tells about it. `$1` as above. */
  readonly changes: readonly [string, string]
}

const GIVEN = 'jsonb_to_recordset($1::jsonb) as e(record_key text, version bigint, erased_at timestamptz)'

/** How personal data of a model's records is erased up to a version. Doing it again changes nothing. */
export function eraseStatements(schema: string, model: ModelName): EraseStatements {
  const fields = personalFields(model)
  const erase = (table: string): string =>
    `update ${qualified(schema, table)} t set ${fields.map((name) => `${ident(name)} = null`).join(', ')}, erased_at = e.erased_at
from ${GIVEN}
where t.record_key = e.record_key and t.version <= e.version and t.erased_at is null`
  const changes = qualified(schema, 'changes')
  const touched = `c.fields && array[${fields.map((name) => `'${name}'`).join(', ')}]`
  return {
    note: `insert into ${qualified(schema, 'erasures')} (model, record_key, version, erased_at)
select '${model}', e.record_key, e.version, e.erased_at from ${GIVEN}
on conflict (model, record_key, version) do nothing`,
    rows: [erase(tableName(model)), erase(pastName(model))],
    changes: [
      `update ${changes} c set changes = ${scrubbed(fields, '{"before": null, "after": null, "erased": true}')}
from ${GIVEN}
where c.record_key = e.record_key and c.version <= e.version and ${touched}`,
      `update ${changes} c set changes = ${scrubbed(fields, '{"before": null, "erased": true}')}
from ${GIVEN}
where c.record_key = e.record_key and ${touched}
  and c.version = (select min(n.version) from ${changes} n where n.record_key = e.record_key and n.version > e.version)`,
    ],
  }
}

/**
 * Empties what changes tell about an erased version that they follow (`$1`: JSON list of `{record_key, version}`, the version of the
 * change). Run after the changes were written.
 */
export function forgetBeforeSql(schema: string, model: ModelName): string {
  const fields = personalFields(model)
  return `update ${qualified(schema, 'changes')} c set changes = ${scrubbed(fields, '{"before": null, "erased": true}')}
from jsonb_to_recordset($1::jsonb) as e(record_key text, version bigint)
where c.record_key = e.record_key and c.version = e.version`
}

/** `c.changes` with members of the items of these fields replaced. Names of fields need no escapes in a pointer. */
function scrubbed(fields: readonly string[], members: string): string {
  const names = fields.map((name) => `'${name}'`).join(', ')
  return `(select coalesce(jsonb_agg(
    case when split_part(x.item->>'path', '/', 2) in (${names}) then x.item || '${members}'::jsonb else x.item end
    order by x.n), '[]'::jsonb)
  from jsonb_array_elements(c.changes) with ordinality as x(item, n))`
}
