/** For tests: a real PostgreSQL server, and databases of their own on it. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { openPostgres, type PostgresOptions, type PostgresStore } from './index.ts'

const LOCAL = 'postgres://postgres@127.0.0.1:5432/test'
const CONNECT_TIMEOUT_MS = 2000

/**
 * URL of a server where databases can be created: DATABASE_URL, which must answer, else 127.0.0.1:5432 when it does. Otherwise undefined,
 * after saying on stderr that the tests are skipped; with TIDEMARK_REQUIRE_POSTGRES=1, as in CI, it throws that instead.
 */
export async function postgresUrl(): Promise<string | undefined> {
  const configured = process.env['DATABASE_URL']
  const url = configured ?? LOCAL
  try {
    await withClient(url, (client) => client.query('SELECT 1'))
    return url
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (configured !== undefined)
      throw new Error(`DATABASE_URL is set, but its server cannot be used: ${reason}`, { cause: error })
    if (process.env['TIDEMARK_REQUIRE_POSTGRES'] === '1') {
      const hint = 'Start one, or set DATABASE_URL to one where databases can be created.'
      throw new Error(`TIDEMARK_REQUIRE_POSTGRES=1, but there is no PostgreSQL at ${url} (${reason}). ${hint}`, {
        cause: error,
      })
    }
    process.stderr.write(
      `\n!!! SKIPPED: the tests against PostgreSQL. There is none at ${LOCAL} (${reason}).\n` +
        '!!! Start one, or set DATABASE_URL to one where databases can be created.\n\n',
    )
    return undefined
  }
}

/** A database that exists for a test. */
export interface TestDatabase {
  readonly name: string
  readonly url: string
  /** Runs a statement as an administrator, on another session; for `pg_terminate_backend` and the like. */
  admin(sql: string, params?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** Drops it, whoever is still connected. */
  drop(): Promise<void>
}

/** Creates an empty database, beside the one that `serverUrl` names. */
export async function createTestDatabase(serverUrl: string): Promise<TestDatabase> {
  const name = `tidemark_test_${process.pid}_${randomBytes(4).toString('hex')}`
  await withClient(serverUrl, (client) => client.query(`CREATE DATABASE ${name} ENCODING 'UTF8' TEMPLATE template0`))
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return {
    name,
    url: url.href,
    admin: (sql, params = []) => withClient(serverUrl, async (client) => (await client.query(sql, [...params])).rows),
    drop: () =>
      withClient(serverUrl, async (client) => void (await client.query(`DROP DATABASE ${name} WITH (FORCE)`))),
  }
}

/**
 * A store on a database of its own, which closing drops: for tests that run over any store. Throws when there is no server, as whoever
 * asks for PostgreSQL by name should not pass without it.
 */
export async function openTemporaryStore(options: Omit<PostgresOptions, 'url'> = {}): Promise<PostgresStore> {
  const serverUrl = await postgresUrl()
  if (serverUrl === undefined) throw new Error('there is no PostgreSQL server to test with')
  const database = await createTestDatabase(serverUrl)
  const store = await openPostgres({ ...options, url: database.url })
  let closing: Promise<void> | undefined
  return {
    query: (sql, params) => store.query(sql, params),
    script: (sql) => store.script(sql),
    copyRows: (target, rows) => store.copyRows(target, rows),
    transaction: (work) => store.transaction(work),
    close() {
      closing ??= store.close().then(() => database.drop())
      return closing
    },
  }
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  // FORCE and shutdowns reach this session too; the statement under way tells it.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
