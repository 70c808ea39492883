import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CopyTarget, SqlRunner, SqlStore } from './store.ts'

export interface StoreHarness {
  readonly store: SqlStore
  /** Closes the store and opens it again on the same data; null when it is forgotten on close. */
  readonly reopen: (() => Promise<SqlStore>) | null
  /** Closes the store that is open and removes its data. */
  dispose(): Promise<void>
}

/** Registers the contract of the SqlStore port as vitest cases, over one store in which each case has a schema of its own. */
export function storeContract(name: string, open: () => Promise<StoreHarness>): void {
  describe(`${name}, as SQL store`, () => {
    let harness: StoreHarness
    let store: SqlStore
    let schema = ''
    let cases = 0
    beforeAll(async () => {
      harness = await open()
      store = harness.store
    })
    afterAll(() => harness.dispose())
    beforeEach(async () => {
      schema = `contract_${process.pid}_${++cases}`
      await store.script(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.t (id int4 PRIMARY KEY, n int4 NOT NULL)`)
    })
    const context = { store: () => store, table: () => `${schema}.t` }

    valueCases(context)
    transactionCases(context)
    failureCases(context)
    copyCases(context)

    it('keeps what was committed over a reopening, and refuses work after close', async ({ skip }) => {
      if (!harness.reopen) return skip('the data is forgotten on close')
      await store.transaction((tx) => tx.query(`INSERT INTO ${schema}.t VALUES (1, 5)`))
      const closed = store
      store = await harness.reopen()
      expect(await store.query(`SELECT * FROM ${schema}.t`)).toEqual([{ id: 1, n: 5 }])
      await expect(closed.query('SELECT 1')).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await expect(closed.transaction(async () => 1)).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await expect(closed.script('SELECT 1')).rejects.toMatchObject({ code: 'STORE_FAILED' })
    })
  })
}

interface Context {
  store(): SqlStore
  table(): string
}

function valueCases({ store, table }: Context): void {
  it('returns int8, numeric, dates and times as text, and int4, float8, bool, json and bytes as JS values', async () => {
    const [row] = await store().query(`SELECT
      9007199254740993::int8 AS big, 1.10::numeric AS exact, count(*) AS counted, 7::int4 AS small, 1.5::float8 AS float,
      true AS yes, NULL::int4 AS nothing, 'text'::text AS text, '{"a": [1, "x", null]}'::jsonb AS json, '[]'::json AS list,
      '2026-03-01T10:00:00.678901+01'::timestamptz AS at, '2026-03-01 10:00:00'::timestamp AS local, '2026-03-01'::date AS day,
      '\\x00ff'::bytea AS bytes, ARRAY['a', NULL, 'c,"d'] AS texts, ARRAY[9007199254740993]::int8[] AS bigs,
      ARRAY[1, 2]::int4[] AS smalls, ARRAY['2026-03-01T09:00:00Z']::timestamptz[] AS times`)
    const { bytes, ...rest } = row!
    expect(Buffer.from(bytes as Uint8Array)).toEqual(Buffer.from([0, 255]))
    expect(rest).toEqual({
      big: '9007199254740993',
      exact: '1.10',
      counted: '1',
      small: 7,
      float: 1.5,
      yes: true,
      nothing: null,
      text: 'text',
      json: { a: [1, 'x', null] },
      list: [],
      at: '2026-03-01 09:00:00.678901+00',
      local: '2026-03-01 10:00:00',
      day: '2026-03-01',
      texts: ['a', null, 'c,"d'],
      bigs: ['9007199254740993'],
      smalls: [1, 2],
      times: ['2026-03-01 09:00:00+00'],
    })
  })

  it('takes every kind of parameter', async () => {
    const params = [
      '9007199254740993',
      5,
      1.5,
      true,
      null,
      '2026-03-01T09:00:00Z',
      '{"a":1}',
      new Uint8Array([0, 39, 255]),
      ["a'", null, '{"b'],
      [1, 2],
      "it's",
    ]
    const [row] = await store().query(
      `SELECT $1::int8 AS big, $2::int4 AS small, $3::float8 AS float, $4::bool AS yes, $5::text AS nothing,
        $6::timestamptz AS at, $7::jsonb AS json, encode($8::bytea, 'hex') AS bytes, $9::text[] AS texts, $10::int4[] AS numbers,
        $11::text AS text`,
      params,
    )
    expect(row).toEqual({
      big: '9007199254740993',
      small: 5,
      float: 1.5,
      yes: true,
      nothing: null,
      at: '2026-03-01 09:00:00+00',
      json: { a: 1 },
      bytes: '0027ff',
      texts: ["a'", null, '{"b'],
      numbers: [1, 2],
      text: "it's",
    })
  })

  it('inserts a thousand rows by arrays, and finds them by a list', async () => {
    const ids = Array.from({ length: 1000 }, (_, i) => i)
    const inserted = await store().query(
      `INSERT INTO ${table()} SELECT * FROM unnest($1::int4[], $2::int4[]) RETURNING id`,
      [ids, ids.map((id) => id * 2)],
    )
    expect(inserted).toHaveLength(1000)
    expect(
      await store().query(`SELECT n FROM ${table()} WHERE id = ANY($1::int4[]) ORDER BY id`, [[3, 999, 5000]]),
    ).toEqual([{ n: 6 }, { n: 1998 }])
  })

  it('returns no rows of a statement without any', async () => {
    expect(await store().query(`INSERT INTO ${table()} VALUES (1, 1)`)).toEqual([])
    expect(await store().query(`SELECT * FROM ${table()} WHERE id = 2`)).toEqual([])
  })
}

function transactionCases({ store, table }: Context): void {
  const rows = () => store().query(`SELECT id, n FROM ${table()} ORDER BY id`)
  const insert = (tx: SqlRunner, id: number, n = id) => tx.query(`INSERT INTO ${table()} VALUES ($1, $2)`, [id, n])

  it('commits a transaction that resolves, and hands its result on', async () => {
    const result = await store().transaction(async (tx) => {
      await insert(tx, 1)
      expect(await tx.query(`SELECT id FROM ${table()}`)).toEqual([{ id: 1 }])
      await insert(tx, 2)
      return 'done'
    })
    expect(result).toBe('done')
    expect(await rows()).toEqual([
      { id: 1, n: 1 },
      { id: 2, n: 2 },
    ])
  })

  it('rolls back a transaction that rejects, and rejects with the same error', async () => {
    const error = new RangeError('mine')
    const failing = store().transaction(async (tx) => {
      await insert(tx, 1)
      throw error
    })
    await expect(failing).rejects.toBe(error)
    expect(await rows()).toEqual([])
  })

  it('rolls back when a statement fails, even when the error is caught', async () => {
    const failing = store().transaction(async (tx) => {
      await insert(tx, 1)
      await insert(tx, 1).catch(() => undefined)
      await insert(tx, 2)
    })
    await expect(failing).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(await rows()).toEqual([])
    await insert(store(), 3)
    expect(await rows()).toEqual([{ id: 3, n: 3 }])
  })

  it('keeps concurrent transactions apart: none sees half of another', async () => {
    await insert(store(), 1, 0)
    await Promise.all(
      Array.from({ length: 30 }, () =>
        store().transaction(async (tx) => {
          const [row] = await tx.query<{ n: number }>(`SELECT n FROM ${table()} WHERE id = 1 FOR UPDATE`)
          await new Promise((resolve) => setImmediate(resolve))
          await tx.query(`UPDATE ${table()} SET n = $1 WHERE id = 1`, [row!.n + 1])
        }),
      ),
    )
    expect(await rows()).toEqual([{ id: 1, n: 30 }])
  })

  it('shows nothing of a transaction to others before its end', async () => {
    let read: Promise<unknown[]> = Promise.resolve([])
    await store().transaction(async (tx) => {
      await insert(tx, 1)
      read = rows()
      await Promise.race([read, new Promise((resolve) => setTimeout(resolve, 20))])
      await insert(tx, 2)
    })
    expect([0, 2]).toContain((await read).length)
  })

  it('lets a failing transaction not disturb those beside it', async () => {
    const settled = await Promise.allSettled(
      [1, 2, 3, 4].map((id) =>
        store().transaction(async (tx) => {
          await insert(tx, id)
          if (id % 2 === 0) throw new Error('no')
        }),
      ),
    )
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect((await rows()).map(({ id }) => id)).toEqual([1, 3])
  })
}

function failureCases({ store, table }: Context): void {
  it('says which statement failed and why, without its parameters', async () => {
    const sql = `INSERT INTO ${table()} (id, n)   VALUES ($1, $2) -- ${'x'.repeat(300)}`
    await store().query(sql, [1, 77_123])
    const error = await store()
      .query(sql, [1, 77_123])
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'STORE_FAILED' })
    const { message } = error as Error
    expect(message).toContain('INSERT INTO')
    expect(message).toContain('duplicate key')
    expect(message).not.toContain('77123')
    expect(message.length).toBeLessThan(600)
  })

  it('goes on after a statement that is not SQL', async () => {
    await expect(store().query('SELEC 1')).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(await store().query('SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('runs scripts of several statements, all or nothing', async () => {
    await store().script(`INSERT INTO ${table()} VALUES (1, 1); INSERT INTO ${table()} VALUES (2, 2);`)
    const failing = store().script(`INSERT INTO ${table()} VALUES (3, 3); INSERT INTO ${table()} VALUES (1, 1);`)
    await expect(failing).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(await store().query(`SELECT id FROM ${table()} ORDER BY id`)).toEqual([{ id: 1 }, { id: 2 }])
  })
}

function copyCases({ store, table }: Context): void {
  const target = (): CopyTarget => {
    const [schema = '', name = ''] = table().split('.')
    return { schema, table: name, columns: ['n', 'id'] }
  }
  const rows = () => store().query(`SELECT id, n FROM ${table()} ORDER BY id`)

  it('copies rows beside and within transactions, all or nothing', async ({ skip }) => {
    if (!store().copyRows) return skip('it has no COPY')
    expect(await store().copyRows?.(target(), [[5, 1]])).toBe(1)
    const lists = Array.from({ length: 5000 }, (_, i) => [i, i + 2])
    const copied = await store().transaction(async (tx) => {
      const count = await tx.copyRows?.(target(), lists)
      expect(await tx.query(`SELECT count(*)::int4 AS n FROM ${table()}`)).toEqual([{ n: 5001 }])
      return count
    })
    expect(copied).toBe(5000)
    const refused = store().transaction((tx) =>
      Promise.resolve(
        tx.copyRows?.(target(), [
          [1, 9000],
          [1, 2],
        ]),
      ),
    )
    await expect(refused).rejects.toMatchObject({ code: 'STORE_FAILED', fields: { sqlState: '23505' } })
    expect(await rows()).toHaveLength(5001)
    expect((await rows())[0]).toEqual({ id: 1, n: 5 })
  })

  it('runs transactions beside each other when it has COPY', async ({ skip }) => {
    if (!store().copyRows) return skip('it has no COPY')
    await store().transaction(async () => {
      await store().transaction((tx) => tx.query(`INSERT INTO ${table()} VALUES (1, 1)`))
    })
    expect(await rows()).toEqual([{ id: 1, n: 1 }])
  })
}
