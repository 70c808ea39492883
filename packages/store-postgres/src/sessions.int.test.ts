import type { TidemarkError } from '@tidemark/base'
import { describe, expect, it } from 'vitest'
import { openPostgres } from './index.ts'
import { caught, pid, STORE_FAILED, terminate, useDatabase } from './testing/fixture.ts'
import { postgresUrl } from './testing.ts'

const serverUrl = await postgresUrl()

describe.skipIf(serverUrl === undefined)('the sessions of a store', () => {
  const fixture = useDatabase(serverUrl)
  const { openStore, newTable } = fixture

  describe('whose session is ended by the server', () => {
    it('goes on with another one when nobody used it, and tells', async () => {
      const lost: TidemarkError[] = []
      const store = await openStore({ connectionsMax: 1, onSessionLost: (error) => lost.push(error) })
      const before = await pid(store)
      await terminate(fixture, before)
      await expect.poll(() => lost.length).toBeGreaterThan(0)
      expect(lost[0]).toMatchObject(STORE_FAILED)
      expect(await pid(store)).not.toBe(before)
    })

    it('fails the statement that ran, and goes on', async () => {
      const store = await openStore({ connectionsMax: 2 })
      const running = caught(store.query('SELECT pg_sleep(30), pg_backend_pid()'))
      const sleeping = async () =>
        await fixture.database.admin(
          `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'SELECT pg_sleep%'`,
          [fixture.database.name],
        )
      await expect.poll(async () => (await sleeping()).length).toBe(1)
      await terminate(fixture, (await sleeping())[0]!['pid'] as number)
      expect(await running).toMatchObject({ ...STORE_FAILED, fields: { sqlState: '57P01' } })
      expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    })

    it('fails its transaction, of which nothing is left, with the reason, and goes on', async () => {
      const store = await openStore({ connectionsMax: 1 })
      const table = await newTable(store)
      const error = await caught(
        store.transaction(async (tx) => {
          await tx.query(`INSERT INTO ${table} VALUES (1, 'a')`)
          await terminate(fixture, await pid(tx))
          await tx.query(`INSERT INTO ${table} VALUES (2, 'b')`)
        }),
      )
      expect(error).toMatchObject(STORE_FAILED)
      expect(error.message).toMatch(/terminating connection|terminated unexpectedly|ECONNRESET|EPIPE/)
      expect(await store.query(`SELECT * FROM ${table}`)).toEqual([])
    })

    it('says that the outcome is not known when it was lost before the answer to COMMIT', async () => {
      const store = await openStore({ connectionsMax: 1 })
      const error = await caught(
        store.transaction(async (tx) => {
          await terminate(fixture, await pid(tx))
        }),
      )
      expect(error.message).toContain('Whether it was committed is not known')
    })

    it('survives all of its sessions being ended again and again under load', async () => {
      const store = await openStore({ connectionsMax: 4 })
      const table = await newTable(store, 'worker int4, n int4')
      let over = false
      const committed = [0, 0, 0, 0]
      const possible = [0, 0, 0, 0]
      const worker = async (id: number): Promise<void> => {
        while (!over) {
          let next = 0
          const work = store.transaction(async (tx) => {
            const [row] = await tx.query<{ n: number }>(
              `SELECT coalesce(max(n), 0) AS n FROM ${table} WHERE worker = $1`,
              [id],
            )
            // What was acknowledged is there, and nothing of what failed, but for what the error called not known.
            if (row!.n < committed[id]! || row!.n > possible[id]!)
              throw new RangeError(`${row!.n} is not from ${committed[id]} to ${possible[id]}`)
            next = row!.n + 1
            await tx.query(`INSERT INTO ${table} VALUES ($1, $2), ($1, $2)`, [id, next])
          })
          await work.then(
            () => {
              committed[id] = next
              possible[id] = next
            },
            (error: TidemarkError) => {
              expect(error).toMatchObject(STORE_FAILED)
              if (error.message.includes('Whether it was committed is not known')) possible[id] = next
            },
          )
        }
      }
      const workers = Promise.all([0, 1, 2, 3].map(worker))
      for (let kills = 0; kills < 15; kills++) {
        const before = committed.reduce((a, b) => a + b, 0)
        await expect
          .poll(() => committed.reduce((a, b) => a + b, 0), { interval: 5, timeout: 20_000 })
          .toBeGreaterThan(before)
        await fixture.database.admin(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tidemark'`,
          [fixture.database.name],
        )
      }
      over = true
      await workers
      const odd = await store.query(`SELECT worker, n FROM ${table} GROUP BY 1, 2 HAVING count(*) <> 2`)
      expect(odd).toEqual([])
      expect(await fixture.database.admin('SELECT 1 AS up')).toEqual([{ up: 1 }])
    })
  })

  describe('keeps its sessions', () => {
    it('over statements, scripts, transactions and copies that fail', async () => {
      const store = await openStore({ connectionsMax: 1 })
      const table = await newTable(store)
      const before = await pid(store)
      const refused: (() => Promise<unknown>)[] = [
        () => store.query('SELEC'),
        () => store.script(`BEGIN; SELECT 1; SELEC`),
        () => store.transaction((tx) => tx.query('SELECT 1/0')),
        () => store.copyRows({ table, columns: ['id'] }, [['one']]),
        () => store.copyRows({ table: 'missing', columns: ['id'] }, [[1]]),
        () => store.transaction((tx) => tx.copyRows({ table, columns: ['id'] }, [[1], [1]])),
      ]
      for (const run of refused) expect(await caught(run())).toMatchObject(STORE_FAILED)
      expect(await pid(store)).toBe(before)
    })

    it('outside of transactions: one left open by a statement is not given to the next', async () => {
      const store = await openStore({ connectionsMax: 1 })
      const table = await newTable(store)
      await store.script(`BEGIN; INSERT INTO ${table} VALUES (1, 'left')`)
      expect(await store.query(`SELECT * FROM ${table}`)).toEqual([])
      await store.query('BEGIN')
      await store.query(`INSERT INTO ${table} VALUES (2, 'kept')`)
      expect(await store.query(`SELECT id FROM ${table}`)).toEqual([{ id: 2 }])
    })

    it('below their bound, and refuses what would wait beyond it', async () => {
      const store = await openStore({ connectionsMax: 2, waitingMax: 3 })
      let over: () => void = () => undefined
      const gate = new Promise<void>((resolve) => {
        over = resolve
      })
      const held = [1, 2].map(() => store.transaction(() => gate))
      await expect
        .poll(async () => {
          const [row] = await fixture.database.admin(
            `SELECT count(*)::int4 AS n FROM pg_stat_activity WHERE datname = $1`,
            [fixture.database.name],
          )
          return row!['n']
        })
        .toBe(2)
      const waiting = [1, 2, 3].map(() => pid(store))
      expect(await caught(store.query('SELECT 1'))).toMatchObject({ code: 'OVERLOADED', next: 'retry' })
      over()
      await Promise.all([...held, ...waiting])
    })
  })

  describe('closing', () => {
    it('waits for what was asked before', async () => {
      const store = await openPostgres({ url: fixture.database.url, connectionsMax: 1 })
      const results = Promise.all([1, 2, 3].map((n) => store.query('SELECT $1::int4 AS n FROM pg_sleep(0.02)', [n])))
      await store.close()
      await store.close()
      expect(await results).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]])
    })
  })
})
