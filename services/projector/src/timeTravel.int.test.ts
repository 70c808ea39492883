import type { ModelName } from '@tidemark/model'
import { isoTime, selectList, statesAsOf, tableName } from '@tidemark/projection'
import { encodeChange, type MadeChange } from '@tidemark/projection/testing'
import type { SqlStore } from '@tidemark/store'
import { silentLogger } from '@tidemark/telemetry'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Projector, rebuildProjection } from './index.ts'
import { contents, eventually, openRig, openStore, pastRows, type Rig } from './testing/harness.ts'

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
  schema = `t${++schemas}`
})
afterEach(() => rig.close())

const MODELS = ['jobs', 'job-stages'] as const
const DAY = Date.parse('2026-03-01T09:00:00.000Z')
const at = (minute: number): number => DAY + minute * 60_000

/** The change, observed at another time. */
function observedAt(made: MadeChange, ms: number): MadeChange {
  const change = { ...made.change, changed_at: ms }
  return { ...made, change, value: encodeChange(rig.codec, made.model, change) }
}

const step = fc.record({
  model: fc.constantFrom(...MODELS),
  remote: fc.constantFrom('1:a', '2:b', '3:c'),
  state: fc.constantFrom('alive', 'alive', 'alive', 'deleted', 'purged'),
  value: fc.nat(3),
  // Mostly in order, sometimes observed before what is known already.
  minute: fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 12 }) },
  ),
  // Afterwards an earlier change stands in the log once more.
  again: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(20) }),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function changesOf(integration: string, steps: readonly Step[]): { log: MadeChange[]; made: MadeChange[] } {
  const made: MadeChange[] = []
  const log: MadeChange[] = []
  for (const [n, { model, remote, state, value, minute, again }] of steps.entries()) {
    const input =
      state === 'purged'
        ? null
        : { name: `n${value}`, index: value, remote_deleted_at: state === 'deleted' ? n + 1 : null }
    const change = observedAt(rig.maker.make(integration, model, remote, input), at(minute ?? n))
    made.push(change)
    log.push(change)
    if (again !== null) log.push(made[again % made.length] as MadeChange)
  }
  return { log, made }
}

/** Of each record the highest version observed by then. */
function naiveStates(made: readonly MadeChange[], ms: number): Map<string, MadeChange> {
  const states = new Map<string, MadeChange>()
  for (const change of made) {
    const known = states.get(change.recordKey)
    if (change.change.changed_at <= ms && (!known || known.change.version < change.change.version))
      states.set(change.recordKey, change)
  }
  return states
}

async function statesOf(target: string, integration: string, ms: number): Promise<Record<string, unknown>> {
  const states = statesAsOf(target, '$2::timestamptz')
  const found: Record<string, unknown> = {}
  for (const model of MODELS) {
    const columns = ['record_key', 'version', 'op', 'changed_at', 'remote_deleted_at', 'name', 'index']
    const rows = await store.query(
      `select ${selectList(model, columns)} from ${states.from(model, 't')} where t.integration_id = $1 and ${states.holds('t')}`,
      [integration, isoTime(ms)],
    )
    for (const { record_key, ...row } of rows) {
      // Nobody has two states at once.
      expect(found).not.toHaveProperty([String(record_key)])
      found[String(record_key)] = row
    }
  }
  return found
}

const expected = (made: readonly MadeChange[], ms: number): object =>
  Object.fromEntries(
    [...naiveStates(made, ms)].map(([key, { model, change }]) => {
      const after = change.after as Record<string, unknown> | null
      const gone = after === null ? change.changed_at : (after['remote_deleted_at'] as number | null)
      const field = model === 'jobs' ? 'name' : 'index'
      return [
        key,
        {
          version: change.version,
          op: change.op,
          changed_at: isoTime(change.changed_at),
          remote_deleted_at: isoTime(gone),
          [field]: after?.[field] ?? null,
        },
      ]
    }),
  )

async function allPassed(projectors: readonly Projector[], total: number): Promise<void> {
  await eventually(() => projectors.every((one) => one.status().lag === 0 && one.status().projected >= total))
}

const rebuild = (target: string) =>
  rebuildProjection(
    {
      log: rig.log,
      store,
      codec: rig.codec,
      metrics: rig.metrics,
      clock: rig.clock,
      logger: silentLogger,
      schema: target,
    },
    { batchMax: 7, erasureAfterMs: null },
  )

describe('states as of a time', () => {
  test('are the fold of the changes observed by then, whoever wrote them and in whatever batches', async () => {
    const targets = [`${schema}_some`, `${schema}_one`, `${schema}_all`] as const
    const sizes = [4, 1, 2000]
    const projectors = targets.map((target, i) =>
      rig.projector({ store, schema: target, options: { batchMax: sizes[i] as number } }),
    )
    await Promise.all(projectors.map((projector) => projector.start()))
    let runs = 0
    let total = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const integration = `traffit:r${++runs}`
        const { log, made } = changesOf(integration, steps)
        await rig.log.append(log)
        total += log.length
        await allPassed(projectors, total)
        const rebuilt = `${schema}_rebuilt${runs}`
        await rebuild(rebuilt)
        const times = new Set(made.flatMap(({ change: { changed_at: ms } }) => [ms - 1, ms]))
        for (const target of [...targets, rebuilt]) {
          for (const ms of times) expect(await statesOf(target, integration, ms)).toEqual(expected(made, ms))
        }
        const whole = await contents(store, targets[0], MODELS)
        for (const target of [...targets.slice(1), rebuilt]) {
          expect(await contents(store, target, MODELS)).toEqual(whole)
        }
        await store.script(`drop schema ${rebuilt} cascade`)
      }),
      // Schemas are shared by the runs: after a failure the next ones fail too.
      { numRuns: 12, endOnFailure: true },
    )
  }, 180_000)

  test('cost nothing for what was seen once', async () => {
    const made = Array.from({ length: 30 }, (_, n) => rig.maker.make('traffit:a', 'jobs', `j${n}`, { name: 'Cook' }))
    await rig.log.append(made)
    const projector = rig.projector({ store, schema })
    await projector.start()
    await allPassed([projector], made.length)
    expect(await pastRows(store, schema, 'jobs')).toEqual([])
  })

  test('are there while a rebuild that began earlier catches up and switches', async () => {
    const make = (name: string): MadeChange => rig.maker.make('traffit:a', 'jobs', '1', { name })
    await rig.log.append([make('Cook'), make('Gardener')])
    const projector = rig.projector({ store, schema })
    await projector.start()
    await allPassed([projector], 2)
    // The rebuild is stopped before its switch, and the live tables go on.
    const stopping = new AbortController()
    await rebuildProjection(
      { ...rig, store, logger: silentLogger, schema },
      { erasureAfterMs: null, signal: stopping.signal, onProgress: () => stopping.abort() },
    )
    await rig.log.append([make('Mayor'), make('Burglar')])
    await allPassed([projector], 4)
    const before = await contents(store, schema, MODELS)
    expect(await rebuild(schema)).toMatchObject({ outcome: 'switched' })
    expect(await contents(store, schema, MODELS)).toEqual(before)
    const names = await store.query(
      `select name from ${schema}.${tableName('jobs' as ModelName)}_history order by version`,
    )
    expect(names.map(({ name }) => name)).toEqual(['Cook', 'Gardener', 'Mayor'])
  })
})
