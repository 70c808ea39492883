import type { ModelName } from '@tidemark/model'
import { ident, qualified, selectList, tableName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { allowsModel, type Scope } from '../auth.ts'

/** A row whose values are JSON-ready: times as ISO text, numbers as numbers, nested values as JSON. */
export type Row = Readonly<Record<string, unknown>>

/** Reads linked rows of one integration for a whole page at once. */
export interface Reader {
  /** Rows whose column holds one of the values (null ones are left out), in the order of their ids. Models out of scope give none. */
  by(model: ModelName, column: string, values: readonly unknown[], options: ReadOptions): Promise<Row[]>
}

export interface ReadOptions {
  readonly columns: readonly string[]
  /** Also rows that are gone; for references, which name what they name. Default false. */
  readonly deleted?: boolean
}

export function createReader(store: SqlStore, schema: string, scope: Scope, integrationId: string): Reader {
  return {
    async by(model, column, values, { columns, deleted }) {
      const wanted = [...new Set(values.filter((value) => typeof value === 'string'))]
      if (wanted.length === 0 || !allowsModel(scope, model)) return []
      const alive = deleted ? '' : ' and t.remote_deleted_at is null'
      return store.query(
        `select ${selectList(model, [...columns, 'id', column])} from ${qualified(schema, tableName(model))} t
where t.integration_id = $1 and t.${ident(column)} = any($2::text[])${alive} order by t.id`,
        [integrationId, wanted],
      )
    },
  }
}

export function groupBy(rows: readonly Row[], column: string): Map<unknown, Row[]> {
  const groups = new Map<unknown, Row[]>()
  for (const row of rows) {
    const group = groups.get(row[column])
    if (group) group.push(row)
    else groups.set(row[column], [row])
  }
  return groups
}

export function indexBy(rows: readonly Row[], column: string): Map<unknown, Row> {
  return new Map(rows.map((row) => [row[column], row]))
}

export const pluck = (rows: readonly Row[], column: string): unknown[] => rows.map((row) => row[column])
