import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createWindows, limitOf, USUAL_LIMIT } from './rateLimit.ts'

const LIMIT = { requests: 3, windowMs: 1000 }

describe('a window', () => {
  test('begins with the first request, counts down, refuses, and begins anew', () => {
    const take = createWindows(LIMIT)
    expect([0, 100, 999].map((now) => take('a', 5000 + now))).toEqual([
      { allowed: true, remaining: 2, resetMs: 1000 },
      { allowed: true, remaining: 1, resetMs: 900 },
      { allowed: true, remaining: 0, resetMs: 1 },
    ])
    expect(take('a', 5999)).toEqual({ allowed: false, remaining: 0, resetMs: 1 })
    expect(take('a', 6000)).toEqual({ allowed: true, remaining: 2, resetMs: 1000 })
  })

  test('is of one client only', () => {
    const take = createWindows(LIMIT)
    for (let n = 0; n < 4; n++) take('a', 0)
    expect(take('b', 0)).toMatchObject({ allowed: true, remaining: 2 })
    expect(take('a', 0).allowed).toBe(false)
  })

  test('lets through no more than the limit, however requests come', () => {
    const request = fc.record({ client: fc.integer({ min: 0, max: 3 }), afterMs: fc.integer({ min: 0, max: 700 }) })
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
        const take = createWindows(LIMIT)
        const passed = new Map<string, number>()
        let now = 0
        for (const { client, afterMs } of requests) {
          now += afterMs
          const { allowed, remaining, resetMs } = take(client, now)
          const window = `${client} ${now + resetMs}`
          const count = (passed.get(window) ?? 0) + (allowed ? 1 : 0)
          passed.set(window, count)
          expect(count).toBe(LIMIT.requests - remaining)
          expect(allowed || remaining === 0).toBe(true)
          expect(resetMs).toBeGreaterThan(0)
          expect(resetMs).toBeLessThanOrEqual(LIMIT.windowMs)
        }
      }),
    )
  })

  test('begins anew when the clock was set back, instead of lasting until then', () => {
    const take = createWindows(LIMIT)
    for (let n = 0; n < 4; n++) take('a', 1_000_000)
    expect(take('a', 1000)).toEqual({ allowed: true, remaining: 2, resetMs: 1000 })
  })

  test('is forgotten when too many clients came since, so that memory stays bounded', () => {
    const take = createWindows({ requests: 1, windowMs: 1000 }, 2)
    take('a', 0)
    take('b', 1)
    take('c', 2)
    expect(take('b', 3).allowed).toBe(false)
    expect(take('c', 3).allowed).toBe(false)
    expect(take('a', 3).allowed).toBe(true)
  })
})

describe('the limit', () => {
  const key = { name: 'a', hash: '0'.repeat(64) }

  test.each([
    ['with keys is the usual one', [key], undefined, USUAL_LIMIT],
    ['without keys is none', [], undefined, undefined],
    ['is what is configured, also without keys', [], LIMIT, LIMIT],
    ['can be switched off', [key], false, undefined],
  ] as const)('%s', (_name, apiKeys, rateLimit, expected) => {
    expect(limitOf({ apiKeys, options: rateLimit === undefined ? {} : { rateLimit } })).toEqual(expected)
  })
})
