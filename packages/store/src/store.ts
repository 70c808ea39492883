export type SqlValue = string | number | boolean | null | Uint8Array | readonly (string | number | null)[]

/** One row: int8, numeric and timestamps come as text unless cast in the statement; int4, float8, bool, json as JS values. */
export type Row = Record<string, unknown>

export interface SqlRunner {
  /** Runs one statement with `$1`-style parameters and returns its rows. JSON parameters are passed as text and cast in SQL. */
  query<T extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<T[]>
}

/** PostgreSQL, in this process (PGlite) or beside it. Contract suite: `@tidemark/store/contract`. */
export interface SqlStore extends SqlRunner {
  /** Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Durable when resolved. */
  transaction<T>(work: (tx: SqlRunner) => Promise<T>): Promise<T>
  /** Runs a script of several statements, without parameters. */
  script(sql: string): Promise<void>
  close(): Promise<void>
}
