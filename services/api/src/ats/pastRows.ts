import type { SqlStore } from '@tidemark/store'
import type { KeyRange } from '../keyRange.ts'
import type { Where } from '../sql.ts'
import type { ColumnLists, Row } from './columnLists.ts'

export interface KeyedRows {
  readonly store: SqlStore
  /** What is selected from, under the alias `t`. */
  readonly from: string
  /** What is read of it, with the column `record_key`. */
  readonly lists: ColumnLists
  readonly where: Where
  /** The table that has one row for each record that ever was. */
  readonly keys: string
  readonly range: KeyRange
  /** Only records behind this key. */
  readonly after: string | undefined
  readonly limit: number
  /** The conditions name few records. */
  readonly inOnePass: boolean
}

/** Records looked at first, for each row that is wanted, and how many times more each time. */
const PASS = { perRow: 2, growth: 8 } as const

/**
 * Rows in the order of their record keys, `limit` at most. PostgreSQL merges current and superseded versions in that order; were no
 * current one as old as what is asked for, it would look at all of them before the first row. So they are taken a part of the keys at
 * a time, and more of them when a part gives too few.
 */
export async function rowsByKey(input: KeyedRows): Promise<Row[]> {
  const { store, lists, where, range, after, limit, inOnePass } = input
  const [from, to] = [`$${where.params.length + 1}`, `$${where.params.length + 2}`]
  const rows: Row[] = []
  let begin = after ?? range.after
  for (let records = limit * PASS.perRow; ; records *= PASS.growth) {
    const last = inOnePass ? undefined : await keyAfter(input, begin, records)
    const [found] = await store.query<{ lists: unknown }>(
      `select ${lists.lists} as lists from (select ${lists.columns} from ${input.from}
where ${where.text} and t.record_key > ${from} and t.record_key ${last === undefined ? '<' : '<='} ${to}
order by t.record_key limit ${limit - rows.length}) r`,
      [...where.params, begin, last ?? range.before],
    )
    rows.push(...lists.rows(found?.lists))
    if (last === undefined || rows.length >= limit) return rows
    begin = last
  }
}

/** The key that ends a part of so many records; undefined when there are fewer. */
async function keyAfter(
  { store, keys, range }: KeyedRows,
  begin: string,
  records: number,
): Promise<string | undefined> {
  const [row] = await store.query<{ record_key: string }>(
    `select k.record_key from ${keys} k where k.record_key > $1 and k.record_key < $2
order by k.record_key offset ${records - 1} limit 1`,
    [begin, range.before],
  )
  return row?.record_key
}
