import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromNext, systemClock } from '@tidemark/base'
import { type Change, compileRecord, frameHeader, type OpenCodec, openCodec, Writer } from '@tidemark/codec'
import { createProcessor } from '@tidemark/diff-processor'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { changesTopic, OBSERVED_TOPIC, PUBLISHED_SCHEMAS, snapshotsTopic, topicPlans } from '@tidemark/model'
import { createProjector } from '@tidemark/projector'
import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { observationBuilder, TEST_CAUSE } from '@tidemark/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CheckName } from './report.ts'
import { createProjectionReader } from './rows.ts'
import { verify } from './verify.ts'

const TOPIC = changesTopic('jobs')
let path: string
let embedded: Embedded
let codec: OpenCodec
let store: SqlStore

beforeAll(async () => {
  store = await openPglite({ dataDir: 'memory' })
})
afterAll(() => store.close())

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'tidemark-verify-'))
  embedded = await openEmbedded({ path, clock: systemClock })
  await embedded.log.ensureTopics(topicPlans({ partitions: 1 }))
  codec = await openCodec(embedded.registry)
  const b = observationBuilder(codec, 1)
  await embedded.log.append([
    ...[1, 2, 3].map((n) =>
      b.observe({
        model: 'jobs',
        remote: ['a'],
        atMs: n * 1000,
        record: { name: `Gardener ${n}`, custom_fields: { 'a/b': [n], big: 1e21 }, location: { city: 'Bree\u0000' } },
      }),
    ),
    b.observe({
      model: 'jobs',
      remote: ['b'],
      atMs: 4000,
      record: { name: 'Cook', weekly_hours: 37.5, opened_at: '2026-01-02T03:04:05.678Z' },
    }),
    b.observe({ model: 'job-stages', remote: ['a', 's1'], atMs: 5000, record: { index: 1 } }),
    b.childSweep({ model: 'job-stages', parent: ['a'], children: [], atMs: 6000 }),
  ])
  await runPipeline()
})

afterEach(async () => {
  await embedded.close()
  await store.script('drop schema tidemark cascade')
  rmSync(path, { recursive: true, force: true })
})

async function runPipeline(): Promise<void> {
  await process()
  await project()
}

/** Runs the processor to the end of the observations. */
async function process(): Promise<void> {
  const { log } = embedded
  const { end } = await log.bounds(OBSERVED_TOPIC, 0)
  const done = Promise.withResolvers<void>()
  const deps = {
    log,
    codec,
    clock: systemClock,
    random: fromNext(Math.random),
    logger: silentLogger,
    metrics: createMetrics(),
  }
  const processor = createProcessor(deps, {
    partitions: [0],
    onCommit: (_, position) => position >= end && done.resolve(),
  })
  processor.start()
  await done.promise
  await processor.stop()
}

async function project(
  erasureAfterMs: number | null = null,
  isDone: () => Promise<boolean> = async () => true,
): Promise<void> {
  const projector = createProjector({
    options: { erasureAfterMs },
    log: embedded.log,
    store,
    codec,
    logger: silentLogger,
    metrics: createMetrics(),
    clock: systemClock,
    schema: 'tidemark',
  })
  await projector.start()
  while (projector.status().lag > 0 || !(await isDone())) await systemClock.sleep(10)
  await projector.stop()
}

const run = (recordsPerPass?: number): ReturnType<typeof verify> =>
  verify(
    { log: embedded.log, codec, projection: createProjectionReader(store, 'tidemark') },
    {
      partitions: 1,
      signal: new AbortController().signal,
      ...(recordsPerPass === undefined ? {} : { recordsPerPass }),
    },
  )

const broken = async (): Promise<CheckName[]> => [...new Set((await run()).problems.map((p) => p.check))].sort()

async function lastChange(): Promise<{ key: Buffer; change: Change<'jobs'> }> {
  const { records } = await embedded.log.fetch({ topic: TOPIC, partition: 0, offset: 2 })
  const [record] = records
  return { key: record?.key as Buffer, change: codec.decodeChange('jobs', record?.value as Buffer) }
}

/** Appends a change as a faulty writer would. */
async function inject(edit: Partial<Change<'jobs'>>): Promise<void> {
  const { key, change } = await lastChange()
  const next: Change<'jobs'> = {
    ...change,
    event_id: '0-90',
    version: 4,
    cause: { ...change.cause, observed: { partition: 0, offset: 90 } },
    before: change.after,
    after: { ...change.after, name: 'Gardener 4' } as NonNullable<Change<'jobs'>['after']>,
    changes: [{ path: '/name', op: 'replace', before: '"Gardener 3"', after: '"Gardener 4"' }],
    ...edit,
  }
  const writer = new Writer()
  writer.raw(frameHeader(codec.schemaId(`${TOPIC}-value`)), 0, 5)
  compileRecord(JSON.parse(PUBLISHED_SCHEMAS[`${TOPIC}-value`]?.at(-1) as string)).write(writer, next)
  await embedded.log.append([{ topic: TOPIC, partition: 0, key, value: writer.take(), timestampMs: 1 }])
}

