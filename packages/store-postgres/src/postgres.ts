import { TidemarkError } from '@tidemark/base'
import type { CopyRows, CopyTarget, QueryOptions, Row, SqlStore, SqlValue } from '@tidemark/store'
import type { Pool } from 'pg'
import { copyInto, copySql, SourceFailure } from './copy.ts'
import { failed } from './errors.ts'
import { type PostgresOptions, type Settings, settingsOf } from './options.ts'
import { isOutdated, PreparedNames } from './prepared.ts'
import { createPool, Session } from './session.ts'
import { type PostgresRunner, Transaction } from './transaction.ts'

/** The SQL store on a PostgreSQL server: with COPY, which the port leaves open. */
export interface PostgresStore extends SqlStore {
  copyRows(target: CopyTarget, rows: CopyRows): Promise<number>
  transaction<T>(work: (tx: PostgresRunner) => Promise<T>): Promise<T>
}

/** Invalid authorization, and a database that does not exist: trying again does not help. */
const REFUSED_FOR_GOOD = /^(28...|3D000)$/

/**
 * Opens a store on a PostgreSQL server (14 or newer, UTF-8). Throws CONFIG_INVALID when the URL, user, password or database is refused. A
 * server that cannot be reached is no reason to fail: `onSessionLost` is told, and every call fails with STORE_FAILED until it is there.
 */
export async function openPostgres(options: PostgresOptions): Promise<PostgresStore> {
  const settings = settingsOf(options)
  const store = new PooledStore(settings, createPool(settings))
  try {
    await store.query('SELECT 1')
  } catch (error) {
    const { code, message, fields } = error as TidemarkError
    const sqlState = String(fields['sqlState'])
    if (code !== 'CONFIG_INVALID' && !REFUSED_FOR_GOOD.test(sqlState)) {
      settings.onSessionLost(error as TidemarkError)
      return store
    }
    await store.close()
    if (code === 'CONFIG_INVALID') throw error
    throw new TidemarkError('CONFIG_INVALID', `${message}. Check user, password and database of the PostgreSQL URL`, {
      cause: error,
      fields: { sqlState },
    })
  }
  return store
}

class PooledStore implements PostgresStore {
  readonly #settings: Settings
  readonly #pool: Pool
  readonly #sessions = new Set<Session>()
  readonly #running = new Set<Promise<unknown>>()
  readonly #prepared = new PreparedNames()
  #closing: Promise<void> | undefined

  constructor(settings: Settings, pool: Pool) {
    this.#settings = settings
    this.#pool = pool
  }

  query<T extends Row = Row>(
    sql: string,
    params: readonly SqlValue[] = [],
    { recurs = false }: QueryOptions = {},
  ): Promise<T[]> {
    const name = recurs ? this.#prepared.use(sql) : undefined
    return this.#statement(sql, async (session) => {
      try {
        return (await session.query(sql, params, name)).rows as T[]
      } catch (error) {
        if (name === undefined || !isOutdated(error)) throw error
        // Refused before anything was done: its tables are others now.
        this.#prepared.forget(sql)
        return (await session.query(sql, params)).rows as T[]
      }
    })
  }

  script(sql: string): Promise<void> {
    return this.#statement(sql, async (session) => {
      await session.run(() => session.client.query(sql))
    })
  }

  copyRows(target: CopyTarget, rows: CopyRows): Promise<number> {
    const sql = copySql(target)
    return this.#statement(sql, (session) => session.run(() => copyInto(session.client, sql, rows)))
  }

  /** The session is this transaction's own; a statement of the store itself inside of `work` takes another one, and may wait for it. */
  transaction<T>(work: (tx: PostgresRunner) => Promise<T>): Promise<T> {
    return this.#withSession('BEGIN', (session) => new Transaction(session, this.#settings.where).execute(work))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** One statement, or script, in a transaction of its own. */
  #statement<T>(sql: string, run: (session: Session) => Promise<T>): Promise<T> {
    return this.#withSession(sql, async (session) => {
      try {
        return await run(session)
      } catch (error) {
        // The refusal comes before the session is idle again; an empty statement waits for that.
        if (!session.gone) await session.query('', []).catch(() => session.abort())
        throw error instanceof SourceFailure ? error.error : failed(sql, this.#settings.where, error)
      }
    })
  }

  #withSession<T>(sql: string, work: (session: Session) => Promise<T>): Promise<T> {
    if (this.#closing) return Promise.reject(failed(sql, this.#settings.where, new Error('the store is closed')))
    if (this.#pool.waitingCount >= this.#settings.waitingMax) return Promise.reject(this.#overloaded())
    const running = this.#acquire(sql).then(async (session) => {
      try {
        return await work(session)
      } finally {
        session.release()
        this.#sessions.delete(session)
      }
    })
    this.#running.add(running)
    const forget = (): void => {
      this.#running.delete(running)
    }
    running.then(forget, forget)
    return running
  }

  async #acquire(sql: string): Promise<Session> {
    try {
      const session = new Session(await this.#pool.connect())
      this.#sessions.add(session)
      return session
    } catch (error) {
      throw failed(sql, this.#settings.where, error)
    }
  }

  #overloaded(): TidemarkError {
    const { waitingMax, connectionsMax, where } = this.#settings
    return new TidemarkError(
      'OVERLOADED',
      `${waitingMax} calls wait for one of ${connectionsMax} sessions of PostgreSQL (${where}) already; try again later, or allow more`,
    )
  }

  /** What runs may end, within the time it has; then it is cut off, and the server rolls it back. */
  async #close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#settings.closeTimeoutMs)
    })
    await Promise.race([Promise.allSettled([...this.#running]), late])
    clearTimeout(timer)
    for (const session of this.#sessions) session.abort()
    await this.#pool.end()
  }
}
