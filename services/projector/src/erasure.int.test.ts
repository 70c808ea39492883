import type { RecordInput } from '@tidemark/model'
import { dueModelsSql, dueSql, isoTime } from '@tidemark/projection'
import type { MadeChange } from '@tidemark/projection/testing'
import type { SqlStore } from '@tidemark/store'
import { silentLogger } from '@tidemark/telemetry'
import { ManualClock } from '@tidemark/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Projector, type RebuildOptions, rebuildProjection } from './index.ts'
import { contents, eventually, openRig, openStore, pastRows, type Rig, withMethods } from './testing/harness.ts'

const A = 'traffit:a'
const DAY_MS = 24 * 3600 * 1000
const ROUND_MS = 10 * 60 * 1000
const MODELS = ['candidates', 'notes', 'candidate-tags'] as const
const FRODO = {
  first_name: 'Frodo',
  email_addresses: [{ email_address: 'frodo@shire.me', type: 'HOME' }],
  source: 'Gandalf',
  remote_url: 'https://ats.example/7',
}
const PERSONAL = /Frodo|frodo|Baggins|Bilbo/

let store: SqlStore
let rig: Rig
let clock: ManualClock
let schemas = 0
let schema: string
beforeAll(async () => {
  store = await openStore()
})
afterAll(() => store.close())
beforeEach(async () => {
  rig = await openRig()
  clock = new ManualClock()
  schema = `e${++schemas}`
})
afterEach(() => rig.close())

const candidate = (input: RecordInput | null): MadeChange => rig.maker.make(A, 'candidates', '7', input)
const gone = (input: RecordInput): MadeChange => candidate({ ...input, remote_deleted_at: clock.now() })

/** Appends changes and waits until a projector has written them. */
async function project(
  made: readonly MadeChange[],
  options: { erasureAfterMs?: number | null } = {},
): Promise<Projector> {
  const projector = rig.projector({ store, schema, clock, options: { erasureAfterMs: 14 * DAY_MS, ...options } })
  await projector.start()
  await write(projector, made)
  return projector
}
async function write(projector: Projector, made: readonly MadeChange[]): Promise<void> {
  const before = projector.status().projected
  await rig.log.append(made)
  await eventually(() => projector.status().projected === before + made.length && projector.status().lag === 0)
}

/** The projector sleeps until its next round. */
const rest = (): Promise<void> => eventually(() => clock.sleeping === 1)
/** Lets time pass, with a round at its end. */
async function pass(ms: number): Promise<void> {
  for (const part of [ms - ROUND_MS, ROUND_MS]) {
    await rest()
    await clock.advance(part)
  }
  await rest()
}
const row = async (): Promise<Record<string, unknown>> => {
  const [found] = await store.query(`select * from ${schema}.candidates where record_key = $1`, [`${A}/candidates/7`])
  return found ?? {}
}
const isErased = async (): Promise<boolean> => (await row())['erased_at'] !== null
/** Everything the schema holds, as text. */
const everything = async (target = schema): Promise<string> => JSON.stringify(await contents(store, target, MODELS))
const changesOf = async (version: number): Promise<Record<string, unknown>[]> => {
  const [found] = await store.query(`select changes from ${schema}.changes where record_key = $1 and version = $2`, [
    `${A}/candidates/7`,
    version,
  ])
  return (found?.['changes'] ?? []) as Record<string, unknown>[]
}
/** With a clock of its own, on which only the rebuild sleeps. */
const rebuild = (options: RebuildOptions = {}) =>
  rebuildProjection({ ...rig, clock: new ManualClock(clock.now()), store, logger: silentLogger, schema }, options)

