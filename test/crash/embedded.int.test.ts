import { expect, it } from 'vitest'
import { crashEmbedded } from './embedded.ts'

it('loses nothing and repeats nothing when the whole process is killed again and again', {
  timeout: 240_000,
}, async () => {
  const result = await crashEmbedded({ kills: 6, seed: 7, lifeMs: 1_500, print: () => undefined })
  expect(result.details).toEqual([])
  expect(result.recordsWrong).toEqual([])
  expect(result).toMatchObject({
    lost: 0,
    repeated: 0,
    different: 0,
    webhooksLost: 0,

    verifyExitCode: 0,
  })
  // Otherwise the checks above had nothing to look at.
  expect(result.changes).toBeGreaterThan(1_000)
  expect(result.webhooksAcknowledged).toBeGreaterThan(0)
})
