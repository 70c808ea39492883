import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromNext, systemClock, TidemarkError } from '@tidemark/base'
import { type Change, type OpenCodec, openCodec } from '@tidemark/codec'
import type { Slice, Task, TaskOptions } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import {
  COMMANDS_TOPIC,
  COMPLETE_RUNS_TOPIC,
  changesTopic,
  DEAD_LETTERS_TOPIC,
  type ModelName,
  type Models,
  OBSERVED_TOPIC,
  parseSweepReport,
  publicId,
  type RecordKey,
  type SweepReport,
  SYNCS_TOPIC,
  type SyncEvent,
  topicPlans,
} from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { type Appendable, observationBuilder, type SweepSpec } from '@tidemark/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createProcessor, type ProcessorOptions } from './processor.ts'

const PARTITIONS = 2
let path: string
let embedded: Embedded
let codec: OpenCodec
let builder: ReturnType<typeof observationBuilder>

async function open(): Promise<void> {
  path = mkdtempSync(join(tmpdir(), 'tidemark-sweep-'))
  embedded = await openEmbedded({ path, clock: systemClock })
  await embedded.log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  codec = await openCodec(embedded.registry)
  builder = observationBuilder(codec, PARTITIONS)
}

async function close(): Promise<void> {
  await embedded.close()
  rmSync(path, { recursive: true, force: true })
}

beforeEach(open)
afterEach(close)

/** Lets a processor work until it has read everything. */
async function work(options: ProcessorOptions = {}): Promise<void> {
  const base = { log: embedded.log, codec, clock: systemClock, random: fromNext(Math.random), logger: silentLogger }
  const processor = createProcessor({ ...base, metrics: createMetrics() }, options)
  processor.start()
  const ends = await Promise.all([0, 1].map((p) => embedded.log.bounds(OBSERVED_TOPIC, p)))
  const isDone = (): boolean =>
    ends.every(({ end }, partition) => processor.status().find((s) => s.partition === partition)?.position === end)
  for (let i = 0; i < 1000 && !isDone(); i++) await systemClock.sleep(5)
  await processor.stop()
  expect(isDone()).toBe(true)
}

async function read<T>(topic: string, decode: (value: Buffer) => T): Promise<T[]> {
  const out: T[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { records } = await embedded.log.fetch({ topic, partition, offset: 0 })
    out.push(...records.map(({ value }) => decode(value as Buffer)))
  }
  return out
}

const changes = (model: ModelName): Promise<Change[]> => read(changesTopic(model), (v) => codec.decodeChange(model, v))
const deleted = async (model: ModelName): Promise<(string | null)[]> =>
  (await changes(model))
    .filter(({ op }) => op === 'deleted')
    .map(
      ({ after }) => (after as { name?: string; stage_id?: string }).name ?? (after as { stage_id: string }).stage_id,
    )
    .sort()

const reports = async (): Promise<SweepReport[]> =>
  (await read(COMMANDS_TOPIC, (value) => codec.decode('Command', value))).map(({ payload }) =>
    parseSweepReport(payload),
  )

const job = (name: string, atMs: number): Appendable =>
  builder.observe({ model: 'jobs', remote: [name], atMs, record: { name } })
const stage = (of: string, name: string, atMs: number): Appendable =>
  builder.observe({ model: 'job-stages', remote: [of, name], atMs, record: { stage_id: name } })

const RUN = { model: 'jobs', syncId: 'run-1', fromMs: 1000 } as const

/** Appends a control record of the run to every partition; the offsets it got there. */
async function control(kind: SweepSpec['kind'], atMs: number, more: Partial<SweepSpec> = {}): Promise<number[]> {
  return await embedded.log.append(builder.sweep({ ...RUN, kind, atMs, ...more }))
}

/** The same object with some methods replaced. */
function withOverrides<T extends object>(target: T, overrides: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = name in overrides ? overrides[name as keyof T] : target[name as keyof T]
      return typeof value === 'function' && !(name in overrides) ? value.bind(target) : value
    },
  })
}

