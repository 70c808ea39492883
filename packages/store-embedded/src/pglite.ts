import { PGlite, types } from '@electric-sql/pglite'
import { type DirectoryLock, lockDirectory, TidemarkError } from '@tidemark/base'
import type { Row, SqlRunner, SqlStore, SqlValue } from '@tidemark/store'

export interface PgliteOptions {
  /** Directory of the database; created when missing. `memory` keeps nothing. */
  readonly dataDir: string
}

const text = (value: string): string => value

/** As the port says: what JavaScript's numbers and dates cannot hold exactly comes as text. */
const PARSERS = {
  [types.INT8]: text,
  [types.NUMERIC]: text,
  [types.TIMESTAMP]: text,
  [types.TIMESTAMPTZ]: text,
  [types.DATE]: text,
}

const STATEMENT_SHOWN = 200

interface Queryable {
  query(
    sql: string,
    params?: unknown[],
    options?: { readonly parsers?: typeof PARSERS },
  ): Promise<{ readonly rows: unknown[] }>
}

/**
 * Opens PostgreSQL in this process. One connection: transactions run one after another, and statements outside of one wait for it.
 * Every commit is on disk when it resolves. Throws DATA_DIRECTORY_LOCKED while another process has the directory, DATA_DIRECTORY_CORRUPT
 * when it cannot be opened; statements throw STORE_FAILED.
 */
export async function openPglite({ dataDir }: PgliteOptions): Promise<SqlStore> {
  if (dataDir === 'memory') return new PgliteStore(await PGlite.create(), undefined)
  const lock = lockDirectory(`${dataDir}.lock`)
  try {
    return new PgliteStore(await PGlite.create({ dataDir, relaxedDurability: false }), lock)
  } catch (error) {
    lock.release()
    throw new TidemarkError(
      'DATA_DIRECTORY_CORRUPT',
      `${dataDir} cannot be opened as a database (${(error as Error).message}); delete it: the tables are rebuilt from the log`,
      { cause: error },
    )
  }
}

class PgliteStore implements SqlStore {
  readonly #db: PGlite
  readonly #lock: DirectoryLock | undefined

  constructor(db: PGlite, lock: DirectoryLock | undefined) {
    this.#db = db
    this.#lock = lock
  }

  query<T extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<T[]> {
    return run<T>(this.#db, sql, params)
  }

  async transaction<T>(work: (tx: SqlRunner) => Promise<T>): Promise<T> {
    return (await this.#db.transaction((tx) => work({ query: (sql, params) => run(tx, sql, params) }))) as T
  }

  async script(sql: string): Promise<void> {
    try {
      await this.#db.exec(sql)
    } catch (error) {
      throw failed(error, sql)
    }
  }

  async close(): Promise<void> {
    if (this.#db.closed) return
    await this.#db.close()
    this.#lock?.release()
  }
}

async function run<T extends Row>(db: Queryable, sql: string, params: readonly SqlValue[] = []): Promise<T[]> {
  try {
    return (await db.query(sql, [...params], { parsers: PARSERS })).rows as T[]
  } catch (error) {
    throw failed(error, sql)
  }
}

function failed(error: unknown, sql: string): TidemarkError {
  const message = error instanceof Error ? error.message : String(error)
  const shown = sql.length > STATEMENT_SHOWN ? `${sql.slice(0, STATEMENT_SHOWN)}…` : sql
  return new TidemarkError('STORE_FAILED', `${message}, in: ${shown.replace(/\s+/g, ' ')}`, { cause: error })
}
