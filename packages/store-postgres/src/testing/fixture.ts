import type { TidemarkError } from '@tidemark/base'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { openPostgres, type PostgresOptions, type PostgresStore } from '../index.ts'
import { createTestDatabase, type TestDatabase } from '../testing.ts'

export interface Fixture {
  readonly database: TestDatabase
  /** Opens a store on the database; closed after the case. */
  openStore(options?: Partial<PostgresOptions>): Promise<PostgresStore>
  newTable(store: PostgresStore, columns?: string): Promise<string>
}

/** Registers a database for the cases of the surrounding `describe`, dropped after them. */
export function useDatabase(serverUrl: string | undefined): Fixture {
  let database: TestDatabase
  let tables = 0
  const open: PostgresStore[] = []
  beforeAll(async () => {
    database = await createTestDatabase(serverUrl!)
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close()))
  })
  afterAll(() => database.drop())
  return {
    get database() {
      return database
    },
    async openStore(options = {}) {
      const store = await openPostgres({ url: database.url, ...options })
      open.push(store)
      return store
    },
    async newTable(store, columns = 'id int4 PRIMARY KEY, v text') {
      const table = `t${++tables}`
      await store.script(`CREATE TABLE ${table} (${columns})`)
      return table
    },
  }
}

/** Process id of the session that a statement runs on. */
export const pid = async (runner: Pick<PostgresStore, 'query'>): Promise<number> =>
  (await runner.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]!.pid

/** Ends a session, and waits until its process is gone. */
export async function terminate({ database }: Fixture, backend: number): Promise<void> {
  await database.admin('SELECT pg_terminate_backend($1, 5000)', [backend])
}

/** What the work fails with; fails when it does not. */
export const caught = (work: Promise<unknown>): Promise<TidemarkError> =>
  work.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: TidemarkError) => error,
  )

export const STORE_FAILED = { code: 'STORE_FAILED', next: 'retry' }
