import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readFrame } from './frame.ts'
import { disagreement, readCounters } from './runs.ts'

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
      ...{ dataType: 'ats_jobs', syncType: 'delta_sync', syncRunId: 'sr_2', startedAtMs: 1772355600000 },
      ...{ processed: 200, emitted: 3, consumed: 3, isComplete: true },
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

describe('counters of a run that is over', () => {
  it('agree when everything that was emitted was consumed, also when that is nothing', () => {
    expect(disagreement(counters('allConsumed'))).toBeNull()
    expect(disagreement(counters('allConsumed', {}, { emitted: 0, consumed: '0' }))).toBeNull()
  })

  it.each([
    ['fewer were consumed', { consumed: 2 }, '3 events were emitted, 2 consumed'],
    ['it is not marked complete', { complete: false }, 'not marked complete'],
    ['a counter is missing', { emitted: null }, 'does not say'],
  ])('do not agree when %s', (_what, data, said) => {
    expect(disagreement(counters('allConsumed', {}, data))).toContain(said)
  })
})