describe('personal data of a deleted record', () => {
  test('is gone after 14 days from every table, and nothing else is', async () => {
    const projector = await project([
      candidate(FRODO),
      candidate({ ...FRODO, last_name: 'Baggins' }),
      gone({ ...FRODO, last_name: 'Baggins', source: 'Elrond' }),
      rig.maker.make(A, 'candidates', '8', { first_name: 'Sam' }),
      rig.maker.make(A, 'notes', 'n1', { title: 'About Frodo', remote_deleted_at: clock.now() }),
      rig.maker.make(A, 'candidate-tags', '7:t', { remote_deleted_at: clock.now() }),
    ])
    const deletedAt = clock.now()
    await pass(14 * DAY_MS - ROUND_MS)
    expect(await isErased()).toBe(false)
    await pass(ROUND_MS)
    expect(await everything()).not.toMatch(PERSONAL)
    expect(await row()).toMatchObject({
      remote_id: '7',
      version: '3',
      op: 'deleted',
      first_name: null,
      email_addresses: null,
      source: 'Elrond',
      remote_url: FRODO.remote_url,
    })
    const { erased_at, remote_deleted_at } = await row()
    expect(Date.parse(String(erased_at))).toBe(deletedAt + 14 * DAY_MS)
    expect(Date.parse(String(remote_deleted_at))).toBe(deletedAt)
    const past = await pastRows(store, schema, 'candidates')
    expect(past.map(({ version, source, erased_at: at }) => [version, source, at])).toEqual([
      [1, 'Gandalf', isoTime(deletedAt + 14 * DAY_MS)],
      [2, 'Gandalf', isoTime(deletedAt + 14 * DAY_MS)],
    ])
    expect(await changesOf(2)).toEqual([{ path: '/last_name', op: 'add', before: null, after: null, erased: true }])
    expect(await changesOf(3)).toContainEqual({ path: '/source', op: 'replace', before: 'Gandalf', after: 'Elrond' })
    // Who is not deleted, and what was never personal, is untouched.
    expect(await everything()).toContain('Sam')
    const [tag] = await store.query(`select erased_at from ${schema}.candidate_tags`)
    expect(tag).toEqual({ erased_at: null })
    await projector.stop()
  })

  test('stays for as long as the installation says', async () => {
    const projector = await project([candidate(FRODO), gone(FRODO)], { erasureAfterMs: null })
    await clock.advance(400 * DAY_MS)
    expect(await isErased()).toBe(false)
    await projector.stop()
    const hasty = await project([], { erasureAfterMs: 1000 })
    await rest()
    expect(await isErased()).toBe(true)
    await hasty.stop()
  })

  test('does not come back when its changes are written once more', async () => {
    const made = [candidate(FRODO), gone(FRODO)]
    const projector = await project(made)
    await pass(15 * DAY_MS)
    expect(await isErased()).toBe(true)
    await write(projector, [...made, ...made])
    expect(await everything()).not.toMatch(PERSONAL)
    await projector.stop()
  })

  test('that arrives after the erasure is erased as well', async () => {
    const projector = await project([candidate(FRODO), gone(FRODO)])
    await pass(15 * DAY_MS)
    expect(await isErased()).toBe(true)
    await write(projector, [
      candidate({
        ...FRODO,
        last_name: 'Baggins',
        remote_deleted_at: Date.parse(String((await row())['remote_deleted_at'])),
      }),
    ])
    expect(await row()).toMatchObject({ first_name: 'Frodo', erased_at: null })
    await pass(ROUND_MS)
    expect(await everything()).not.toMatch(PERSONAL)
    await projector.stop()
  })

  test('is found without reading tables in which much was erased before', async () => {
    const projector = await project([])
    const columns =
      'record_key, integration_id, id, version, op, changed_at, log_partition, log_offset, remote_deleted_at, erased_at'
    const values = `'${A}/candidates/' || n, '${A}', n, 1, 'deleted', now(), 0, n, now() - interval '1 year', case when n > 1 then now() end`
    await store.script(`
insert into ${schema}.candidates (${columns}, effective_changed_at) select ${values}, now() from generate_series(1, 20000) n;
insert into ${schema}.candidates_history (${columns}, superseded_at) select ${values}, now() from generate_series(1, 20000) n;
analyze ${schema}.candidates; analyze ${schema}.candidates_history`)
    for (const sql of [dueModelsSql(schema), dueSql(schema, 'candidates', 100)]) {
      const plan = await store.query(`explain ${sql}`, [isoTime(clock.now()), 14 * DAY_MS])
      expect(JSON.stringify(plan)).not.toMatch(/Seq Scan on candidates/)
    }
    await projector.stop()
  })

  test('is erased by the next round when a round fails', async () => {
    let down = true
    const flaky = withMethods(store, {
      query: (sql, params) =>
        down && sql.includes('remote_deleted_at <=') ? Promise.reject(new Error('away')) : store.query(sql, params),
    })
    const projector = rig.projector({ store: flaky, schema, clock, options: { erasureAfterMs: DAY_MS } })
    await projector.start()
    await write(projector, [candidate(FRODO), gone(FRODO)])
    await pass(2 * DAY_MS)
    expect(projector.status()).toMatchObject({ state: 'running', error: null })
    expect(await isErased()).toBe(false)
    down = false
    await pass(ROUND_MS)
    expect(await isErased()).toBe(true)
    await projector.stop()
  })
})

