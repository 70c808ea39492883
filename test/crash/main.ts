/** `npm run test:crash -- --kills N [--seed N]`: exit code 0 only when nothing was lost, repeated or out of order. */
import { parseArgs } from 'node:util'
import { runCrashTest } from './crash.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const started = performance.now()
const result = await runCrashTest({ kills: Number(values.kills), seed: Number(values.seed), print })
const { lost, repeated, different, webhooksLost, recordsWrong } = result
for (const detail of [...result.details, ...recordsWrong.slice(0, 20)]) print(detail)
print(
  `${result.kills} kills in ${((performance.now() - started) / 1000).toFixed(0)} s, seed ${values.seed}: ${result.observations} observations, ${result.changes} changes`,
)
print(`changes lost ${lost}, repeated ${repeated}, different or out of order ${different}`)
print(
  `webhooks acknowledged ${result.webhooksAcknowledged}, lost ${webhooksLost}; records that differ from the provider: ${recordsWrong.length}; verify exit code ${result.verifyExitCode}`,
)
process.exitCode = lost + repeated + different + webhooksLost + recordsWrong.length === 0 ? 0 : 1
