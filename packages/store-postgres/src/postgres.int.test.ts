import { createServer, type Socket } from 'node:net'
import type { TidemarkError } from '@tidemark/base'
import { describe, expect, it } from 'vitest'
import { openPostgres, type PostgresStore } from './index.ts'
import { caught, STORE_FAILED, useDatabase } from './testing/fixture.ts'
import { postgresUrl } from './testing.ts'

const serverUrl = await postgresUrl()

describe.skipIf(serverUrl === undefined)('a store on a real server', () => {
  const fixture = useDatabase(serverUrl)
  const { openStore, newTable } = fixture

  describe('a statement that recurs', () => {
    const names = (store: PostgresStore): Promise<{ name: string }[]> =>
      store.query('SELECT name FROM pg_prepared_statements ORDER BY prepare_time')

    it('is planned once by a session, and reads the tables that have its name now', async () => {
      const store = await openStore({ connectionsMax: 1 })
      const table = await newTable(store)
      const sql = `SELECT * FROM ${table} WHERE id > $1 ORDER BY id`
      const read = (after: number): Promise<unknown[]> => store.query(sql, [after], { recurs: true })
      await store.query(`INSERT INTO ${table} VALUES (1, 'a'), (2, 'b')`)
      for (let n = 0; n < 3; n++) expect(await read(1)).toEqual([{ id: 2, v: 'b' }])
      expect(await names(store)).toEqual([])
      for (let n = 0; n < 10; n++) expect(await read(n % 3)).toHaveLength(2 - (n % 3))
      expect(await names(store)).toHaveLength(1)
      // As a rebuilt projection takes the place of the old one.
      await store.script(`ALTER TABLE ${table} RENAME TO ${table}_old;
        CREATE TABLE ${table} (LIKE ${table}_old); INSERT INTO ${table} VALUES (7, 'new')`)
      expect(await read(1)).toEqual([{ id: 7, v: 'new' }])
      // With another column the plan is refused.
      await store.script(`ALTER TABLE ${table} ADD COLUMN more text`)
      for (let n = 0; n < 10; n++) expect(await read(1)).toEqual([{ id: 7, v: 'new', more: null }])
    })

    it('is planned anew when a session has lost it', async () => {
      const store = await openStore({ connectionsMax: 1 })
      const read = (): Promise<unknown[]> => store.query('SELECT $1::int4 AS n', [5], { recurs: true })
      for (let n = 0; n < 5; n++) await read()
      expect(await names(store)).toHaveLength(1)
      await store.query('DEALLOCATE ALL')
      for (let n = 0; n < 5; n++) expect(await read()).toEqual([{ n: 5 }])
    })

    it('fails as any other, and is kept by a session fifty at most', async () => {
      const store = await openStore({ connectionsMax: 1 })
      for (let n = 0; n < 60; n++)
        for (let times = 0; times < 4; times++) await store.query(`SELECT ${n}, $1::int4`, [n], { recurs: true })
      expect(await names(store)).toHaveLength(50)
      const wrong = (): Promise<unknown> => caught(store.query('SELECT 1 / $1::int4', [0], { recurs: true }))
      for (let n = 0; n < 6; n++) expect(await wrong()).toMatchObject({ fields: { sqlState: '22012' } })
    })
  })

  describe('bounds time', () => {
    it('of a statement', async () => {
      const store = await openStore({ statementTimeoutMs: 50 })
      expect(await caught(store.query('SELECT pg_sleep(30)'))).toMatchObject({ fields: { sqlState: '57014' } })
    })

    it('of a pause within a transaction, so that a stopped process holds no locks', async () => {
      const store = await openStore({ idleTransactionTimeoutMs: 50 })
      const other = await openStore()
      const table = await newTable(store)
      await store.query(`INSERT INTO ${table} VALUES (1, 'a')`)
      const stopped = store.transaction(async (tx) => {
        await tx.query(`UPDATE ${table} SET v = 'zombie'`)
        // Waits for the lock, which only goes when the server ends the transaction.
        await other.query(`UPDATE ${table} SET v = 'successor'`)
        await tx.query('SELECT 1')
      })
      expect(await caught(stopped)).toMatchObject(STORE_FAILED)
      expect(await store.query(`SELECT v FROM ${table}`)).toEqual([{ v: 'successor' }])
    })

    it('of waiting for a session', async () => {
      const store = await openStore({ connectionsMax: 1, connectTimeoutMs: 100 })
      await store.transaction(async () => {
        expect(await caught(store.query('SELECT 1'))).toMatchObject(STORE_FAILED)
      })
    })

    it('of closing: what does not end is cut off and rolled back', async () => {
      const store = await openPostgres({ url: fixture.database.url, closeTimeoutMs: 50 })
      const table = await newTable(store)
      const endless = caught(
        store.transaction(async (tx) => {
          await tx.query(`INSERT INTO ${table} VALUES (1, 'a')`)
          await tx.query('SELECT pg_sleep(30)')
        }),
      )
      await store.query('SELECT 1')
      await store.close()
      expect(await endless).toMatchObject(STORE_FAILED)
      expect(await (await openStore()).query(`SELECT * FROM ${table}`)).toEqual([])
    })

    it('of a server that accepts and never answers', async () => {
      const sockets: Socket[] = []
      const silent = createServer((socket) => sockets.push(socket))
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
      const { port } = silent.address() as { port: number }
      const store = await openStore({ url: `postgres://u@127.0.0.1:${port}/d`, connectTimeoutMs: 50 })
      expect(await caught(store.query('SELECT 1'))).toMatchObject(STORE_FAILED)
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => silent.close(resolve))
    })
  })

  describe('a transaction', () => {
    it('runs statements that are not awaited one after another, before its COMMIT, and none afterwards', async () => {
      const store = await openStore()
      const table = await newTable(store)
      let late: Promise<unknown> = Promise.resolve()
      await store.transaction(async (tx) => {
        for (let id = 0; id < 20; id++) void tx.query(`INSERT INTO ${table} VALUES ($1, 'a')`, [id])
        setImmediate(() => {
          late = caught(tx.query(`INSERT INTO ${table} VALUES (99, 'late')`))
        })
      })
      await expect.poll(() => late).toMatchObject(STORE_FAILED)
      expect(await store.query(`SELECT count(*)::int4 AS n FROM ${table}`)).toEqual([{ n: 20 }])
    })

    it('is rolled back when a statement failed, though its error was caught and none came after it', async () => {
      const store = await openStore()
      const table = await newTable(store)
      const error = await caught(
        store.transaction(async (tx) => {
          await tx.query(`INSERT INTO ${table} VALUES (1, 'a')`)
          await tx.query('SELECT 1/0').catch(() => undefined)
        }),
      )
      expect(error).toMatchObject({ ...STORE_FAILED, fields: { sqlState: '22012' } })
      expect(await store.query(`SELECT * FROM ${table}`)).toEqual([])
    })

    it('keeps its COPY and its statements together', async () => {
      const store = await openStore()
      const table = await newTable(store)
      const mine = new RangeError('mine')
      const failing = store.transaction(async (tx) => {
        expect(await tx.copyRows({ schema: 'public', table, columns: ['id', 'v'] }, [[1, 'a']])).toBe(1)
        throw mine
      })
      expect(await caught(failing)).toBe(mine)
      await store.transaction(async (tx) => {
        await tx.copyRows({ table, columns: ['id', 'v'] }, [[1, 'a']])
        await tx.query(`UPDATE ${table} SET v = 'b'`)
      })
      expect(await store.query(`SELECT * FROM ${table}`)).toEqual([{ id: 1, v: 'b' }])
    })
  })

  describe('tells', () => {
    it('what the server refused, without the data in it', async () => {
      const store = await openStore()
      const table = await newTable(store, 'id int4 PRIMARY KEY, v text NOT NULL')
      for (const [sql, params] of [
        ['SELECT $1::int4', ['Frodo']],
        [`INSERT INTO ${table} VALUES (77123, NULL)`, []],
        [`INSERT INTO ${table} SELECT * FROM json_to_record($1) AS r(id int4, v text)`, ['{"v": "Frodo"}']],
        ['SELECT $1::jsonb', ['{"Frodo": ']],
      ] as const) {
        const error = await caught(store.query(sql, params))
        const seen = JSON.stringify([error.message, error.fields, { ...(error.cause as object) }, String(error.cause)])
        expect(seen).not.toMatch(/Frodo|Failing row/)
        expect((error.cause as { code: string }).code).toMatch(/^2[23]/)
      }
    })

    it('pg_stat_activity its name', async () => {
      const store = await openStore({ applicationName: 'tidemark projector' })
      expect(await store.query(`SELECT current_setting('application_name') AS name`)).toEqual([
        { name: 'tidemark projector' },
      ])
    })
  })

  describe('at open', () => {
    it.each(['', 'localhost/test', 'mysql://u:secret@h/d', 'postgres//u:secret@h/d'])(
      'refuses the URL "%s"',
      async (url) => {
        const error = await caught(openPostgres({ url }))
        expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
        expect(error.message).not.toContain('secret')
      },
    )

    it('refuses a database or a user that does not exist, without the password', async () => {
      const url = new URL(fixture.database.url)
      url.pathname = '/no_such_database'
      url.password = 'secret'
      const error = await caught(openPostgres({ url: url.href }))
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
      expect(error.message).toContain('no_such_database')
      expect(error.message).not.toContain('secret')
      url.username = 'no_such_user'
      expect(await caught(openPostgres({ url: url.href }))).toMatchObject({ code: 'CONFIG_INVALID' })
    })

    it('refuses a database that cannot hold every character', async () => {
      const name = `${fixture.database.name}_ascii`
      await fixture.database.admin(
        `CREATE DATABASE ${name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
      )
      const url = new URL(fixture.database.url)
      url.pathname = `/${name}`
      const error = await caught(openPostgres({ url: url.href }))
      await fixture.database.admin(`DROP DATABASE ${name} WITH (FORCE)`)
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('SQL_ASCII') })
    })

    it('does not wait for a server that is away, and works when it comes', async () => {
      const away = createServer()
      await new Promise<void>((resolve) => away.listen(0, '127.0.0.1', resolve))
      const { port } = away.address() as { port: number }
      await new Promise((resolve) => away.close(resolve))
      const url = new URL(fixture.database.url)
      const target = { host: url.hostname, port: Number(url.port || 5432) }
      url.host = `127.0.0.1:${port}`
      const told: TidemarkError[] = []
      const store = await openStore({ url: url.href, onSessionLost: (error) => told.push(error) })
      expect(told).toMatchObject([STORE_FAILED])
      expect(await caught(store.query('SELECT 1'))).toMatchObject(STORE_FAILED)
      const { connect } = await import('node:net')
      const proxy = createServer((socket) => {
        const upstream = connect(target.port, target.host)
        socket.pipe(upstream).pipe(socket)
        for (const end of [socket, upstream]) end.on('error', () => [socket, upstream].forEach((s) => void s.destroy()))
      })
      await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve))
      expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
      await store.close()
      await new Promise((resolve) => proxy.close(resolve))
    })
  })

  it('commits to disk, in UTC, whatever the database is set to', async () => {
    await fixture.database.admin(`ALTER DATABASE ${fixture.database.name} SET synchronous_commit = off`)
    await fixture.database.admin(`ALTER DATABASE ${fixture.database.name} SET timezone = 'Asia/Tokyo'`)
    await fixture.database.admin(`ALTER DATABASE ${fixture.database.name} SET bytea_output = 'escape'`)
    const store = await openStore()
    expect(
      await store.query(`SELECT current_setting('synchronous_commit') AS sync, '2026-03-01T09:00Z'::timestamptz AS at,
        '\\x00ff'::bytea AS bytes`),
    ).toEqual([{ sync: 'on', at: '2026-03-01 09:00:00+00', bytes: new Uint8Array([0, 255]) }])
  })
})
