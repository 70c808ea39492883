import { describe, expect, it } from 'vitest'
import { parseSchedule } from './sourceSchedule.ts'

describe("a source's schedule", () => {
  it('has the defaults for what it does not say, and times of its own for single listings', () => {
    expect(parseSchedule({})).toEqual({ deltaMs: 3_600_000, fullMs: 7 * 86_400_000, of: {} })
    expect(parseSchedule({ delta: '15m', of: { candidates: { delta: '90s', full: '1d' } } })).toEqual({
      deltaMs: 900_000,
      fullMs: 7 * 86_400_000,
      of: { candidates: { deltaMs: 90_000, fullMs: 86_400_000 } },
    })
  })

  it.each([
    [{ full: '8d' }, 'schedule.full: at most 7d'],
    [{ delta: '10s' }, 'schedule.delta: at least 1m'],
    [{ delta: 'often' }, 'schedule.delta: a time is a number'],
    [{ of: { jobs: { full: '30d' } } }, 'schedule.of.jobs.full: at most 7d'],
    [{ every: '1h' }, 'Unrecognized key'],
    ['1h', 'schedule'],
  ])('refuses %j', (value, message) => {
    expect(() => parseSchedule(value)).toThrow(message)
  })
})
