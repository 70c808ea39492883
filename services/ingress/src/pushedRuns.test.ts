import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fakeConnector, pageOf } from '../test/fakeSource.ts'
import { Harness, PARTITIONS } from '../test/harness.ts'
import { DEFAULT_SCHEDULE } from './schedule.ts'

const ID = 'acme:1'
const COMPLETE = { id: 'run-1', stream: 'tags', isComplete: true }
let harness: Harness
let events = 0
let startedAt = 500

beforeEach(async () => {
  events = 0
  harness = new Harness([ID], ['tags'])
  harness.source.pushes = true
  harness.source.script = () => [pageOf('tags', [], { notOffered: 'it sends them itself' })]
  await harness.start()
  await harness.settle()
})

afterEach(() => harness.close())

const push = (ids: readonly string[], run: object | undefined = COMPLETE, id = `e${++events}`) =>
  harness.post({ id, type: 'records', integration: ID, ids, run })

const over = (count: number | null, run: object = COMPLETE, outcome = 'complete') =>
  harness.post({ id: `e${++events}`, type: 'run_over', integration: ID, run, outcome, events: count, at: startedAt })

const ends = () => harness.sweeps('sweep_end')
const finished = () => harness.events('finished').filter(({ sync_id: id }) => id?.startsWith('run-'))

describe('a run in which the provider sends the records', () => {
  it('begins before its first record, and is swept when as many events were observed as were sent', async () => {
    await push(['a'])
    await push(['b', 'c'])
    await over(2)
    await harness.settle()
    const begins = harness.sweeps('sweep_begin').filter(({ sync_id: id }) => id === 'run-1')
    expect(begins).toHaveLength(PARTITIONS)
    expect(ends()).toHaveLength(PARTITIONS)
    expect(ends()[0]).toMatchObject({ sync_id: 'run-1', model: 'tags', records: 3, names_suspects: false })
    for (const { value } of harness.observed())
      if (value.kind !== 'control')
        expect(value.observation.cause).toMatchObject({ kind: 'full_sync', sync_id: 'run-1' })
    expect(harness.events('stream_finished').at(-1)).toMatchObject({ watermark: 500, state: 'SUCCEEDED', kind: 'full' })
    expect(finished()).toMatchObject([{ sync_id: 'run-1', state: 'SUCCEEDED' }])
  })

  it('is not swept when events are missing, are not known, or were counted by an earlier process', async () => {
    await push(['a'])
    await over(2)
    await push(['a'], { ...COMPLETE, id: 'run-2' })
    await over(null, { ...COMPLETE, id: 'run-2' })
    await push(['a'], { ...COMPLETE, id: 'run-3' })
    await harness.settle()
    harness.kill()
    await harness.start()
    await push(['b'], { ...COMPLETE, id: 'run-3' })
    await over(2, { ...COMPLETE, id: 'run-3' })
    await harness.settle()
    expect(ends()).toEqual([])
    expect(harness.events('stream_finished').at(-1)?.message).toContain('2 events were sent, 1 observed')
  })

  it('counts an event that comes twice once', async () => {
    await push(['a'], COMPLETE, 'same')
    await push(['a'], COMPLETE, 'same')
    await over(1)
    await harness.settle()
    expect(ends()).toHaveLength(PARTITIONS)
  })

  it('that fails, or is overtaken by another one, is not swept and says so; its late events are events like others', async () => {
    await push(['a'])
    await over(1, COMPLETE, 'failed')
    await push(['a'], { ...COMPLETE, id: 'run-2' })
    await push(['a'], { ...COMPLETE, id: 'run-3' })
    await push(['b'], { ...COMPLETE, id: 'run-2' })
    await over(1, { ...COMPLETE, id: 'run-3' })
    await harness.settle()
    expect(finished().map(({ sync_id: id, state }) => [id, state])).toEqual([
      ['run-1', 'FAILED'],
      ['run-2', 'CANCELLED'],
      ['run-3', 'SUCCEEDED'],
    ])
    expect(new Set(ends().map(({ sync_id: id }) => id))).toEqual(new Set(['run-3']))
    expect(harness.observed().map(({ key }) => key)).toContain(`${ID}/tags/b`)
  })

  it('of differences only is never swept', async () => {
    const delta = { ...COMPLETE, isComplete: false }
    await push(['a'], delta)
    await over(1, delta)
    await harness.settle()
    expect(harness.sweeps('sweep_begin').filter(({ sync_id: id }) => id === 'run-1')).toEqual([])
    expect(finished()).toMatchObject([{ state: 'SUCCEEDED', kind: 'delta' }])
  })
})

describe('a provider that sends by itself', () => {
  it('is not asked for what has changed, neither by schedule nor at the start, but for everything from time to time', async () => {
    startedAt = harness.clock.now()
    await push(['a'])
    await over(1)
    await harness.settle()
    const { source } = harness
    const schedule = { ...DEFAULT_SCHEDULE, deltaMs: 60_000, fullMs: 600_000 }
    harness.kill()
    const before = source.fetched.length
    await harness.start([{ name: 'main', connector: fakeConnector, source, schedule }])
    await harness.clock.advance(300_000)
    await harness.settle()
    expect(source.fetched.slice(before)).toEqual([])
    await harness.clock.advance(600_000)
    await harness.settle()
    expect(source.fetched.slice(before).map(({ updatedAfterMs }) => updatedAfterMs)).toEqual([undefined])
  })
})
