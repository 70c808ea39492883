import type { ModelName } from '@tidemark/model'
import { type Column, ident, TABLES } from '@tidemark/projection'

/** A row whose values are JSON-ready: times as ISO text, numbers as numbers, nested values as JSON. */
export type Row = Readonly<Record<string, unknown>>

/**
 * Reads rows as one JSON list of each column. A page of 250 records has thousands of values: one by one they cost this process twice as
 * much to take from the wire, and as JSON objects PostgreSQL four times as much to write.
 */
export interface ColumnLists {
  /** Selects the columns of the model's table `t`. */
  readonly columns: string
  /** Selects the lists from a query of those columns, under the alias `r`. */
  readonly lists: string
  /** The rows that a value of `lists` stands for. */
  rows(lists: unknown): Row[]
}

/** For some columns of a model's table, named in any order. */
export function columnLists(model: ModelName, names: readonly string[]): ColumnLists {
  const chosen = TABLES[model].columns.filter(({ name }) => names.includes(name))
  return {
    columns: chosen.map(selected).join(', '),
    lists: `json_build_array(${chosen.map(({ name }) => `json_agg(r.${ident(name)})`).join(', ')})`,
    rows: (lists) => rowsOf(chosen, lists as readonly (readonly unknown[] | null)[]),
  }
}

/** In UTC whatever the session's zone is. */
function selected({ name, type }: Column): string {
  const column = ident(name)
  return type === 'timestamptz' ? `t.${column} at time zone 'UTC' as ${column}` : `t.${column}`
}

/** No rows at all are no lists: the aggregate of nothing is null. */
function rowsOf(columns: readonly Column[], lists: readonly (readonly unknown[] | null)[]): Row[] {
  const rows: Record<string, unknown>[] = (lists[0] ?? []).map(() => ({}))
  for (const [i, { name, type }] of columns.entries()) {
    const list = lists[i] ?? []
    const isTime = type === 'timestamptz'
    for (const [n, row] of rows.entries()) {
      const value = list[n] ?? null
      row[name] = isTime && value !== null ? isoOf(value as string) : value
    }
  }
  return rows
}

const SECONDS = '2026-01-01T00:00:00'.length
const MILLISECONDS = '2026-01-01T00:00:00.000'.length

/** A time in UTC as JSON of PostgreSQL holds it, without zeros at its end, with milliseconds and its zone. */
export function isoOf(text: string): string {
  if (text.length === MILLISECONDS) return `${text}Z`
  if (text.length === SECONDS) return `${text}.000Z`
  return `${text.slice(0, MILLISECONDS).padEnd(MILLISECONDS, '0')}Z`
}