describe('a sweep', () => {
  it('counts what a complete run did not have, and deletes it only when told to', async () => {
    await embedded.log.append(['a', 'b', 'c', 'd'].map((name) => job(name, 100)))
    const beginOffsets = await control('sweep_begin', 1000)
    // Unchanged, changed, and new ones are all there.
    await embedded.log.append([
      job('a', 1100),
      builder.observe({ model: 'jobs', remote: ['b'], atMs: 1100, record: { name: 'B' } }),
      job('e', 1100),
    ])
    await control('sweep_end', 2000, { beginOffsets, namesSuspects: true })
    await work()
    const counted = await reports()
    expect(counted.map(({ partition, phase }) => [partition, phase])).toEqual([
      [0, 'counted'],
      [1, 'counted'],
    ])
    expect(counted.reduce((sum, { suspects }) => sum + suspects, 0)).toBe(2)
    expect(counted.reduce((sum, { records }) => sum + records, 0)).toBe(5)
    expect(counted.flatMap(({ keys }) => keys).sort()).toEqual(['test:1/jobs/c', 'test:1/jobs/d'])
    expect(await deleted('jobs')).toEqual([])
    // One of them comes back before the decision.
    await embedded.log.append([job('d', 2100)])
    await control('sweep_apply', 3000, { beginOffsets })
    await work()
    expect(await deleted('jobs')).toEqual(['c'])
    const [change] = (await changes('jobs')).filter(({ op }) => op === 'deleted')
    expect(change).toMatchObject({
      changed_at: 3000,
      cause: {
        kind: 'full_sync',
        sync_id: 'run-1',
        evidence: { kind: 'absence', detail: 'not in the complete listing of jobs by run run-1', pages: 2, records: 7 },
      },
    })
    expect((await reports()).filter(({ phase }) => phase === 'applied').reduce((n, r) => n + r.deleted, 0)).toBe(1)
  })

  it('ends the children of what is gone, also of what was gone before, and leaves others alone', async () => {
    await embedded.log.append([
      ...[
        job('a', 100),
        stage('a', 's1', 100),
        job('b', 100),
        stage('b', 's2', 100),
        job('c', 100),
        stage('c', 's3', 100),
      ],
      builder.observe({ model: 'jobs', remote: ['c'], atMs: 200, fields: { kind: 'deleted' } }),
      builder.observe({ model: 'jobs', remote: ['z'], atMs: 200, integrationId: 'test:2', record: { name: 'z' } }),
    ])
    const beginOffsets = await control('sweep_begin', 1000)
    // Only a child of it was seen: then it is there too.
    await embedded.log.append([stage('b', 's2', 1100)])
    await control('sweep_end', 2000, { beginOffsets })
    await work()
    const counted = await reports()
    expect(counted.reduce((sum, { suspects }) => sum + suspects, 0)).toBe(1)
    expect(counted.reduce((sum, { children }) => sum + children, 0)).toBe(2)
    await control('sweep_apply', 3000, { beginOffsets })
    await work()
    expect(await deleted('job-stages')).toEqual(['s1', 's3'])
    expect(await deleted('jobs')).toEqual(['a', 'c'])
  })

  it('ends the children of a parent that nobody has ever seen, unless one of them was seen since, or it could not be read', async () => {
    await embedded.log.append([
      ...[
        stage('unseen', 's1', 100),
        stage('unseen', 's2', 100),
        stage('again', 's3', 100),
        stage('broken', 's4', 100),
      ],
      ...[job('a', 100), stage('a', 's5', 100)],
    ])
    const beginOffsets = await control('sweep_begin', 1000)
    await embedded.log.append([job('a', 1100), stage('again', 's3', 1100)])
    const spared = ['test:1/jobs/broken']
    await control('sweep_end', 2000, { beginOffsets, spared, namesSuspects: true })
    await work()
    const counted = await reports()
    expect(counted.flatMap(({ keys }) => keys)).toEqual(['test:1/jobs/unseen'])
    // The parent is nobody's record, so it is no suspect that somebody has to decide about.
    expect(counted.reduce((sum, { suspects }) => sum + suspects, 0)).toBe(0)
    expect(counted.reduce((sum, { children }) => sum + children, 0)).toBe(2)
    await control('sweep_apply', 3000, { beginOffsets, spared })
    await work()
    expect(await deleted('job-stages')).toEqual(['s1', 's2'])
    expect(await deleted('jobs')).toEqual([])
  })

  it('spares what was listed but could not be read', async () => {
    await embedded.log.append([job('a', 100), job('b', 100)])
    const beginOffsets = await control('sweep_begin', 1000)
    await control('sweep_apply', 3000, { beginOffsets, spared: ['test:1/jobs/a'] })
    await work()
    expect(await deleted('jobs')).toEqual(['b'])
  })

  it('is skipped with a reason when the beginning of its run is gone, or makes no sense', async () => {
    await embedded.log.append([job('a', 100), job('b', 100)])
    const beginOffsets = await control('sweep_begin', 1000)
    await control('sweep_apply', 3000, { beginOffsets: beginOffsets.map((offset) => Math.max(0, offset - 1)) })
    await control('sweep_apply', 3000, { beginOffsets: [900, 900] })
    await work()
    expect(await deleted('jobs')).toEqual([])
    const answers = await reports()
    expect(answers.some(({ phase, reason }) => phase === 'skipped' && reason?.includes('no longer in'))).toBe(true)
    expect(await read(DEAD_LETTERS_TOPIC, (v) => codec.decode('DeadLetter', v).code)).toEqual([
      'VALUE_UNDECODABLE',
      'VALUE_UNDECODABLE',
    ])
  })

  it('goes through many transactions, and through restarts between them, with each deletion once', async () => {
    await embedded.log.append(Array.from({ length: 40 }, (_, i) => job(`j${i}`, 100)))
    const beginOffsets = await control('sweep_begin', 1000)
    await control('sweep_apply', 3000, { beginOffsets })
    const limits = { outputsMax: 4, bytesMax: 1e9 }
    let left = 5
    const log = withOverrides(embedded.log, {
      openTask: async (options: TaskOptions): Promise<Task> => {
        const task = await embedded.log.openTask(options)
        return withOverrides(task, {
          commit: async (slice: Slice) => {
            if (left-- > 0) return await task.commit(slice)
            left = 5
            throw new TidemarkError('LOG_UNAVAILABLE', 'cut')
          },
        })
      },
    })
    const base = { log, codec, clock: systemClock, random: fromNext(() => 0), logger: silentLogger }
    const processor = createProcessor({ ...base, metrics: createMetrics() }, { limits, partitions: [0, 1] })
    processor.start()
    for (let i = 0; i < 2000 && (await reports()).length < 2; i++) await systemClock.sleep(5)
    await processor.stop()
    const all = await changes('jobs')
    expect(all.filter(({ op }) => op === 'deleted')).toHaveLength(40)
    expect(new Set(all.map(({ event_id }) => event_id)).size).toBe(80)
    expect((await reports()).reduce((sum, { deleted: n }) => sum + n, 0)).toBe(40)
  })

  it('deletes exactly what was alive and unseen between its beginning and its application', async () => {
    const step = fc.record({ what: fc.constantFrom('seen', 'edited', 'deleted'), job: fc.integer({ min: 0, max: 5 }) })
    const scenario = fc.tuple(
      fc.array(step, { maxLength: 12 }),
      fc.array(step, { maxLength: 8 }),
      fc.array(step, { maxLength: 4 }),
      fc.integer({ min: 1, max: 6 }),
    )
    await fc.assert(
      fc.asyncProperty(scenario, async ([before, during, late, outputsMax]) => {
        await close()
        await open()
        const alive = new Map<number, boolean>()
        const seen = new Set<number>()
        let atMs = 100
        const append = async (steps: typeof before, isRun: boolean): Promise<void> => {
          for (const { what, job: n } of steps) {
            atMs += 10
            const name = what === 'edited' ? `${n} at ${atMs}` : `${n}`
            const fields = { kind: what === 'deleted' ? 'deleted' : 'record' } as const
            await embedded.log.append([
              builder.observe({
                model: 'jobs',
                remote: [`${n}`],
                atMs,
                record: what === 'deleted' ? {} : { name },
                fields,
              }),
            ])
            if (what !== 'deleted') alive.set(n, true)
            else if (alive.has(n)) alive.set(n, false)
            if (isRun) seen.add(n)
          }
        }
        await append(before, false)
        const beginOffsets = await control('sweep_begin', atMs, { fromMs: atMs + 5 })
        await append(during, true)
        await control('sweep_end', atMs + 5, { beginOffsets, fromMs: atMs + 5 })
        await append(late, true)
        await control('sweep_apply', atMs + 6, { beginOffsets, fromMs: atMs + 6 })
        const expected = [...alive].filter(([n, isAlive]) => isAlive && !seen.has(n)).map(([n]) => `test:1/jobs/${n}`)
        await work({ limits: { outputsMax, bytesMax: 1e9 } })
        const swept = (await changes('jobs')).filter(({ cause }) => cause.evidence?.kind === 'absence')
        const ids = new Set(expected.map((key) => publicId(key as RecordKey)))
        expect(new Set(swept.map(({ id }) => id))).toEqual(ids)
        expect(swept).toHaveLength(ids.size)
      }),
      { numRuns: 25 },
    )
  })
})

