import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { caught, pid, STORE_FAILED, terminate, useDatabase } from './testing/fixture.ts'
import { postgresUrl } from './testing.ts'

const serverUrl = await postgresUrl()

describe.skipIf(serverUrl === undefined)('a store on a real server', () => {
  const fixture = useDatabase(serverUrl)
  const { openStore, newTable } = fixture

  describe('copies', () => {
    it('every value as a parameter would write it', async () => {
      const store = await openStore()
      const columns = ['id', 'text', 'bytes', 'json', 'texts', 'float', 'big', 'flag']
      const types = 'int4, text text, bytes bytea, json jsonb, texts text[], float float8, big int8, flag bool'
      const text = fc.string({ unit: 'binary' }).map((s) => s.replaceAll('\0', '').toWellFormed())
      const value = fc.tuple(
        fc.option(text),
        fc.option(fc.uint8Array({ maxLength: 20 })),
        fc
          .option(fc.jsonValue().filter((json) => !JSON.stringify(json).includes('\\u')))
          .map((json) => JSON.stringify(json)),
        fc.option(fc.array(fc.option(text))),
        fc.option(fc.double()),
        fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
        fc.option(fc.boolean()),
      )
      const rows = fc.sample(value, 300).map((row, id) => [id, ...row] as const)
      const [copied, inserted] = [await newTable(store, `id ${types}`), await newTable(store, `id ${types}`)]
      expect(await store.copyRows({ table: copied, columns }, rows)).toBe(rows.length)
      for (const row of rows) await store.query(`INSERT INTO ${inserted} VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, row)
      const all = (table: string) => store.query(`SELECT * FROM ${table} ORDER BY id`)
      expect(await all(copied)).toEqual(await all(inserted))
    })

    it('rows as they come, in bounded memory, and waits for the server', async () => {
      const store = await openStore()
      const table = await newTable(store)
      async function* source() {
        for (let id = 0; id < 20_000; id++) yield [id, 'x'.repeat(200)]
      }
      expect(await store.copyRows({ table, columns: ['id', 'v'] }, source())).toBe(20_000)
      expect(await store.copyRows({ table, columns: ['id', 'v'] }, [])).toBe(0)
      expect(await store.query(`SELECT count(*)::int4 AS n, sum(length(v))::int4 AS l FROM ${table}`)).toEqual([
        { n: 20_000, l: 4_000_000 },
      ])
    })

    it.each([0, 1, 5000])('nothing when the source fails after %i rows, and rejects with its error', async (after) => {
      const store = await openStore({ connectionsMax: 1 })
      const table = await newTable(store)
      const mine = new RangeError('mine')
      function* source() {
        for (let id = 0; id < after; id++) yield [id, 'x'.repeat(100)]
        throw mine
      }
      const before = await pid(store)
      expect(await caught(store.copyRows({ table, columns: ['id', 'v'] }, source()))).toBe(mine)
      expect(await store.query(`SELECT * FROM ${table}`)).toEqual([])
      expect(await pid(store)).toBe(before)
    })

    it('nothing when the server refuses a row in the middle, or its session ends', async () => {
      const store = await openStore({ connectionsMax: 1 })
      const table = await newTable(store)
      let made = 0
      function* source(bad: number) {
        for (let id = 0; id < 200_000; id++) {
          made++
          yield [id === bad ? 'not a number' : id, 'x'.repeat(100)]
        }
      }
      const refused = await caught(store.copyRows({ table, columns: ['id', 'v'] }, source(1000)))
      expect(refused).toMatchObject({ ...STORE_FAILED, fields: { sqlState: '22P02' } })
      expect(refused.message).not.toContain('not a number')
      expect(made).toBeLessThan(200_000)
      const backend = await pid(store)
      async function* interrupted() {
        for (let id = 0; id < 100_000; id++) {
          if (id === 5000) await terminate(fixture, backend)
          yield [id, 'x'.repeat(100)]
        }
      }
      expect(await caught(store.copyRows({ table, columns: ['id', 'v'] }, interrupted()))).toMatchObject(STORE_FAILED)
      expect(await store.query(`SELECT * FROM ${table}`)).toEqual([])
    })
  })
})
