import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createDiffer } from '@tidemark/diff'
import type { AppendRecord, LogRecord } from '@tidemark/log'
import type { ModelName } from '@tidemark/model'
import { type Appendable, MemoryState, memoryRegistry, observationBuilder } from '@tidemark/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { processSlice, type SliceLimits } from './slice.ts'

let codec: OpenCodec
beforeAll(async () => {
  codec = await openCodec(memoryRegistry())
})

const toRecords = (values: readonly Appendable[]): LogRecord[] =>
  values.map(({ key, value, timestampMs }, offset) => ({ key, value, timestampMs, offset }))

/** Runs a partition in slices, as the processor does, with a restart between any two. */
function run(
  records: readonly LogRecord[],
  limits: SliceLimits,
  fetchMax = 1000,
): { outputs: AppendRecord[]; state: MemoryState } {
  const state = new MemoryState()
  const outputs: AppendRecord[] = []
  let position = 0
  while (position < records.length) {
    const slice = processSlice({
      codec,
      differ: createDiffer(codec),
      state,
      partition: 0,
      records: records.slice(position, position + fetchMax),
      limits,
    })
    state.apply(slice.state)
    outputs.push(...slice.outputs)
    expect(slice.position).toBeGreaterThan(position)
    position = slice.position
  }
  return { outputs, state }
}

const BIG: SliceLimits = { outputsMax: 1e9, bytesMax: 1e9 }

function changesOf(outputs: readonly AppendRecord[], model: ModelName): ReturnType<OpenCodec['decodeChange']>[] {
  return outputs
    .filter((o) => o.topic === `ats.${model}.changes`)
    .map((o) => codec.decodeChange(model, o.value as Buffer))
}

describe('slices of a partition', () => {
  it('emit the same bytes wherever they begin and end', () => {
    const scenario = fc.array(
      fc.record({
        job: fc.integer({ min: 0, max: 2 }),
        stage: fc.integer({ min: 0, max: 2 }),
        what: fc.constantFrom('job', 'stage', 'sweep', 'broken', 'deleted'),
        name: fc.constantFrom('a', 'b', 'c'),
      }),
      { minLength: 1, maxLength: 40 },
    )
    fc.assert(
      fc.property(
        scenario,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        (steps, outputsMax, fetchMax) => {
          const b = observationBuilder(codec, 1)
          const records = toRecords(
            steps.map((s, i) => {
              const atMs = 10_000 + i * 100
              if (s.what === 'job')
                return b.observe({ model: 'jobs', remote: [`j${s.job}`], atMs, record: { name: s.name } })
              if (s.what === 'deleted')
                return b.observe({ model: 'jobs', remote: [`j${s.job}`], atMs, fields: { kind: 'deleted' } })
              if (s.what === 'stage')
                return b.observe({
                  model: 'job-stages',
                  remote: [`j${s.job}`, `s${s.stage}`],
                  atMs,
                  record: { index: s.name.charCodeAt(0) },
                })
              if (s.what === 'sweep')
                return b.childSweep({ model: 'job-stages', parent: [`j${s.job}`], children: [`s${s.stage}`], atMs })
              return { ...b.observe({ model: 'jobs', remote: ['x'], atMs }), value: Buffer.from([0, 0, 0, 99, 99, 1]) }
            }),
          )
          const whole = run(records, BIG)
          expect(run(records, { outputsMax, bytesMax: 1e9 }, fetchMax)).toEqual(whole)
          expect(run(records, { outputsMax: 1e9, bytesMax: 1 }, 1000)).toEqual(whole)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('end the children that a complete list does not name, also those created in the same slice, and leave other parents alone', () => {
    const b = observationBuilder(codec, 1)
    const stage = (job: string, s: string, atMs: number): Appendable =>
      b.observe({ model: 'job-stages', remote: [job, s], atMs, record: { stage_id: s } })
    const { outputs } = run(
      toRecords([
        stage('j1', 's1', 100),
        stage('j1', 's2', 100),
        stage('j10', 's2', 100),
        stage('j1', 's3', 900),
        b.childSweep({ model: 'job-stages', parent: ['j1'], children: ['s1'], atMs: 500 }),
      ]),
      BIG,
    )
    const deleted = changesOf(outputs, 'job-stages').filter((c) => c.op === 'deleted')
    expect(deleted).toMatchObject([
      { after: { stage_id: 's2', remote_deleted_at: 500 }, cause: { evidence: { kind: 'absence', records: 1 } } },
    ])
  })

  it('turn what cannot be read into one dead letter with its position, and go on behind it', () => {
    const b = observationBuilder(codec, 1)
    const good = b.observe({ model: 'tags', remote: ['t'], atMs: 1, record: { name: 'a' } })
    const cut = { ...good, value: good.value.subarray(0, good.value.length - 1) }
    const alien = { ...good, value: Buffer.from('hello') }
    const orphan = b.childSweep({ model: 'job-stages', parent: ['j'], children: [], atMs: 1 })
    const wrongParent = {
      ...orphan,
      value: codec.encode('Control', { ...decodedControl(orphan.value), parent_key: 'test:1/tags/t' }),
    }
    const noKey = { ...good, key: null as unknown as Buffer }
    const { outputs, state } = run(toRecords([cut, alien, noKey, wrongParent, good]), BIG)
    const dead = outputs
      .filter((o) => o.topic === 'ats.dead-letters')
      .map((o) => codec.decode('DeadLetter', o.value as Buffer))
    expect(dead.map((d) => [d.stage, d.code, d.offset])).toEqual(
      [0, 1, 2, 3].map((offset) => ['diff', 'VALUE_UNDECODABLE', offset]),
    )
    expect(changesOf(outputs, 'tags')).toMatchObject([{ op: 'created' }])
    expect(state.size).toBe(1)
  })
})

function decodedControl(value: Buffer): Parameters<typeof codec.encode<'Control'>>[1] {
  const observed = codec.decodeObserved(value)
  if (observed.kind !== 'control') throw new Error('not a control record')
  return observed.control
}
