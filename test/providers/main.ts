/**
 * `node test/providers/main.ts [--connector kombo|traffit|hrworks|knit|all] [--steps N] [--seed N] [--log embedded|kafka]`: plays with the simulators
 * through the real connectors and the whole pipeline, and prints precision and recall of the deletions. Exit code 0 only when both are 1 and
 * everything else that is checked held. `all`: the four beside each other, in one installation.
 */
import { parseArgs } from 'node:util'
import { PARTITIONS } from '../sync/stage.ts'
import { startKafkaLogs } from './kafkaLog.ts'
import { CONNECTORS, type ConnectorName, type RunResult, run } from './run.ts'

const { values } = parseArgs({
  options: {
    connector: { type: 'string', default: 'all' },
    steps: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    log: { type: 'string', default: 'embedded' },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)

const connectors = values.connector === 'all' ? CONNECTORS : [values.connector as ConnectorName]
const [steps, seed] = [Number(values.steps), Number(values.seed)]
const name = `${values.connector} on ${values.log}, seed ${seed}, ${steps} steps`

function show({ sides, counts, changes }: RunResult): void {
  const { acts, faults, kills, syncs, goodSyncs, quietSyncs, held } = counts
  print(`${acts} events in the companies, ${faults} faults, ingress was killed ${kills} times; ${changes} changes`)
  print(
    `${syncs} complete runs while the world went on, ${goodSyncs} of them good; ${quietSyncs} while it stood still; ${held} decisions`,
  )
  for (const { connector, deletions, wrong, byEvidence, precision, recall, gone, compared } of sides) {
    const list = [...byEvidence].map(([kind, count]) => `${kind} ${count}`).join(', ')
    print(`${connector}: ${deletions} deletions (${list}), ${wrong} of them wrong: precision ${precision}`)
    print(`${connector}: ${gone} known records are gone: recall ${recall}; ${compared} records equal to the provider's`)
  }
}

const isKnown =
  connectors.every((connector) => CONNECTORS.includes(connector)) && ['embedded', 'kafka'].includes(values.log)
if (!isKnown) {
  print(`--connector is one of ${CONNECTORS.join(', ')}, all; --log is embedded or kafka`)
  process.exitCode = 2
} else {
  const started = performance.now()
  const kafka = values.log === 'kafka' ? await startKafkaLogs() : undefined
  try {
    const log = await kafka?.open(PARTITIONS)
    try {
      const result = await run({ connectors, steps, seed, print, ...(log ? { log } : {}) })
      print(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`)
      show(result)
      const isRight = result.sides.every(({ precision, recall }) => precision === 1 && recall === 1)
      process.exitCode = isRight ? 0 : 1
    } finally {
      await log?.close()
    }
  } catch (error) {
    print(`${name}: ${error instanceof Error ? error.stack : String(error)}`)
    process.exitCode = 1
  } finally {
    await kafka?.stop()
  }
}
