import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readFrame } from './frame.ts'
import { judgeRun, readCounters } from './runs.ts'

const events = JSON.parse(readFileSync(new URL('../fixtures/events.json', import.meta.url), 'utf8')) as Record<
  string,
  object
>
const counters = (name: string, more: object = {}, data: object = {}) => {
  const event = { ...events[name], ...more } as { eventData?: object }
  return readCounters(readFrame(Buffer.from(JSON.stringify({ ...event, eventData: { ...event.eventData, ...data } }))))
}

describe('counters', () => {
  it('are read as numbers or texts, times in ms', () => {
    expect(counters('allConsumed')).toEqual({
      ...{ dataType: 'ats_jobs', syncType: 'delta_sync', syncJobId: 'sj_1', syncRunId: 'sr_2', status: 'completed' },
      ...{ processed: 200, emitted: 3, consumed: 3, isComplete: true },
      ...{ startedAtMs: 1772355600000, processedAtMs: 1772355660000, completedAtMs: 1772355670000 },
    })
    expect(counters('processed', {}, { processed: '200', emitted: '0' })).toMatchObject({ processed: 200, emitted: 0 })
  })

  it('are null where they say nothing', () => {
    const odd = { processed: -1, emitted: 1.5, consumed: 'all', startedAt: 'now', complete: 'true' }
    expect(counters('allConsumed', {}, odd)).toMatchObject({
      ...{ processed: null, emitted: null, consumed: null, startedAtMs: null, isComplete: false },
    })
  })
})

describe('a run', () => {
  const initial = { syncType: 'initial_sync' }
  const facts = {
    processed: counters('processed', initial),
    allConsumed: counters('allConsumed', initial),
    hasFailed: false,
  }

  it('shows all when it is initial, complete, and everything arrived; more than once does not harm', () => {
    expect(judgeRun({ ...facts, received: 3 })).toMatchObject({ state: 'complete', showsAll: true })
    expect(judgeRun({ ...facts, processed: null, received: 4 })).toMatchObject({ state: 'complete', showsAll: true })
  })

  it('shows not all when nobody counted, or it is a delta', () => {
    expect(judgeRun({ ...facts, received: null })).toMatchObject({ state: 'complete', showsAll: false })
    const delta = { ...facts, processed: counters('processed'), allConsumed: counters('allConsumed') }
    expect(judgeRun({ ...delta, received: 3 })).toMatchObject({ state: 'complete', showsAll: false })
  })

  it('with nothing to emit is complete as well', () => {
    const allConsumed = counters('allConsumed', initial, { emitted: 0, consumed: 0 })
    expect(judgeRun({ ...facts, processed: null, allConsumed, received: 0 })).toMatchObject({ showsAll: true })
  })

  it('goes on until all is consumed', () => {
    expect(judgeRun({ ...facts, allConsumed: null, received: 3 })).toMatchObject({ state: 'running', showsAll: false })
  })

  it('that failed stays failed', () => {
    expect(judgeRun({ ...facts, hasFailed: true, received: 3 })).toMatchObject({ state: 'failed', showsAll: false })
  })

  it.each([
    ['fewer arrived than were emitted', { received: 2 }],
    ['fewer were consumed', { allConsumed: counters('allConsumed', initial, { consumed: 2 }) }],
    ['it is not marked complete', { allConsumed: counters('allConsumed', initial, { complete: false }) }],
    ['a counter is missing', { allConsumed: counters('allConsumed', initial, { emitted: null }) }],
    ['its events say different things', { processed: counters('processed', initial, { emitted: 4 }) }],
    ['its events are of two runs', { processed: counters('processed', { ...initial, syncRunId: 'sr_9' }) }],
  ])('disagrees when %s', (_what, change) => {
    expect(judgeRun({ ...facts, received: 3, ...change })).toMatchObject({ state: 'disagrees', showsAll: false })
  })
})
