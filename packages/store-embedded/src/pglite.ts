import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PGlite, types } from '@electric-sql/pglite'
import { classify, lockDirectory, TidemarkError } from '@tidemark/base'
import type { Row, SqlRunner, SqlStore, SqlValue } from '@tidemark/store'
import { createDatabase } from './create.ts'
import { DurableFS, durableParameters, syncTree } from './durable-fs.ts'

export interface PgliteOptions {
  /** Directory of the database, created when missing; `memory` keeps it in memory and forgets it on close. */
  readonly dataDir: string
}

const asText = (value: string): string => value
/** Types whose values do not fit a JS value without loss, or would depend on the driver. Arrays of them follow. */
const PARSERS = Object.fromEntries(
  [
    types.INT8,
    types.NUMERIC,
    types.DATE,
    types.TIME,
    types.TIMETZ,
    types.TIMESTAMP,
    types.TIMESTAMPTZ,
    types.INTERVAL,
  ].map((type) => [type, asText]),
)

const MARKER = 'tidemark-store.json'
const FORMAT = { format: 1, postgres: '18' } as const

/**
 * Opens PostgreSQL in this process. One process at a time; the first opening of a directory takes some seconds. Throws
 * DATA_DIRECTORY_LOCKED while another process has it, DATA_DIRECTORY_CORRUPT when it cannot be read.
 */
export async function openPglite({ dataDir }: PgliteOptions): Promise<SqlStore> {
  if (dataDir === 'memory') {
    const startParams = durableParameters(PGlite.defaultStartParams)
    return new PgliteStore(
      await PGlite.create('memory://', { parsers: PARSERS, startParams }),
      'memory',
      () => undefined,
    )
  }
  const directory = resolve(dataDir)
  const lock = lockDirectory(directory)
  try {
    return new PgliteStore(await openDirectory(directory), directory, () => lock.release())
  } catch (error) {
    lock.release()
    throw error
  }
}

/** The marker is written last: a directory without one was being created when the process ended, and nothing was ever stored in it. */
async function openDirectory(directory: string): Promise<PGlite> {
  const path = join(directory, 'pglite')
  const marker = join(directory, MARKER)
  const exists = existsSync(marker)
  if (exists) checkMarker(directory, readFileSync(marker, 'utf8'))
  else rmSync(path, { recursive: true, force: true })
  if (exists && !existsSync(join(path, 'PG_VERSION'))) throw corrupt(directory, `${path} is missing or not a database`)
  if (!exists) await create(directory, path, marker)
  try {
    const startParams = durableParameters(PGlite.defaultStartParams)
    return await PGlite.create({ fs: new DurableFS(path), parsers: PARSERS, startParams, relaxedDurability: false })
  } catch (error) {
    throw corrupt(directory, messageOf(error), error)
  }
}

async function create(directory: string, path: string, marker: string): Promise<void> {
  try {
    mkdirSync(path, { recursive: true })
    await createDatabase(path)
    writeFileSync(marker, `${JSON.stringify(FORMAT)}\n`)
    syncTree(directory)
  } catch (error) {
    const { code } = classify(error)
    const message = `The SQL store in ${directory} could not be created: ${messageOf(error)}.`
    throw new TidemarkError(code === 'DISK_FULL' ? code : 'STORE_FAILED', message, {
      cause: error,
      fields: { directory },
    })
  }
}

function checkMarker(directory: string, text: string): void {
  let found: Partial<typeof FORMAT>
  try {
    found = JSON.parse(text) as Partial<typeof FORMAT>
  } catch (error) {
    throw corrupt(directory, `${MARKER} is damaged`, error)
  }
  if (found.format === FORMAT.format && found.postgres === FORMAT.postgres) return
  throw corrupt(
    directory,
    `it has format ${found.format} of PostgreSQL ${found.postgres}, and this version reads format ${FORMAT.format} of PostgreSQL ${FORMAT.postgres}`,
  )
}

function corrupt(directory: string, what: string, cause?: unknown): TidemarkError {
  return new TidemarkError(
    'DATA_DIRECTORY_CORRUPT',
    `The SQL store in ${directory} cannot be opened: ${what}. Restore it from a backup, or remove it: it is rebuilt from the log.`,
    { fields: { directory }, ...(cause === undefined ? {} : { cause }) },
  )
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

interface Runner {
  query<T>(sql: string, params?: unknown[]): Promise<{ rows: T[] }>
}

class PgliteStore implements SqlStore {
  readonly #db: PGlite
  readonly #where: string
  readonly #release: () => void
  #closing: Promise<void> | undefined

  constructor(db: PGlite, where: string, release: () => void) {
    this.#db = db
    this.#where = where
    this.#release = release
  }

  query<T extends Row = Row>(sql: string, params: readonly SqlValue[] = []): Promise<T[]> {
    return this.#run(this.#db, sql, params)
  }

  /**
   * Transactions, and statements outside of them, run one after another. `work` must use its `tx` only: a statement of the store itself
   * waits for the transaction to end, and the transaction would wait for it.
   */
  async transaction<T>(work: (tx: SqlRunner) => Promise<T>): Promise<T> {
    this.#checkOpen('BEGIN')
    // What `work` throws is told apart from a failing BEGIN or COMMIT, which is the store's.
    let thrown: { readonly error: unknown } | undefined
    try {
      return await this.#db.transaction(async (tx) => {
        try {
          return await work({ query: (sql, params = []) => this.#run(tx, sql, params) })
        } catch (error) {
          thrown = { error }
          throw error
        }
      })
    } catch (error) {
      throw thrown ? thrown.error : failed('COMMIT', this.#where, error)
    }
  }

  async script(sql: string): Promise<void> {
    this.#checkOpen(sql)
    try {
      await this.#db.exec(sql)
    } catch (error) {
      throw failed(sql, this.#where, error)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#db.close().finally(this.#release)
    return this.#closing
  }

  async #run<T extends Row>(runner: Runner, sql: string, params: readonly SqlValue[]): Promise<T[]> {
    this.#checkOpen(sql)
    try {
      return (await runner.query<T>(sql, [...params])).rows
    } catch (error) {
      throw failed(sql, this.#where, error)
    }
  }

  #checkOpen(sql: string): void {
    if (this.#closing) throw failed(sql, this.#where, new Error('the store is closed'))
  }
}

const DISK_FULL = '53100'
const DATA_CORRUPTED = new Set(['XX001', 'XX002'])

/** Parameters are left out of the message: they are people's data. */
function failed(sql: string, where: string, error: unknown): TidemarkError {
  const sqlState = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : null
  const statement = sql.trim().replaceAll(/\s+/g, ' ').slice(0, 200)
  const cause = withoutData(error, sqlState)
  const message = `The SQL store (${where}) refused a statement: ${cause.message}. Statement: ${statement}`
  const code =
    sqlState === DISK_FULL
      ? 'DISK_FULL'
      : sqlState !== null && DATA_CORRUPTED.has(sqlState)
        ? 'DATA_DIRECTORY_CORRUPT'
        : 'STORE_FAILED'
  return new TidemarkError(code, message, { cause, fields: { sqlState, statement } })
}

/** The refusal as a new error: PGlite's own carries the parameters, and class 22 ends its message with the offending value. */
function withoutData(error: unknown, sqlState: string | null): Error {
  const text = messageOf(error)
  const message = sqlState?.startsWith('22') ? text.replace(/: ".*$/s, '') : text
  return Object.assign(new Error(message), { name: 'DatabaseError', code: sqlState })
}
