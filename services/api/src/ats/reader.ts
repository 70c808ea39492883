import type { ModelName } from '@tidemark/model'
import { ident, selectList, statesAsOf, statesNow } from '@tidemark/projection'
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

export interface ReaderInput {
  readonly store: SqlStore
  readonly schema: string
  readonly scope: Scope
  readonly integrationId: string
  /** Rows are as they were at this time; undefined: as they are. */
  readonly asOf?: string | undefined
}

interface Wanted extends ReadOptions {
  readonly model: ModelName
  readonly column: string
  readonly values: readonly string[]
  readonly resolve: (rows: Row[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Reads that are asked for in one turn of the event loop go to the database as one statement, each as a list of JSON rows: seven
 * statements of their own cost this process more than the database needs to carry them out.
 */
export function createReader(input: ReaderInput): Reader {
  let waiting: Wanted[] = []
  const flush = (): void => {
    const wanted = waiting
    waiting = []
    read(input, wanted).then(
      (lists) => {
        for (const [i, { resolve }] of wanted.entries()) resolve(lists[i] ?? [])
      },
      (error: unknown) => {
        for (const { reject } of wanted) reject(error)
      },
    )
  }
  return {
    by(model, column, values, options) {
      const wanted = [...new Set(values.filter((value) => typeof value === 'string'))]
      if (wanted.length === 0 || !allowsModel(input.scope, model)) return Promise.resolve([])
      return new Promise((resolve, reject) => {
        if (waiting.length === 0) queueMicrotask(flush)
        waiting.push({ ...options, model, column, values: wanted, resolve, reject })
      })
    },
  }
}

async function read({ store, schema, integrationId, asOf }: ReaderInput, wanted: readonly Wanted[]): Promise<Row[][]> {
  const time = asOf === undefined ? [] : [asOf]
  const states = asOf === undefined ? statesNow(schema) : statesAsOf(schema, '$2::timestamptz')
  const parts = wanted.map(({ model, column, columns, deleted }, i) => {
    const select = selectList(model, [...columns, 'id', column])
    const alive = deleted ? '' : ' and t.remote_deleted_at is null'
    const values = `$${i + 2 + time.length}::text[]`
    return `select ${i} as part, coalesce(json_agg(r), '[]') as rows from (
select ${select} from ${states.from(model, 't')}
where t.integration_id = $1 and t.${ident(column)} = any(${values}) and ${states.holds('t')}${alive} order by t.id) r`
  })
  const parameters = [integrationId, ...time, ...wanted.map(({ values }) => values)]
  const lists = await store.query<{ part: number; rows: Row[] }>(parts.join('\nunion all\n'), parameters)
  const byPart = new Map(lists.map(({ part, rows }) => [part, rows]))
  return wanted.map((_, i) => byPart.get(i) ?? [])
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
