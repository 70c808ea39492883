import { afterAll, describe, expect, it } from 'vitest'
import { findKafka } from '../harness/kafka.ts'
import { PARTITIONS } from '../sync/stage.ts'
import { openKafkaLog } from './kafkaLog.ts'
import { CONNECTORS, run } from './run.ts'

const { kafka, skipped } = await findKafka()
afterAll(() => kafka?.stop())

const SEED = Number(process.env['TIDEMARK_PROVIDERS_SEED'] ?? 1)
const STEPS = Number(process.env['TIDEMARK_PROVIDERS_STEPS'] ?? 40)
const MS_PER_STEP = 6000

describe.skipIf(skipped !== undefined)(
  `the tables of one installation beside all four providers, on Kafka${skipped ? ` (skipped: ${skipped})` : ''}`,
  () => {
    it(
      `show what each has, and no deletion that is not true (seed ${SEED}, ${STEPS} steps)`,
      async () => {
        const log = await openKafkaLog(kafka?.brokers ?? [], PARTITIONS)
        try {
          const { sides, counts } = await run({
            ...{ connectors: CONNECTORS, seed: SEED, steps: STEPS, log },
            print: () => undefined,
          })
          for (const { connector, deletions, precision, gone, recall, compared } of sides)
            process.stdout.write(
              `${connector}, seed ${SEED}: ${deletions} deletions, precision ${precision}; ${gone} records gone, recall ${recall}; ${compared} records equal\n`,
            )
          expect(sides.map(({ connector }) => connector)).toEqual([...CONNECTORS])
          for (const side of sides) {
            expect(side).toMatchObject({ precision: 1, recall: 1, wrong: 0 })
            expect(side.compared, side.connector).toBeGreaterThan(0)
          }
          expect(Math.min(counts.acts, counts.faults)).toBeGreaterThan(0)
        } finally {
          await log.close()
        }
      },
      120_000 + STEPS * MS_PER_STEP,
    )
  },
)
