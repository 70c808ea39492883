import { TidemarkError } from '@tidemark/base'
import { DatabaseError } from 'pg'

const STATEMENT_CHARS_MAX = 200

/**
 * What the database, or the way to it, refused: STORE_FAILED with the statement's beginning and the database's reason. What people's
 * data may stand in is left out: parameters, the offending value, PostgreSQL's detail ("Failing row contains …"). `fields.sqlState` is
 * null when the connection failed. An error that is a TidemarkError already stays itself.
 */
export function failed(sql: string, where: string, error: unknown, outcome = ''): TidemarkError {
  if (error instanceof TidemarkError) return error
  const statement = sql.trim().replaceAll(/\s+/g, ' ').slice(0, STATEMENT_CHARS_MAX)
  const cause = error instanceof DatabaseError ? withoutData(error) : error
  const message = `PostgreSQL (${where}) refused a statement: ${reasonOf(cause)}.${outcome} Statement: ${statement}`
  return new TidemarkError('STORE_FAILED', message, { cause, fields: { sqlState: sqlStateOf(error), statement } })
}

/** The five-character code of a refusal by the server itself; null for anything else. */
export function sqlStateOf(error: unknown): string | null {
  return error instanceof DatabaseError ? (error.code ?? null) : null
}

/** The reason in words. A refused connection to a name with several addresses has no message of its own. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}

/** The server's refusal as a new error, without what quotes data. */
function withoutData(error: DatabaseError): Error {
  const code = error.code ?? ''
  // Class 22 ends its message with the value: invalid input syntax for type integer: "Frodo".
  const message = code.startsWith('22') ? error.message.replace(/: ".*$/s, '') : error.message
  const { severity, schema, table, column, constraint, hint, position, routine } = error
  const kept = { severity, schema, table, column, constraint, hint, position, routine }
  return Object.assign(new Error(message), { name: 'DatabaseError', code, ...kept })
}
