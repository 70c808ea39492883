import { describe, expect, it } from 'vitest'
import { nextSlotMs } from './slots.ts'

const HOUR_MS = 3_600_000
const at = (time: string): number => Date.parse(`2026-01-05T${time}Z`)
const base = { nowMs: at('09:00:00'), periodMs: 24 * HOUR_MS, plannedMs: null, honorScheduler: false, start: null }

describe('the next slot', () => {
  it('is a period from the end of the run', () => {
    expect(nextSlotMs(base)).toBe(at('09:00:00') + 24 * HOUR_MS)
    expect(nextSlotMs({ ...base, plannedMs: at('12:00:00') })).toBe(at('09:00:00') + 24 * HOUR_MS)
  })

  it('stays where it was planned when the run honours it', () => {
    expect(nextSlotMs({ ...base, honorScheduler: true, plannedMs: at('12:00:00') })).toBe(at('12:00:00'))
    expect(nextSlotMs({ ...base, honorScheduler: true, plannedMs: at('08:00:00') })).toBe(at('09:00:00') + 24 * HOUR_MS)
  })

  it('is the next at the time of day, later today or tomorrow', () => {
    expect(nextSlotMs({ ...base, start: { hour: 22, minute: 30 } })).toBe(at('22:30:00'))
    expect(nextSlotMs({ ...base, start: { hour: 9, minute: 0 } })).toBe(at('09:00:00') + 24 * HOUR_MS)
    expect(nextSlotMs({ ...base, start: { hour: 2, minute: 0 }, periodMs: 6 * HOUR_MS })).toBe(at('14:00:00'))
    expect(nextSlotMs({ ...base, start: { hour: 20, minute: 0 }, periodMs: 6 * HOUR_MS })).toBe(at('14:00:00'))
  })
})
