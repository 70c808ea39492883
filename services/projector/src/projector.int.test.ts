import { TidemarkError } from '@tidemark/base'
import { changesTopic, type ModelName } from '@tidemark/model'
import { recordFromRow, selectList, tableName } from '@tidemark/projection'
import type { MadeChange } from '@tidemark/projection/testing'
import type { SqlRunner, SqlStore } from '@tidemark/store'
import { canonicalRecord } from '@tidemark/testing'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { contents, eventually, lastStates, openRig, openStore, type Rig, withMethods } from './testing/harness.ts'

let store: SqlStore
let rig: Rig
let schemas = 0
let schema: string
beforeAll(async () => {
  store = await openStore()
})
afterAll(() => store.close())
beforeEach(async () => {
  rig = await openRig()
  schema = `p${++schemas}`
})
afterEach(() => rig.close())

const A = 'traffit:a'
const MODELS: readonly ModelName[] = ['candidates', 'jobs', 'job-stages', 'applications']

/** Changes of some records of several models: created, changed, deleted, restored, purged. */
function lives(records: number, steps: number): MadeChange[] {
  const made: MadeChange[] = []
  for (let step = 0; step < steps; step++) {
    for (let n = 0; n < records; n++) {
      const model = MODELS[n % MODELS.length] as ModelName
      const input =
        (n + step) % 11 === 10
          ? null
          : { name: `${n}-${step}`, first_name: `${step}`, remote_deleted_at: (n + step) % 5 === 4 ? step + 1 : null }
      made.push(rig.maker.make(A, model, model === 'job-stages' ? `${n}:x` : String(n), input))
    }
  }
  return made
}

async function projectAll(target: string, total: number, options = {}): Promise<object> {
  const projector = rig.projector({ store, schema: target, options })
  await projector.start()
  await eventually(() => projector.status().lag === 0 && projector.status().projected >= total)
  await projector.stop()
  return contents(store, target, MODELS)
}

/** A store that runs `interfere` around every transaction. */
function around(interfere: (run: () => Promise<unknown>, sql: string[]) => Promise<unknown>): SqlStore {
  return withMethods(store, {
    transaction: <T>(work: (tx: SqlRunner) => Promise<T>) => {
      const sql: string[] = []
      const run = () =>
        store.transaction((tx) =>
          work({
            query: (text, params) => {
              sql.push(text)
              return tx.query(text, params)
            },
          }),
        )
      return interfere(run, sql) as Promise<T>
    },
  })
}

/** Fields of a record but those that its key decides. */
function withoutIdentity(record: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== 'id' && name !== 'remote_id'))
}

const down = () => new TidemarkError('STORE_FAILED', 'the connection is gone')

describe('the tables', () => {
  test('are the fold of the changes, with their history and counts', async () => {
    const made = lives(24, 6)
    await rig.log.append(made)
    const { history } = (await projectAll(schema, made.length)) as {
      history: { record_key: string; version: number }[]
    }
    expect(history.map((row) => `${row.record_key} ${row.version}`).sort()).toEqual(
      made.map((change) => `${change.recordKey} ${change.change.version}`).sort(),
    )
    for (const [key, { model, change }] of lastStates(made)) {
      const [row] = await store.query(
        `select ${selectList(model)} from ${schema}.${tableName(model)} t where record_key = $1`,
        [key],
      )
      expect(row).toMatchObject({ version: change.version, op: change.op, id: change.id })
      if (change.after) expect(recordFromRow(model, row ?? {})).toEqual(change.after)
      else expect(row?.['remote_deleted_at']).toBe(new Date(change.changed_at).toISOString())
    }
    const [sum] = await store.query(
      `select sum(records)::int4 as records, sum(deleted)::int4 as deleted from ${schema}.record_counts`,
    )
    const last = [...lastStates(made).values()]
    const gone = last.filter(({ change: { after } }) => after === null || after.remote_deleted_at !== null)
    expect(sum).toEqual({ records: last.length, deleted: gone.length })
  })

  test('hold any record a provider may have, but for U+0000', async () => {
    const projector = rig.projector({ store, schema })
    await projector.start()
    let n = 0
    for (const model of ['candidates', 'screening-questions', 'applications'] as const) {
      for (const { record } of fc.sample(canonicalRecord(model), 25)) {
        if (JSON.stringify(record).includes('u0000')) continue
        const made = rig.maker.make(A, model, `r${++n}`, withoutIdentity(record))
        await rig.log.append([made])
        await eventually(() => projector.status().lag === 0 && projector.status().projected === n)
        const [row] = await store.query(
          `select ${selectList(model)} from ${schema}.${tableName(model)} t where record_key = $1`,
          [made.recordKey],
        )
        expect(recordFromRow(model, row ?? {})).toEqual(made.change.after)
      }
    }
    expect(await rig.deadLetters()).toEqual([])
    await projector.stop()
  })

  test('are made once, and refused when another version made them', async () => {
    await projectAll(schema, 0)
    await projectAll(schema, 0)
    await store.query(`update ${schema}.projection_migrations set sha256 = 'other' where id = '0003_models'`)
    const projector = rig.projector({ store, schema })
    await expect(projector.start()).rejects.toMatchObject({ code: 'PROJECTION_MISMATCH' })
    expect(projector.status()).toMatchObject({ state: 'failed', error: { code: 'PROJECTION_MISMATCH' } })
  })
})

