import type { ModelName } from '@tidemark/model'
import { ident, statesAsOf, statesNow } from '@tidemark/projection'
import type { SqlStore, SqlValue } from '@tidemark/store'
import { allowsModel, type Scope } from '../auth.ts'
import { columnLists, type Row } from './columnLists.ts'

export type { Row }

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
  /** What came with the page, by {@link linkedKey}: all rows that hold any value of it. */
  readonly linked?: ReadonlyMap<string, readonly Row[]>
}

/** Names what is asked for: rows with other columns, or with deleted ones too, are something else. */
export const linkedKey = (model: ModelName, column: string, { columns, deleted = false }: ReadOptions): string =>
  `${model}.${column} ${columns.join(',')} ${deleted}`

interface Wanted extends ReadOptions {
  readonly model: ModelName
  readonly column: string
  readonly values: readonly string[]
  readonly resolve: (rows: Row[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Reads that are asked for in one turn of the event loop go to the database as one statement: seven
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
      const known = input.linked?.get(linkedKey(model, column, options))
      if (known) return Promise.resolve(known.filter(isAmong(column, wanted)))
      return new Promise((resolve, reject) => {
        if (waiting.length === 0) queueMicrotask(flush)
        waiting.push({ ...options, model, column, values: wanted, resolve, reject })
      })
    },
  }
}

async function read({ store, schema, integrationId, asOf }: ReaderInput, wanted: readonly Wanted[]): Promise<Row[][]> {
  const parameters: SqlValue[] = asOf === undefined ? [integrationId] : [integrationId, asOf]
  const place = placeholders(parameters)
  const states = asOf === undefined ? statesNow(schema) : statesAsOf(schema, '$2::timestamptz')
  const lists = wanted.map(({ model, column, columns }) => columnLists(model, [...columns, 'id', column]))
  const parts = wanted.map(({ model, column, values, deleted }, i) => {
    const alive = deleted ? '' : ' and t.remote_deleted_at is null'
    return `select ${i} as part, ${lists[i]?.lists} as lists from (
select ${lists[i]?.columns} from ${states.from(model, 't')}
where t.integration_id = $1 and t.${ident(column)} = any(${place(values)}::text[]) and ${states.holds('t')}${alive} order by t.id) r`
  })
  const found = await store.query<{ part: number; lists: unknown }>(parts.join('\nunion all\n'), parameters, {
    recurs: true,
  })
  const byPart = new Map(found.map(({ part, lists }) => [part, lists]))
  return lists.map((list, i) => list.rows(byPart.get(i)))
}

function isAmong(column: string, values: readonly string[]): (row: Row) => boolean {
  const among = new Set<unknown>(values)
  return (row) => among.has(row[column])
}

/** Gives lists their placeholders among the parameters. Equal ones share one: to write a list costs more than to compare it. */
function placeholders(parameters: SqlValue[]): (values: readonly string[]) => string {
  const known: { readonly values: readonly string[]; readonly place: string }[] = []
  return (values) => {
    const same = known.find((one) => isSame(one.values, values))
    if (same) return same.place
    const place = `$${parameters.push(values)}`
    known.push({ values, place })
    return place
  }
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i])

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