describe('when a record was seen last', () => {
  const window = async (name: string): Promise<(number | null)[]> =>
    (await changes('jobs'))
      .filter(({ before }) => (before as Models['jobs'] | null)?.name === name)
      .map(({ cause }) => cause.previous_seen_at)

  /** `<name>` becomes `<name>'`. */
  const edit = (name: string, atMs: number, askedMs = atMs): Appendable =>
    builder.observe({
      ...{ model: 'jobs', remote: [name], atMs, record: { name: `${name}'` } },
      fields: { fetchStartedAt: askedMs },
    })

  it('is when the last complete run over its model began, however the work is cut', async () => {
    await embedded.log.append([job('a', 100), job('b', 100)])
    const first = await control('sweep_begin', 1000)
    await embedded.log.append([job('a', 1100), job('b', 1100)])
    await control('sweep_end', 2000, { beginOffsets: first })
    await work()
    // A run that was cut short says nothing.
    await control('sweep_begin', 2500, { syncId: 'run-2', fromMs: 2500 })
    await embedded.log.append([edit('a', 3000), job('c', 3000)])
    await work({ fetchMax: 1 })
    expect(await window('a')).toEqual([1000])
    // Of another integration, and what was asked for before the run began.
    await embedded.log.append([
      builder.observe({ model: 'jobs', remote: ['z'], atMs: 10, integrationId: 'test:2', record: { name: 'z' } }),
      builder.observe({ model: 'jobs', remote: ['z'], atMs: 4000, integrationId: 'test:2', record: { name: 'Z' } }),
      edit('b', 4000, 900),
    ])
    await work()
    expect(await window('z')).toEqual([10])
    expect(await window('b')).toEqual([100])
  })

  it('is not moved by a run that missed records, until they are deleted', async () => {
    await embedded.log.append(['a', 'b', 'c'].map((name) => job(name, 100)))
    const beginOffsets = await control('sweep_begin', 1000)
    await embedded.log.append([job('a', 1100), job('b', 1100)])
    await control('sweep_end', 2000, { beginOffsets })
    await embedded.log.append([edit('a', 2500)])
    await control('sweep_apply', 3000, { beginOffsets, fromMs: 1000 })
    await embedded.log.append([edit('b', 3500)])
    await work()
    expect(await window('c')).toEqual([100])
    expect(await window('b')).toEqual([1000])
  })

  it('is not what a run could not read, nor what came from elsewhere while it went on', async () => {
    await embedded.log.append([job('a', 100), job('b', 100)])
    const beginOffsets = await control('sweep_begin', 1000)
    await embedded.log.append([edit('b', 900), job('n', 950)])
    await control('sweep_end', 2000, { beginOffsets, spared: ['test:1/jobs/a'] })
    await embedded.log.append([
      edit('a', 3000),
      builder.observe({ model: 'jobs', remote: ['n'], atMs: 3000, record: { name: 'N' } }),
    ])
    await work()
    expect(await window('a')).toEqual([100])
    expect(await window('n')).toEqual([950])
  })

  it('is restored with the state of the records', async () => {
    await embedded.log.append([job('a', 100)])
    const beginOffsets = await control('sweep_begin', 1000)
    await embedded.log.append([job('a', 1100)])
    await control('sweep_end', 2000, { beginOffsets })
    await work()
    const kept = await read(COMPLETE_RUNS_TOPIC, (value) => codec.decode('CompleteRun', value))
    expect(kept).toEqual(
      beginOffsets.map((begin_offset) => ({
        ...{ integration_id: 'test:1', model: 'jobs', sync_id: 'run-1', started_at: 1000, begin_offset, unread: [] },
      })),
    )
  })
})