describe('exactly once', () => {
  test('holds with a stop after every single batch, at any batch size', async () => {
    const made = lives(12, 5)
    await rig.log.append(made)
    const whole = await projectAll(`${schema}_whole`, made.length)
    for (const batchMax of [1, 7]) {
      const target = `${schema}_b${batchMax}`
      let total = 0
      for (let round = 0; round <= made.length && total < made.length; round++) {
        // Every batch is the last one of its projector.
        let batches = 0
        const once = around((run) => (batches++ === 0 ? run() : Promise.reject(down())))
        const projector = rig.projector({ store: once, schema: target, options: { batchMax } })
        await projector.start()
        await eventually(() => batches > 1 || projector.status().lag === 0)
        await projector.stop()
        expect(projector.status().projected).toBeLessThanOrEqual(batchMax)
        total += projector.status().projected
      }
      expect(total).toBe(made.length)
      expect(await contents(store, target, MODELS)).toEqual(whole)
    }
  })

  test('holds when transactions fail before, within and after their commit', async () => {
    const made = lives(20, 4)
    await rig.log.append(made)
    const whole = await projectAll(`${schema}_whole`, made.length)
    let turn = 0
    const shaky = around(async (run, sql) => {
      turn++
      if (turn % 4 === 1) throw down()
      const done = await run()
      // The commit was done, but its answer got lost.
      if (turn % 4 === 3) throw down()
      expect(sql.length).toBeGreaterThan(2)
      return done
    })
    const projector = rig.projector({ store: shaky, schema, options: { batchMax: 9 } })
    await projector.start()
    await eventually(() => projector.status().lag === 0 && projector.status().state === 'running')
    await projector.stop()
    expect(await contents(store, schema, MODELS)).toEqual(whole)
  })

  test('holds with two projectors on the same schema', async () => {
    const made = lives(40, 4)
    const two = [1, 2].map(() => rig.projector({ store, schema, options: { batchMax: 5 } }))
    await two[0]?.start()
    await two[1]?.start()
    for (let at = 0; at < made.length; at += 8) await rig.log.append(made.slice(at, at + 8))
    const total = async (): Promise<number> => {
      const [row] = await store.query<{ n: number }>(`select count(*)::int4 as n from ${schema}.changes`)
      return row?.n ?? 0
    }
    await eventually(async () => (await total()) === made.length)
    await Promise.all(two.map((projector) => projector.stop()))
    const both = await contents(store, schema, MODELS)
    expect(both).toEqual(await projectAll(`${schema}_whole`, made.length))
  })
})

