import type { ModelName } from '@tidemark/model'
import { fieldPointer, isoExpression, pointerTokens, qualified, TABLES } from '@tidemark/projection'
import type { ApiDeps } from './deps.ts'
import { inputInvalid } from './errors.ts'
import { choice, decodeCursor, encodeCursor, integer, type Query, single } from './params.ts'
import { createWhere, type Where } from './sql.ts'

type Row = Readonly<Record<string, unknown>>

const PAGE = { min: 1, max: 500, fallback: 100 }

/**
 * A page of a record's changes: `field=`, `order=`, `page_size=`, `cursor=`; as of a time only those observed until then. `record` holds
 * its key and identity. `window` says how exact the time of a change is: polling sees a value only now and then.
 */
export async function history(
  { store, schema }: ApiDeps,
  model: ModelName,
  record: Row,
  query: Query,
  asOf: string | undefined,
): Promise<object> {
  const pageSize = integer(query, 'page_size', PAGE)
  const order = choice(query, 'order', ['newest', 'oldest'], 'newest')
  const field = single(query, 'field')
  const where = createWhere()
  where.and(`c.record_key = ${where.param(String(record['record_key']))}`)
  if (asOf !== undefined) where.and(`c.changed_at <= ${where.param(asOf)}::timestamptz`)
  const pointer = field === undefined ? undefined : checkedPointer(model, field)
  const changes = pointer === undefined ? 'c.changes' : filteredChanges(where, pointer)
  const bound = `${record['record_key']} ${order} ${pointer ?? ''}${asOf === undefined ? '' : ` ${asOf}`}`
  const after = decodeCursor(query, bound, 1)
  if (after) where.and(`c.version ${order === 'newest' ? '<' : '>'} ${where.param(Number(after[0]))}::bigint`)
  const rows = await store.query(
    `select c.version::float8 as version, c.event_id, c.op, ${isoExpression('c.changed_at')} as changed_at,
  ${isoExpression('c.remote_changed_at')} as remote_changed_at, c.merged_into_id, ${changes} as changes, c.cause,
  c.log_partition, c.log_offset::float8 as log_offset
from ${qualified(schema, 'changes')} c where ${where.text}
order by c.version ${order === 'newest' ? 'desc' : 'asc'} limit ${pageSize + 1}`,
    where.params,
  )
  const page = rows.slice(0, pageSize)
  const last = page.at(-1)
  return {
    model,
    integration_id: record['integration_id'],
    id: record['id'],
    remote_id: record['remote_id'] ?? null,
    next: rows.length > pageSize && last ? encodeCursor(bound, [Number(last['version'])]) : null,
    results: page.map(({ log_partition: partition, log_offset: offset, ...change }) => ({
      ...change,
      window: windowOf(change['cause'] as Row),
      position: { partition, offset },
    })),
  }
}

/** Between these two the provider changed it: when the old value was last seen (null: not known), and the new one first. */
const windowOf = ({ previous_seen_at = null, first_seen_at = null }: Row): object => ({
  previous_seen_at,
  first_seen_at,
})

/** Restricts to versions that touch the pointer, and returns the select expression of their changes there. */
function filteredChanges(where: Where, pointer: string): string {
  const value = `${where.param(pointer)}::text`
  const name = where.param(pointerTokens(pointer)[0] ?? '')
  where.and(`c.fields @> array[${name}::text]`)
  const touching =
    `x.item->>'path' = ${value} or starts_with(x.item->>'path', ${value} || '/')` +
    ` or starts_with(${value}, (x.item->>'path') || '/')`
  const elements = 'jsonb_array_elements(c.changes) with ordinality as x(item, n)'
  where.and(`exists (select 1 from ${elements} where ${touching})`)
  return `(select jsonb_agg(x.item order by x.n) from ${elements} where ${touching})`
}

/** A field as a pointer; throws when the model has no such field. */
export function checkedPointer(model: ModelName, field: string): string {
  const pointer = fieldPointer(field)
  const name = pointerTokens(pointer)[0] ?? ''
  if (TABLES[model].columns.some((column) => column.name === name)) return pointer
  throw inputInvalid(
    `field: ${model} has no field "${name}". Give a name like status, or a pointer like /location/city.`,
  )
}