describe('counts of runs', () => {
  it('say what the observations of a run came to, once each, however the work is cut', async () => {
    await embedded.log.append([job('a', 100), job('b', 100)])
    const run = { cause: { ...causeOf('reconcile', 'run-9') } }
    const late = { ...run, remoteVersion: 5 }
    await embedded.log.append([
      builder.observe({ model: 'jobs', remote: ['a'], atMs: 1_000_000, record: { name: 'a' }, fields: run }),
      builder.observe({ model: 'jobs', remote: ['b'], atMs: 1_000_000, record: { name: 'B' }, fields: late }),
      builder.observe({
        model: 'jobs',
        remote: ['c'],
        atMs: 1_000_000,
        record: { name: 'c' },
        fields: { ...run, remoteVersion: 999_000 },
      }),
      builder.observe({
        model: 'jobs',
        remote: ['c'],
        atMs: 1_000_100,
        fields: { ...run, kind: 'deleted', remoteVersion: 999_500 },
      }),
    ])
    await work({ limits: { outputsMax: 1, bytesMax: 1e9 }, fetchMax: 1 })
    const events = (await read(SYNCS_TOPIC, (v): SyncEvent => codec.decode('SyncEvent', v))).filter(
      (e) => e.sync_id === 'run-9',
    )
    const sum = (name: 'created' | 'updated' | 'deleted' | 'unchanged' | 'drift'): number =>
      events.flatMap(({ counts }) => counts).reduce((total, counts) => total + counts[name], 0)
    expect(
      events.every(
        ({ event, integration_id, kind }) => event === 'counted' && integration_id === 'test:1' && kind === 'full',
      ),
    ).toBe(true)
    // What the provider changed just before may still have been on its way: no drift.
    expect([sum('created'), sum('updated'), sum('deleted'), sum('unchanged'), sum('drift')]).toEqual([1, 1, 1, 1, 1])
  })
})

const causeOf = (kind: string, syncId: string) => ({
  ...{ kind, sync_id: syncId, event_name: null, event_id: null, actor: null, raw: null, evidence: null },
})