describe('what cannot be projected', () => {
  test('goes to the dead letters with its reason, and what follows is projected', async () => {
    const good = lives(6, 1)
    const [first, second, third] = good as [MadeChange, MadeChange, MadeChange]
    const garbage = { ...first, value: Buffer.from('garbage') }
    const stranger = { ...second, key: Buffer.from('who/people/1') }
    const keyless = { ...third, key: null }
    const tombstone = { ...first, value: null }
    await rig.log.append([garbage, stranger, keyless, tombstone, ...good])
    const projector = rig.projector({ store, schema })
    await projector.start()
    await eventually(() => projector.status().lag === 0 && projector.status().projected === good.length + 4)
    await projector.stop()
    const letters = await rig.deadLetters()
    expect(letters.map(({ code, record_key }) => [code, record_key]).sort()).toEqual(
      [
        ['VALUE_UNDECODABLE', first.recordKey],
        ['VALUE_UNDECODABLE', 'who/people/1'],
        ['VALUE_UNDECODABLE', null],
      ].sort(),
    )
    const text = await rig.metrics.registry.metrics()
    expect(text).toContain('tidemark_dead_letters_total{stage="projection",code="VALUE_UNDECODABLE"} 3')
    const { history } = (await contents(store, schema, MODELS)) as { history: unknown[] }
    expect(history).toHaveLength(good.length)
  })

  test('because the database refuses the value is found among its batch', async () => {
    const made = lives(40, 1)
    // An index entry above PostgreSQL's limit, which no check before the database knows.
    const huge = rig.maker.make(A, 'candidates', 'huge', { first_name: 'x' })
    const change = {
      ...huge.change,
      remote_id: Array.from({ length: 9000 }, (_, n) => String.fromCharCode(0x4e00 + ((n * 7919) % 20_000))).join(''),
    }
    const { encodeChange } = await import('@tidemark/projection/testing')
    const refused = { ...huge, value: encodeChange(rig.codec, 'candidates', change) }
    await rig.log.append([...made.slice(0, 17), refused, ...made.slice(17)])
    const { history } = (await projectAll(schema, made.length + 1)) as { history: { record_key: string }[] }
    expect(history.map((row) => row.record_key).sort()).toEqual(made.map((m) => m.recordKey).sort())
    expect(await rig.deadLetters()).toMatchObject([
      {
        code: 'RECORD_INVALID',
        record_key: huge.recordKey,
        topic: changesTopic('candidates'),
        offset: expect.any(Number),
      },
    ])
  })
})

describe('running', () => {
  test('starts with the store away, and goes on when it comes', async () => {
    await rig.log.append(lives(5, 1))
    let away = true
    const flaky = withMethods(store, { script: (sql) => (away ? Promise.reject(down()) : store.script(sql)) })
    const projector = rig.projector({ store: flaky, schema })
    const starting = projector.start()
    await eventually(() => projector.status().state === 'retrying')
    expect(projector.status().error?.code).toBe('STORE_FAILED')
    away = false
    await starting
    await eventually(() => projector.status().projected === 5)
    expect(projector.status()).toMatchObject({ state: 'running', error: null })
    await projector.stop()
    expect(projector.status().state).toBe('stopped')
  })

  test('can be stopped while it waits for a store that never comes', async () => {
    const projector = rig.projector({ store: withMethods(store, { script: () => Promise.reject(down()) }), schema })
    const starting = projector.start()
    await eventually(() => projector.status().state === 'retrying')
    await projector.stop()
    await starting
    expect(projector.status().state).toBe('stopped')
  })

  test('takes live changes of every partition without being asked, and tells its lag', async () => {
    const projector = rig.projector({ store, schema })
    await projector.start()
    for (const made of lives(9, 2)) {
      const before = projector.status().projected
      await rig.log.append([made])
      await eventually(() => projector.status().projected === before + 1)
    }
    const { partitions, lag, rate } = projector.status()
    expect(partitions.map(({ partition }) => partition)).toEqual([0, 1, 2])
    expect(lag).toBe(0)
    expect(rate).toBeGreaterThan(0)
    await projector.stop()
  })

  test('refuses a log that ends before what was read: it was replaced', async () => {
    await rig.log.append(lives(5, 1))
    await projectAll(schema, 5)
    const other = await openRig()
    const projector = other.projector({ store, schema })
    await expect(projector.start()).rejects.toMatchObject({ code: 'PROJECTION_MISMATCH' })
    await other.close()
  })

  test('shares the partitions among projectors', async () => {
    const made = lives(12, 2)
    await rig.log.append(made)
    const both = [[0, 1], [2]].map((partitions) => rig.projector({ store, schema, options: { partitions } }))
    await Promise.all(both.map((projector) => projector.start()))
    const total = (): number => both.reduce((sum, projector) => sum + projector.status().projected, 0)
    await eventually(() => total() === made.length)
    await Promise.all(both.map((projector) => projector.stop()))
    expect(await contents(store, schema, MODELS)).toEqual(await projectAll(`${schema}_whole`, made.length))
  })
})
