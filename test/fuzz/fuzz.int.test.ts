import { expect, it } from 'vitest'
import { fuzzWebhooks } from './fuzz.ts'
import { TARGETS } from './targets.ts'

it('answers mutated webhooks without failing, stores none that is not proved, and keeps nothing', {
  timeout: 120_000,
}, async () => {
  const { problems, byStatus, stored, unmappable, heap } = await fuzzWebhooks({ bodies: 8_000, seed: 5 })
  expect(problems).toEqual([])
  expect(byStatus.get(200)).toBe(stored)
  // Otherwise there was nothing to look at.
  expect(byStatus.get(401)).toBeGreaterThan(1_000)
  expect(stored - unmappable).toBeGreaterThan(500)
  expect(heap[1] - heap[0]).toBeLessThan(32 * 1_048_576)
  expect(TARGETS.length).toBeGreaterThan(0)
})
