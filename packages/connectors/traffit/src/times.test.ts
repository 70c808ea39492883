import { describe, expect, it } from 'vitest'
import { createTimes } from './times.ts'

const iso = (ms: number | undefined | null): string | null => (ms == null ? null : new Date(ms).toISOString())

describe('times without a zone', () => {
  it('are UTC unless the tenant says otherwise', () => {
    expect(iso(createTimes('UTC').toMs('2026-07-01 10:00:00'))).toBe('2026-07-01T10:00:00.000Z')
    expect(iso(createTimes('Europe/Warsaw').toMs('2026-07-01 10:00:00'))).toBe('2026-07-01T08:00:00.000Z')
    expect(iso(createTimes('Europe/Warsaw').toMs('2026-01-01 00:30:00'))).toBe('2025-12-31T23:30:00.000Z')
    expect(iso(createTimes('America/New_York').toMs('2026-07-01 10:00:00'))).toBe('2026-07-01T14:00:00.000Z')
  })

  it('keep an offset that they do have', () => {
    expect(iso(createTimes('Europe/Warsaw').toMs('2026-07-01T10:00:00+00:00'))).toBe('2026-07-01T10:00:00.000Z')
  })

  it.each([null, undefined, '', 'soon', '0000-00-00 00:00:00', 17, {}])('are not %j', (value) => {
    expect(createTimes('Europe/Warsaw').toMs(value)).toBeUndefined()
    expect(createTimes('UTC').version(value)).toBeNull()
  })

  it('that the clock shows twice are the earlier moment, and order nothing', () => {
    const times = createTimes('Europe/Warsaw')
    expect(iso(times.toMs('2026-10-25 02:30:00'))).toBe('2026-10-25T00:30:00.000Z')
    expect(times.version('2026-10-25 02:30:00')).toBeNull()
    expect(iso(times.version('2026-10-25 03:00:00'))).toBe('2026-10-25T02:00:00.000Z')
    expect(iso(times.version('2026-10-25 01:59:59'))).toBe('2026-10-24T23:59:59.000Z')
  })

  it('that the clock skips are the moment they would have been', () => {
    expect(iso(createTimes('Europe/Warsaw').toMs('2026-03-29 02:30:00'))).toBe('2026-03-29T01:30:00.000Z')
  })
})

it('writes a moment as the tenant does', () => {
  const ms = Date.parse('2026-07-01T10:00:00.900Z')
  expect(createTimes('UTC').toText(ms)).toBe('2026-07-01 10:00:00')
  expect(createTimes('Europe/Warsaw').toText(ms)).toBe('2026-07-01 12:00:00')
})
