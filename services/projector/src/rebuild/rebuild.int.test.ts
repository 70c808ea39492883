import { TidemarkError } from '@tidemark/base'
import type { EventLog } from '@tidemark/log'
import { changesTopic, MODEL_NAMES } from '@tidemark/model'
import { pastName, tableName } from '@tidemark/projection'
import { encodeChange, type MadeChange } from '@tidemark/projection/testing'
import type { SqlStore } from '@tidemark/store'
import { silentLogger } from '@tidemark/telemetry'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type RebuildDeps, type RebuildOptions, type RebuildProgress, rebuildProjection } from '../index.ts'
import { contents, eventually, openRig, openStore, type Rig, withMethods } from '../testing/harness.ts'
import { INTEGRATION, livesOfAll } from '../testing/lives.ts'

describe('a rebuild', () => {
  let store: SqlStore
  let rig: Rig
  let schema: string
  let schemas = 0
  beforeAll(async () => {
    store = await openStore()
  })
  afterAll(() => store.close())
  beforeEach(async () => {
    rig = await openRig()
    schema = `r${++schemas}`
  })
  afterEach(() => rig.close())

  const depsOf = (overrides: Partial<RebuildDeps> = {}): RebuildDeps => ({
    log: rig.log,
    store,
    codec: rig.codec,
    metrics: rig.metrics,
    clock: rig.clock,
    logger: silentLogger,
    schema,
    ...overrides,
  })
  const rebuild = (options: RebuildOptions = {}, overrides: Partial<RebuildDeps> = {}) =>
    rebuildProjection(depsOf(overrides), { batchMax: 50, erasureAfterMs: null, ...options })

  /** The live tables as the projector fills them. */
  async function project(total: number, target = schema): Promise<void> {
    const projector = rig.projector({ store, schema: target })
    await projector.start()
    await eventually(() => projector.status().lag === 0 && projector.status().projected >= total)
    await projector.stop()
  }
  const whole = (target = schema): Promise<object> => contents(store, target, MODEL_NAMES)
  async function times(target = schema): Promise<unknown[]> {
    const select = (table: string): string =>
      `select record_key, version::int4 as version, effective_changed_at::text as at from ${target}.${table}`
    return store.query(`${MODEL_NAMES.map((model) => select(tableName(model))).join(' union all ')} order by 1`)
  }
  /** Tables, columns, keys and indexes of a schema. */
  async function shape(target = schema): Promise<unknown> {
    const columns = await store.query(
      `select table_name, column_name, data_type, is_nullable from information_schema.columns where table_schema = $1 order by 1, 2`,
      [target],
    )
    const indexes = await store.query(
      `select tablename, indexname, replace(indexdef, $1 || '.', '') as def from pg_indexes where schemaname = $1 order by 1, 2`,
      [target],
    )
    const keys = await store.query(
      `select c.conname, pg_get_constraintdef(c.oid) as def from pg_constraint c
where c.connamespace = $1::regnamespace and c.contype = 'p' order by 1`,
      [target],
    )
    return { columns, indexes, keys }
  }
  async function leftOver(): Promise<string[]> {
    const rows = await store.query<{ name: string }>(
      `select nspname::text as name from pg_namespace where nspname like $1 order by 1`,
      [`${schema}\\_%`],
    )
    return rows.map(({ name }) => name)
  }

  /** Changes that the log may hold, though no processor wrote them: garbage, the same one twice, one that no index takes. */
  function oddOnes(made: readonly MadeChange[]): MadeChange[] {
    const [first, second] = made as [MadeChange, MadeChange]
    const huge = rig.maker.make(INTEGRATION, 'candidates', 'huge', { first_name: 'x' })
    const unordered = (n: number): string => String.fromCharCode(0x4e00 + ((n * 7919) % 20_000))
    const change = { ...huge.change, remote_id: Array.from({ length: 9000 }, (_, n) => unordered(n)).join('') }
    return [
      { ...first, value: Buffer.from('garbage') },
      second,
      { ...huge, value: encodeChange(rig.codec, 'candidates', change) },
    ]
  }

  test('gives the rows, keys, indexes and times of the live tables, and the projector goes on from there', async () => {
    const made = livesOfAll(rig.maker, 4, 5)
    await rig.log.append([...made, ...oddOnes(made)])
    await project(made.length + 3)
    const [rows, at, form] = [await whole(), await times(), await shape()]
    const seen: RebuildProgress[] = []
    const result = await rebuild({ onProgress: (progress) => seen.push(progress) })
    expect(result).toMatchObject({ outcome: 'switched', passed: made.length + 3, failed: 2, gaps: [], oldKept: null })
    expect(await whole()).toEqual(rows)
    expect(await times()).toEqual(at)
    expect(await shape()).toEqual(form)
    expect(await leftOver()).toEqual([])
    // Put on record when they were projected first, and not again.
    expect(await rig.deadLetters()).toHaveLength(2)
    expect(seen.at(-1)).toMatchObject({ phase: 'dropping', done: made.length + 3, total: made.length + 3, leftMs: 0 })

    const more = livesOfAll(rig.maker, 4, 2, 2)
    await rig.log.append(more)
    await project(more.length)
    await project(made.length + more.length + 3, `${schema}_whole`)
    expect(await whole()).toEqual(await whole(`${schema}_whole`))
  })

  test('makes the tables when there are none, as the projector would', async () => {
    const made = livesOfAll(rig.maker, 3, 3)
    await rig.log.append(made)
    expect(await rebuild()).toMatchObject({ outcome: 'switched', passed: made.length })
    await project(made.length, `${schema}_live`)
    expect(await whole()).toEqual(await whole(`${schema}_live`))
    expect(await times()).not.toContainEqual(expect.objectContaining({ at: 'infinity' }))
    await project(0)
  })

  test('keeps the times of live tables of an earlier version', async () => {
    const made = livesOfAll(rig.maker, 3, 2)
    await rig.log.append(made)
    await project(made.length)
    const before = await times()
    // Record keys were ordered as texts, nothing was kept of the past, and nothing was erased.
    const alter = MODEL_NAMES.map(
      (model) => `alter table ${schema}.${tableName(model)} alter column record_key type text collate "default",
drop column erased_at; drop table ${schema}.${pastName(model)};`,
    )
    await store.script(`${alter.join('\n')} drop table ${schema}.erasures`)
    expect(await rebuild()).toMatchObject({ outcome: 'switched', passed: made.length })
    expect(await times()).toEqual(before)
    await project(made.length, `${schema}_plain`)
    expect(await whole()).toEqual(await whole(`${schema}_plain`))
  })

  test('brings what the live tables did not have yet, as new of the moment of the switch', async () => {
    const made = livesOfAll(rig.maker, 3, 3)
    await rig.log.append(made)
    await project(made.length)
    const before = await times()
    // The projector is away.
    const late = livesOfAll(rig.maker, 2, 1, 5)
    await rig.log.append(late)
    const begun = Date.now()
    await rebuild()
    const lateKeys = new Set(late.map(({ recordKey }) => recordKey))
    const after = (await times()) as { record_key: string; at: string }[]
    for (const row of after) {
      if (!lateKeys.has(row.record_key)) expect(before).toContainEqual(row)
      else expect(Date.parse(row.at)).toBeGreaterThanOrEqual(begun)
    }
    expect(after.filter(({ record_key }) => lateKeys.has(record_key))).toHaveLength(lateKeys.size)
  })

  test('goes on after being ended at any moment, wherever that was', async () => {
    const made = livesOfAll(rig.maker, 3, 4)
    await rig.log.append(made)
    await project(made.length)
    const [rows, at, form] = [await whole(), await times(), await shape()]
    let ends = 0
    for (let calls = 1; ; calls = Math.ceil(calls * 1.6)) {
      // Everything that it asks of the database from some call on fails, as it would for a killed process.
      const dying = mortal(store, calls)
      const outcome = await rebuild({ batchMax: 30 }, { store: dying.store }).catch((error: unknown) => error)
      expect(await whole()).toEqual(rows)
      if (!dying.dead()) break
      expect(outcome).toMatchObject({ code: 'INTERNAL' })
      ends++
    }
    expect(ends).toBeGreaterThan(5)
    await rebuild()
    expect(await whole()).toEqual(rows)
    expect(await times()).toEqual(at)
    expect(await shape()).toEqual(form)
    expect(await leftOver()).toEqual([])
  }, 120_000)

  test('stops when it is told to, and goes on from where it was', async () => {
    const made = livesOfAll(rig.maker, 3, 6)
    await rig.log.append(made)
    await project(made.length)
    const rows = await whole()
    let passed = 0
    for (let after = 1; ; after += 2) {
      const stopping = new AbortController()
      let batches = 0
      const counting = withMethods(store, {
        transaction: (work) => {
          if (++batches > after) stopping.abort()
          return store.transaction(work)
        },
      })
      const result = await rebuild({ batchMax: 20, signal: stopping.signal }, { store: counting })
      passed += result.passed
      expect(await whole()).toEqual(rows)
      if (result.outcome === 'switched') break
      expect(result.outcome).toBe('stopped')
    }
    // No change was written twice, and none was left out.
    expect(passed).toBe(made.length)
  }, 60_000)

  test('goes on by itself when transactions fail, also when only their answer was lost', async () => {
    const made = livesOfAll(rig.maker, 3, 4)
    await rig.log.append(made)
    await project(made.length)
    const [rows, at] = [await whole(), await times()]
    let turn = 0
    const down = () => new TidemarkError('STORE_FAILED', 'the connection is gone')
    const shaky = withMethods(store, {
      transaction: async (work) => {
        turn++
        if (turn % 5 === 3) throw down()
        const done = await store.transaction(work)
        if (turn % 5 === 0) throw down()
        return done
      },
    })
    // The lock of a rebuild is a transaction too, which is not what is tested here.
    const { copyRows: _, ...plain } = shaky
    await rebuild({ batchMax: 40 }, { store: plain })
    expect(await whole()).toEqual(rows)
    expect(await times()).toEqual(at)
  })

  test('is refused while another one runs, and can begin again', async () => {
    const made = livesOfAll(rig.maker, 2, 2)
    await rig.log.append(made)
    await project(made.length)
    const rows = await whole()
    const stopping = new AbortController()
    const second: Promise<unknown>[] = []
    const first = rebuild({
      signal: stopping.signal,
      onProgress: () => {
        if (second.length === 0) second.push(rebuild().catch((error: unknown) => error))
        stopping.abort()
      },
    })
    expect(await first).toMatchObject({ outcome: 'stopped' })
    expect(await second[0]).toMatchObject({ code: 'OVERLOADED' })
    expect(await leftOver()).toEqual([`${schema}_next`])
    // What is unfinished has something that must not stay.
    await store.query(`insert into ${schema}_next.record_counts values ('x', 'jobs', 0, 1, 0, 1, now())`)
    expect(await rebuild({ restart: true })).toMatchObject({ outcome: 'switched', passed: made.length })
    expect(await whole()).toEqual(rows)
  })

  test('of an unfinished one of another version, or from before there were live tables, begins again', async () => {
    const made = livesOfAll(rig.maker, 2, 2)
    await rig.log.append(made)
    const unfinished = async (): Promise<void> => {
      const stopping = new AbortController()
      await rebuild({ signal: stopping.signal, onProgress: () => stopping.abort() })
      expect(await leftOver()).toEqual([`${schema}_next`])
    }
    await unfinished()
    await project(made.length)
    const rows = await whole()
    expect(await rebuild()).toMatchObject({ outcome: 'switched', passed: made.length })
    await unfinished()
    await store.query(`update ${schema}_next.projection_rebuild set layout = 'other'`)
    expect(await rebuild()).toMatchObject({ outcome: 'switched', passed: made.length })
    expect(await whole()).toEqual(rows)
  })

  test('leaves alone what is not its own', async () => {
    await rig.log.append(livesOfAll(rig.maker, 2, 1))
    await store.script(`create schema ${schema}_next; create table ${schema}_next.mine (id int4)`)
    await expect(rebuild({ restart: true })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect(await store.query(`select * from ${schema}_next.mine`)).toEqual([])
    await store.script(`drop schema ${schema}_next cascade`)
    await rebuild()
    // A view of somebody else would go with the old tables.
    await store.script(`create view public.${schema}_view as select id from ${schema}.jobs`)
    const result = await rebuild()
    expect(result).toMatchObject({ outcome: 'switched', oldKept: expect.stringContaining('depend') })
    expect(await store.query(`select * from public.${schema}_view`)).toHaveLength(2)
    await expect(rebuild()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await store.script(`drop view public.${schema}_view`)
    expect(await rebuild()).toMatchObject({ outcome: 'finished' })
    expect(await leftOver()).toEqual([])
  })

  test('keeps the rights of those who read the tables', async () => {
    await rig.log.append(livesOfAll(rig.maker, 1, 1))
    await rebuild()
    const reader = `reader_${process.pid}_${schema}`
    await store.script(
      `create role ${reader}; grant usage on schema ${schema} to ${reader}; grant select on ${schema}.jobs to ${reader}`,
    )
    try {
      await rebuild()
      const [row] = await store.query(
        `select has_schema_privilege($1, $2, 'usage') as a, has_table_privilege($1, $2 || '.jobs', 'select') as b,
  has_table_privilege($1, $2 || '.users', 'select') as c`,
        [reader, schema],
      )
      expect(row).toEqual({ a: true, b: true, c: false })
    } finally {
      await store.script(`drop owned by ${reader}; drop role ${reader}`)
    }
  })

  test('of a log without its first changes is refused, or says what is missing', async () => {
    const made = livesOfAll(rig.maker, 3, 3)
    await rig.log.append(made)
    await project(made.length)
    const rows = await whole()
    const topic = changesTopic('candidates')
    const cut = withoutPrefix(rig.log, topic, 2)
    await expect(rebuild({}, { log: cut })).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      message: expect.stringContaining(`${topic}/`),
    })
    expect(await whole()).toEqual(rows)
    const { gaps, passed } = await rebuild({ acceptGaps: true }, { log: cut })
    expect(gaps.length).toBeGreaterThan(0)
    const lost = gaps.reduce((sum, { from, to }) => sum + to - from, 0)
    expect(gaps[0]).toMatchObject({ topic, from: 0, to: 2 })
    expect(passed).toBe(made.length - lost)
  })

  test('whose log loses changes before they were read stops, and says so', async () => {
    const made = livesOfAll(rig.maker, 3, 5)
    await rig.log.append(made)
    const stopping = new AbortController()
    await rebuild({ signal: stopping.signal, onProgress: () => stopping.abort() })
    const cut = withoutPrefix(rig.log, changesTopic('jobs'), 3)
    await expect(rebuild({}, { log: cut })).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    expect((await rebuild({ acceptGaps: true }, { log: cut })).gaps.length).toBeGreaterThan(0)
  })
})