describe('a record that is seen again', () => {
  test('has its data back, and its past stays erased', async () => {
    const projector = await project([candidate(FRODO), gone(FRODO)])
    await pass(15 * DAY_MS)
    expect(await isErased()).toBe(true)
    await write(projector, [candidate({ ...FRODO, first_name: 'Bilbo' })])
    expect(await row()).toMatchObject({ op: 'restored', first_name: 'Bilbo', erased_at: null })
    const past = await pastRows(store, schema, 'candidates')
    expect(past.map(({ version, first_name, erased_at }) => [version, first_name, erased_at !== null])).toEqual([
      [1, null, true],
      [2, null, true],
    ])
    // What the change says about the state before it is the past too.
    expect(await changesOf(3)).toContainEqual({
      path: '/first_name',
      op: 'replace',
      before: null,
      after: 'Bilbo',
      erased: true,
    })
    await pass(60 * DAY_MS)
    expect(await row()).toMatchObject({ first_name: 'Bilbo', erased_at: null })
    await projector.stop()
  })

  test('in time loses nothing', async () => {
    const projector = await project([candidate(FRODO), gone(FRODO), candidate(FRODO)])
    await pass(60 * DAY_MS)
    expect(await row()).toMatchObject({ first_name: 'Frodo', erased_at: null })
    expect((await pastRows(store, schema, 'candidates')).map(({ first_name }) => first_name)).toEqual([
      'Frodo',
      'Frodo',
    ])
    await projector.stop()
  })

  test('too late, while nobody erased, has its past erased nevertheless', async () => {
    const longAgo = clock.now() - 20 * DAY_MS
    const projector = await project([
      candidate(FRODO),
      candidate({ ...FRODO, remote_deleted_at: longAgo }),
      candidate({ ...FRODO, first_name: 'Bilbo' }),
    ])
    await pass(ROUND_MS)
    expect(await row()).toMatchObject({ first_name: 'Bilbo', erased_at: null })
    expect(await everything()).not.toContain('Frodo')
    await projector.stop()
  })
})

describe('a rebuild', () => {
  const lives = (): MadeChange[] => [
    candidate(FRODO),
    gone(FRODO),
    ...[8, 9].map((n) => rig.maker.make(A, 'candidates', String(n), { first_name: 'Bilbo' })),
    rig.maker.make(A, 'candidates', '9', { first_name: 'Bilbo', remote_deleted_at: clock.now() }),
  ]

  test('brings nothing back that is erased, with the times of then', async () => {
    const projector = await project(lives())
    await pass(15 * DAY_MS)
    expect(await isErased()).toBe(true)
    await write(projector, [candidate({ ...FRODO, first_name: 'Drogo' })])
    await projector.stop()
    await clock.advance(DAY_MS)
    const before = await contents(store, schema, MODELS)
    for (const batchMax of [1, 5000]) {
      expect(await rebuild({ batchMax })).toMatchObject({ outcome: 'switched' })
      expect(await contents(store, schema, MODELS)).toEqual(before)
    }
  })

  test('erases what is due before anybody reads it, also without live tables', async () => {
    await rig.log.append(lives())
    await clock.advance(15 * DAY_MS)
    await rebuild()
    expect(await row()).toMatchObject({ first_name: null, source: 'Gandalf' })
    expect(await everything()).not.toMatch(/Frodo|frodo/)
    const [alive] = await store.query(`select first_name from ${schema}.candidates where remote_id = '8'`)
    expect(alive).toEqual({ first_name: 'Bilbo' })
  })

  test('keeps what was erased meanwhile, of changes that it has not read yet', async () => {
    const projector = await project([candidate(FRODO)])
    const stopping = new AbortController()
    await rebuild({ signal: stopping.signal, onProgress: () => stopping.abort() })
    await write(projector, [gone(FRODO)])
    await pass(15 * DAY_MS)
    expect(await isErased()).toBe(true)
    await write(projector, [candidate({ ...FRODO, first_name: 'Bilbo' })])
    await projector.stop()
    const before = await contents(store, schema, MODELS)
    // Even by an installation that erases no more.
    expect(await rebuild({ erasureAfterMs: null })).toMatchObject({ outcome: 'switched' })
    expect(await contents(store, schema, MODELS)).toEqual(before)
  })
})
