import type { ModelName } from '@tidemark/model'
import { emailsLower, ident, type States } from '@tidemark/projection'
import { allowsModel, type Scope } from '../auth.ts'
import { choices, list, type Query, single, time } from '../params.ts'
import type { Where } from '../sql.ts'

/**
 * Adds the condition of one query parameter, when it is given. `$1` is the integration, `t` the listed records. Models out of scope are as if they had no
 * records.
 */
export type Filter = (query: Query, where: Where, states: States, scope: Scope) => void

/** Column holds one of the comma-separated values. */
export function anyOf(param: string, column: string, allowed?: readonly string[]): Filter {
  return (query, where) => {
    const values = allowed ? choices(query, param, allowed) : list(query, param)
    if (values) where.and(`t.${ident(column)} = any(${where.param(values)}::text[])`)
  }
}

/** Column is exactly the value. */
export function equals(param: string, column: string): Filter {
  return (query, where) => {
    const value = single(query, param)
    if (value !== undefined) where.and(`t.${ident(column)} = ${where.param(value)}`)
  }
}

/** Column is the value, whatever its case. */
export function equalsFolded(param: string, column: string): Filter {
  return (query, where) => {
    const value = single(query, param)
    if (value !== undefined) where.and(`lower(t.${ident(column)}) = lower(${where.param(value)})`)
  }
}

/** Column is one of the comma-separated values, whatever their case. */
export function anyOfFolded(param: string, column: string): Filter {
  return (query, where) => {
    const values = list(query, param)?.map((value) => value.toLowerCase())
    if (values) where.and(`lower(t.${ident(column)}) = any(${where.param(values)}::text[])`)
  }
}

/** Column holds the text anywhere, whatever its case. */
export function contains(param: string, column: string): Filter {
  return (query, where) => {
    const value = single(query, param)
    if (value !== undefined) where.and(`position(lower(${where.param(value)}) in lower(t.${ident(column)})) > 0`)
  }
}

/** Time column is at or after the value. */
export function since(param: string, column: string): Filter {
  return (query, where) => {
    const value = time(query, param)
    if (value !== undefined) where.and(`t.${ident(column)} >= ${where.param(value)}::timestamptz`)
  }
}

/** A linked, existing record holds one of the comma-separated values: `t.own in (select link … where column = any(…))`. */
export function linked(param: string, link: { own: string; model: ModelName; select: string; column: string }): Filter {
  return (query, where, states, scope) => {
    const values = list(query, param)
    if (!values) return
    if (!allowsModel(scope, link.model)) return where.and('false')
    where.and(
      `t.${ident(link.own)} in (select l.${ident(link.select)} from ${states.from(link.model, 'l')} ` +
        `where l.integration_id = $1 and ${states.holds('l')} and l.remote_deleted_at is null and l.${ident(link.column)} = any(${where.param(values)}::text[]))`,
    )
  }
}

/** One of the candidate's addresses is the value, whatever its case. */
export const byEmail: Filter = (query, where) => {
  const value = single(query, 'email')
  if (value === undefined) return
  const wanted = JSON.stringify([{ email_address: value.toLowerCase() }])
  where.and(`${emailsLower('t.')} @> ${where.param(wanted)}::jsonb`)
}
