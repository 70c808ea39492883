import type { ModelName } from '@tidemark/model'
import { qualified, selectList, statesAsOf } from '@tidemark/projection'
import type { ApiDeps } from '../deps.ts'
import { keysOfIntegration } from '../keyRange.ts'
import { stateColumns } from '../recordBody.ts'
import { createWhere } from '../sql.ts'

type Row = Readonly<Record<string, unknown>>

export interface DiffRange {
  readonly integrationId: string
  /** Only these models; undefined: all. */
  readonly models: readonly ModelName[] | undefined
  /** ISO times; changes at `from` are left out, those at `to` belong to it. */
  readonly from: string
  readonly to: string
}

/** A record with what happened to it in a range. */
export interface Touched extends Row {
  readonly record_key: string
  readonly model: ModelName
  /** Changes in the range, and their different operations. */
  readonly count: number
  readonly ops: readonly string[]
}

/** Records that changed, in the order of their keys, behind `after`. */
export function touchedRecords(
  { store, schema }: ApiDeps,
  { integrationId, models, from, to }: DiffRange,
  after: string | undefined,
  limit: number,
): Promise<Touched[]> {
  const where = createWhere()
  where.and(`c.integration_id = ${where.param(integrationId)}`)
  where.and(`c.changed_at > ${where.param(from)}::timestamptz and c.changed_at <= ${where.param(to)}::timestamptz`)
  if (models) where.and(`c.model = any(${where.param(models)}::text[])`)
  // A narrow range is found by time; a wide one, of which a page needs little, by key.
  const keys = keysOfIntegration(integrationId)
  where.and(`c.record_key > ${where.param(after ?? keys.after)} and c.record_key < ${where.param(keys.before)}`)
  return store.query<Touched>(
    `select c.record_key, min(c.model) as model, count(*)::float8 as count, array_agg(distinct c.op) as ops
from ${qualified(schema, 'changes')} c where ${where.text} group by c.record_key order by c.record_key limit ${limit}`,
    where.params,
  )
}

/** States of records as of a time, by record key; without those that had not been observed. */
export async function statesAt(
  { store, schema }: ApiDeps,
  records: readonly Touched[],
  time: string,
): Promise<Map<string, Row>> {
  const states = statesAsOf(schema, '$2::timestamptz')
  const found = new Map<string, Row>()
  for (const [model, group] of Map.groupBy(records, (record) => record.model)) {
    const rows = await store.query(
      `select ${selectList(model, stateColumns(model))} from ${states.from(model, 't')}
where t.record_key = any($1::text[]) and ${states.holds('t')}`,
      [group.map(({ record_key }) => record_key), time],
    )
    for (const row of rows) found.set(String(row['record_key']), row)
  }
  return found
}