/** A store of which nothing works any more from the n-th call on, within transactions too: they roll back. */
function mortal(store: SqlStore, calls: number): { store: SqlStore; dead(): boolean } {
  let left = calls
  let dead = false
  const live = <T>(run: () => Promise<T>): Promise<T> => {
    if (left-- > 0) return run()
    dead = true
    return Promise.reject(new TidemarkError('INTERNAL', 'killed'))
  }
  const methods: Partial<SqlStore> = {
    query: (sql, params) => live(() => store.query(sql, params)),
    script: (sql) => live(() => store.script(sql)),
    transaction: (work) =>
      live(() =>
        store.transaction((tx) =>
          work({
            query: (sql, params) => live(() => tx.query(sql, params)),
            ...(tx.copyRows
              ? { copyRows: (target, rows) => live(() => tx.copyRows?.(target, rows) ?? Promise.reject(new Error())) }
              : {}),
          }),
        ),
      ),
  }
  return { store: withMethods(store, methods), dead: () => dead }
}

/** The log after its retention removed what stood before an offset. */
function withoutPrefix(log: EventLog, topic: string, start: number): EventLog {
  const first = (name: string, end: number): number => (name === topic ? Math.min(start, end) : 0)
  return new Proxy(log, {
    get(target, name) {
      if (name === 'bounds') {
        return async (of: string, partition: number) => {
          const { end } = await target.bounds(of, partition)
          return { start: first(of, end), end }
        }
      }
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