describe('verify', () => {
  it('holds on what the pipeline wrote, in one pass and in many, tables included', async () => {
    const report = await run()
    expect(report).toMatchObject({ ok: true, problemsTotal: 0, records: 3, rows: 3, superseded: 3, skipped: [] })
    expect(report.changes).toBe(6)
    expect(await run(1)).toMatchObject({ ok: true, records: 3, changes: 6, rows: 3, superseded: 3 })
  })

  it('finds a change that is there twice', async () => {
    const { records } = await embedded.log.fetch({ topic: TOPIC, partition: 0, offset: 2 })
    const [twice] = records
    await embedded.log.append([
      { topic: TOPIC, partition: 0, key: twice?.key as Buffer, value: twice?.value as Buffer, timestampMs: 1 },
    ])
    expect(await broken()).toEqual(expect.arrayContaining(['versions', 'events']))
    const [first] = (await run()).problems
    expect(first).toMatchObject({ topic: TOPIC, partition: 0, offset: 4, key: 'test:1/jobs/a' })
  })

  it.each<[string, Partial<Change<'jobs'>>, CheckName]>([
    ['a gap in the versions', { version: 6 }, 'versions'],
    ['a before that is not the last after', { before: null, changes: [] }, 'chain'],
    ['field changes that are not the difference', { changes: [] }, 'diff'],
    ['a deletion without evidence', { op: 'deleted' }, 'evidence'],
    ['an event id that names another observation', { event_id: '0-91' }, 'events'],
  ])('finds %s', async (_, edit, check) => {
    await inject(edit)
    expect(await broken()).toContain(check)
  })

  it('finds bytes that are no change', async () => {
    const { key } = await lastChange()
    await embedded.log.append([{ topic: TOPIC, partition: 0, key, value: Buffer.from('rust'), timestampMs: 1 }])
    expect(await broken()).toContain('decodable')
  })

  it('finds a change without its snapshot, and a snapshot without its change', async () => {
    await inject({})
    expect(await broken()).toEqual(['snapshots'])
    const { records } = await embedded.log.fetch({ topic: snapshotsTopic('jobs'), partition: 0, offset: 0 })
    await embedded.log.append([
      {
        topic: snapshotsTopic('jobs'),
        partition: 0,
        key: Buffer.from('test:1/jobs/ghost'),
        value: records[0]?.value as Buffer,
        timestampMs: 1,
      },
    ])
    const { problems } = await run()
    expect(problems.map((p) => p.message)).toEqual(
      expect.arrayContaining([expect.stringContaining('without any change')]),
    )
  })

  it.each([
    ['altered', `update tidemark.jobs set name = 'Mayor' where remote_id is not distinct from remote_id`],
    ['lost', 'delete from tidemark.jobs'],
    ['set back', 'update tidemark.jobs set version = 1'],
  ])('finds a row that was %s', async (_, sql) => {
    await store.query(sql)
    expect(await broken()).toEqual(['projection'])
  })

  const first = `version = 1 and name = 'Gardener 1'`
  it.each([
    ['altered', `update tidemark.jobs_history set name = 'Mayor' where ${first}`],
    ['lost', `delete from tidemark.jobs_history where ${first}`],
    ['ended too late', `update tidemark.jobs_history set superseded_at = 'infinity' where ${first}`],
    ['ended too early', `update tidemark.jobs_history set superseded_at = '1970-01-01' where ${first}`],
    ['emptied as if erased', `update tidemark.jobs_history set name = null, erased_at = now() where ${first}`],
    [
      'made up',
      `insert into tidemark.jobs_history select (jsonb_populate_record(h, '{"version": 7}')).* from tidemark.jobs_history h where ${first}`,
    ],
  ])('finds a superseded version that was %s', async (_, sql) => {
    await store.query(sql)
    expect(await broken()).toEqual(['projection'])
  })

  it('takes a version to end with any later one, also when that was observed earlier than the one between', async () => {
    await inject({ changed_at: 1500 })
    await project()
    expect(await broken()).toEqual(['snapshots'])
    await store.query(`update tidemark.jobs_history set superseded_at = superseded_at - interval '1 s' where ${first}`)
    expect(await broken()).toEqual(['projection', 'snapshots'])
  })

  describe('of personal data that was erased', () => {
    const columns = 'first_name = null, last_name = null, company = null, erased_at = now()'
    beforeEach(async () => {
      const b = observationBuilder(codec, 1)
      const frodo = { first_name: 'Frodo', source: 'Gandalf' }
      const evidence = { kind: 'provider_event', detail: null, pages: null, records: null }
      const cause = { ...TEST_CAUSE, evidence }
      const candidate = (remote: string, record: object) =>
        b.observe({
          model: 'candidates',
          remote: [remote],
          atMs: 7000,
          record: { ...frodo, remote_id: remote, ...record },
          fields: { cause },
        })
      await embedded.log.append([candidate('gone', { remote_deleted_at: 6500 }), candidate('here', {})])
      await runPipeline()
    })

    it('expects the rest of the record', async () => {
      expect(await run()).toMatchObject({ ok: true })
      const names = async (): Promise<unknown[]> =>
        (await store.query('select first_name from tidemark.candidates order by remote_id')).map(
          (row) => row['first_name'],
        )
      // A projector erases what is due as it starts.
      await project(0, async () => (await names())[0] === null)
      expect(await names()).toEqual([null, 'Frodo'])
      expect(await run()).toMatchObject({ ok: true, rows: 5 })
      await store.query(`update tidemark.candidates set source = 'Sauron' where remote_id = 'gone'`)
      expect(await broken()).toEqual(['projection'])
    })

    it.each([
      ['whose record is not deleted', `update tidemark.candidates set ${columns} where remote_id = 'here'`],
      ['and is there', `update tidemark.candidates set erased_at = now() where remote_id = 'gone'`],
    ])('finds a row %s', async (_, sql) => {
      await store.query(sql)
      expect(await broken()).toEqual(['projection'])
    })
  })

  it('does not blame tables that are only behind', async () => {
    const b = observationBuilder(codec, 1)
    await embedded.log.append([b.observe({ model: 'jobs', remote: ['b'], atMs: 9000, record: { name: 'Chef' } })])
    await process()
    expect(await run()).toMatchObject({ ok: true })
  })
})
