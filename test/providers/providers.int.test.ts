import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CONNECTORS, type ConnectorName, run } from './run.ts'

const SEED = Number(process.env['TIDEMARK_PROVIDERS_SEED'] ?? 1)
const STEPS = Number(process.env['TIDEMARK_PROVIDERS_STEPS'] ?? 30)
const MS_PER_STEP = 3000

let store: SqlStore
beforeAll(async () => {
  store = await openPglite({ dataDir: 'memory' })
})
afterAll(() => store.close())

/** How each provider tells that something is gone; a play without one of them tests less than it says. */
const TOLD_BY: Readonly<Record<ConnectorName, readonly string[]>> = {
  kombo: ['provider_flag', 'absence'],
  traffit: ['provider_event', 'point_read', 'absence'],
  hrworks: ['provider_event', 'point_read', 'absence'],
  knit: ['provider_event', 'absence'],
}

describe('the tables beside a simulated provider that changes, errs and fails, on the embedded log', () => {
  it.each(CONNECTORS)(
    `show what %s has, and no deletion that is not true (seed ${SEED}, ${STEPS} steps)`,
    async (connector) => {
      const { sides, counts } = await run({
        ...{ connectors: [connector], seed: SEED, steps: STEPS, store },
        print: () => undefined,
      })
      const [side] = sides
      process.stdout.write(
        `${connector}, seed ${SEED}: ${side?.deletions} deletions, precision ${side?.precision}; ${side?.gone} records gone, recall ${side?.recall}; ` +
          `${side?.compared} records equal; ${counts.acts} events, ${counts.faults} faults, ${counts.kills} kills\n`,
      )
      expect(side).toMatchObject({ precision: 1, recall: 1, wrong: 0 })
      expect([...(side?.byEvidence.keys() ?? [])]).toEqual(expect.arrayContaining([...TOLD_BY[connector]]))
      expect(Math.min(counts.acts, counts.faults, side?.gone ?? 0, side?.compared ?? 0)).toBeGreaterThan(0)
    },
    60_000 + STEPS * MS_PER_STEP,
  )
})
