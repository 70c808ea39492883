/**
 * `npm run test:crash -- --kills N [--seed N] [--log kafka|embedded]`: exit code 0 only when nothing was lost, repeated or out of order.
 * On Kafka (the default) it kills services, brokers and PostgreSQL sessions; embedded, the one process.
 */
import { parseArgs } from 'node:util'
import { findKafka } from '../harness/kafka.ts'
import { postgresUrl } from '../harness/postgres.ts'
import { type CrashResult, crashEmbedded } from './embedded.ts'
import { crashKafka, describe } from './kafka.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    log: { type: 'string', default: 'kafka' },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const kills = Number(values.kills)
const seed = Number(values.seed)

async function onKafka(): Promise<CrashResult> {
  const { kafka, skipped } = await findKafka({ own: true, nodes: 3, registry: true })
  if (!kafka?.local) throw new Error(skipped ?? 'the crash test needs a cluster of its own')
  try {
    const url = await postgresUrl()
    if (url === undefined) throw new Error('the crash test on Kafka needs PostgreSQL')
    const result = await crashKafka({ kills, seed, cluster: kafka.local, postgresUrl: url, print })
    print(`killed: ${describe(result.killed)}`)
    return result
  } finally {
    await kafka.stop()
  }
}

const started = performance.now()
const result = await (values.log === 'embedded' ? crashEmbedded({ kills, seed, print }) : onKafka())
const { lost, repeated, different, webhooksLost, recordsWrong } = result
for (const detail of [...result.details, ...recordsWrong.slice(0, 20)]) print(detail)
print(
  `${result.kills} kills in ${((performance.now() - started) / 1000).toFixed(0)} s, seed ${values.seed}, ${values.log}: ${result.observations} observations, ${result.changes} changes`,
)
print(`changes lost ${lost}, repeated ${repeated}, different or out of order ${different}`)
print(
  `webhooks acknowledged ${result.webhooksAcknowledged}, lost ${webhooksLost}; records that differ from the provider: ${recordsWrong.length}; verify exit code ${result.verifyExitCode}`,
)
process.exitCode = lost + repeated + different + webhooksLost + recordsWrong.length === 0 ? 0 : 1
