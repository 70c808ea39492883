export type SqlValue = string | number | boolean | null | Uint8Array | readonly (string | number | null)[]

/** One row: int8, numeric and timestamps come as text unless cast in the statement; int4, float8, bool, json as JS values. */
export type Row = Record<string, unknown>

export interface QueryOptions {
  /** The same text comes again and again, with other parameters: it may be parsed and planned once. Makes no other difference. */
  readonly recurs?: boolean
}

export interface SqlRunner {
  /** Runs one statement with `$1`-style parameters and returns its rows. JSON parameters are passed as text and cast in SQL. */
  query<T extends Row = Row>(sql: string, params?: readonly SqlValue[], options?: QueryOptions): Promise<T[]>
  /**
   * Copies rows into a table with `COPY … FROM STDIN`, and returns how many. All or nothing: a row that a constraint refuses refuses them
   * all. It only inserts; to replace rows, copy into a temporary table and go on in SQL from there. What `rows` throws comes back
   * unchanged. The whole COPY counts as one statement. A store that has it has sessions too: its transactions run beside each other.
   */
  copyRows?(target: CopyTarget, rows: CopyRows): Promise<number>
}

/** The table rows are copied into, and the columns that they fill. */
export interface CopyTarget {
  readonly schema?: string
  readonly table: string
  readonly columns: readonly string[]
}

/** Values of one row, in the order of the columns; as text they are read as the column's type, JSON included. */
export type CopyRow = readonly SqlValue[]
export type CopyRows = Iterable<CopyRow> | AsyncIterable<CopyRow>

/** PostgreSQL, in this process (PGlite) or beside it. Contract suite: `@tidemark/store/contract`. */
export interface SqlStore extends SqlRunner {
  /** Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Durable when resolved. */
  transaction<T>(work: (tx: SqlRunner) => Promise<T>): Promise<T>
  /** Runs a script of several statements, without parameters. */
  script(sql: string): Promise<void>
  close(): Promise<void>
}
