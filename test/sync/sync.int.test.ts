import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunResult, run } from './run.ts'

const seedGiven = process.env['TIDEMARK_SYNC_SEED']
const SEEDS = seedGiven === undefined ? [1, 2, 3] : [Number(seedGiven)]
const STEPS = Number(process.env['TIDEMARK_SYNC_STEPS'] ?? 500)
const MS_PER_STEP = 400

let store: SqlStore
beforeAll(async () => {
  store = await openPglite({ dataDir: 'memory' })
})
afterAll(() => store.close())

const results: RunResult[] = []

describe('the tables of an installation beside a provider that changes, errs and fails', () => {
  it.each(SEEDS)(
    `show no deletion that is not true, and all that are after a complete run (seed %i, ${STEPS} steps)`,
    async (seed) => {
      const result = await run({ seed, steps: STEPS, store, print: () => undefined })
      results.push(result)
      const { deletions, counts } = result
      process.stdout.write(
        `seed ${seed}: ${deletions} deletions, precision ${result.precision}; ${counts.gone} records gone, recall ${result.recall}; ` +
          `${counts.goodSyncs + counts.quietSyncs} good complete runs, ${counts.kills} kills, ${result.copies} copies of the past\n`,
      )
      expect(result).toMatchObject({ precision: 1, recall: 1, wrong: 0 })
    },
    60_000 + STEPS * MS_PER_STEP,
  )

  it('were put to the test by all of it', () => {
    const sum = (of: (result: RunResult) => number): number => results.reduce((total, one) => total + of(one), 0)
    for (const kind of ['absence', 'point_read', 'provider_event', 'provider_flag'])
      expect(
        sum(({ byEvidence }) => byEvidence.get(kind) ?? 0),
        kind,
      ).toBeGreaterThan(0)
    const { kills, held, goodSyncs, syncs, quietSyncs } = {
      kills: sum(({ counts }) => counts.kills),
      held: sum(({ counts }) => counts.held),
      goodSyncs: sum(({ counts }) => counts.goodSyncs),
      syncs: sum(({ counts }) => counts.syncs),
      quietSyncs: sum(({ counts }) => counts.quietSyncs),
    }
    expect(Math.min(kills, held, goodSyncs, quietSyncs)).toBeGreaterThan(0)
    // Some of the complete runs failed.
    expect(syncs).toBeGreaterThan(goodSyncs)
  })
})
