import { afterAll, describe, expect, it } from 'vitest'
import { findProxiedKafka } from './cluster.ts'
import { CUT_KEYS, CUT_KINDS } from './cuts.ts'
import { runCutting } from './cutting.ts'
import { type Stage, setStage } from './stage.ts'
import { runZombie } from './zombie.ts'

const { kafka, skipped } = await findProxiedKafka()
let stage: Stage | undefined
afterAll(async () => {
  if (stage) await stage.dispose()
  else await kafka?.stop()
})

const CLEAN = { lost: 0, repeated: 0, different: 0, details: [] }
const print = (): void => undefined

/** One after another on the same topics: the checker looks at everything from the beginning, each time. */
describe.skipIf(skipped !== undefined)(
  `the processor on three brokers${skipped ? ` (skipped: ${skipped})` : ''}`,
  () => {
    const onStage = async (): Promise<Stage> => {
      if (!kafka) throw new Error('skipped')
      stage ??= await setStage(kafka)
      return stage
    }

    it('loses and repeats nothing when connections are cut before, after and while brokers write', async () => {
      const result = await runCutting(await onStage(), { seed: 1, cuts: 63, withinMs: 200_000, print })
      expect(result).toMatchObject(CLEAN)
      // Otherwise nothing was put to the test: every kind of cut came, writes went to several brokers, and tasks failed of it.
      expect(Object.values(result.table).flatMap((kinds) => CUT_KINDS.map((kind) => kinds[kind]))).not.toContain(0)
      expect(Object.keys(result.table)).toHaveLength(CUT_KEYS.size)
      expect(result.leaders).toBeGreaterThan(1)
      expect(result.restarts).toBeGreaterThan(5)
      expect(result.changes).toBeGreaterThan(500)
    }, 400_000)

    it.each(['anywhere', 'before its commit arrives'] as const)(
      'is refused when it was stopped %s, replaced, and resumed',
      async (stopped) => {
        const result = await runZombie(await onStage(), { seed: 2, stopped })
        expect(result).toMatchObject(CLEAN)
        expect(result.failures).toContain('TASK_FENCED')
        expect(result.takenOver).toBeGreaterThan(0)
      },
      400_000,
    )

    it('would be caught if it retried in place, as kafkajs does: the same checker finds it', async () => {
      let wrong = 0
      for (let seed = 1; wrong === 0 && seed <= 3; seed++) {
        const result = await runCutting(await onStage(), {
          seed,
          cuts: 63,
          withinMs: 200_000,
          processor: 'usual',
          print,
        })
        wrong = result.lost + result.repeated
      }
      expect(wrong).toBeGreaterThan(0)
    }, 900_000)
  },
)
