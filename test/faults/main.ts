/**
 * `npm run test:faults -- [--cuts N] [--seed N] [--usual]`: exit code 0 only when nothing was lost, repeated or out of order. `--usual` runs
 * kafkajs' usual way instead, which has to be caught.
 */
import { parseArgs } from 'node:util'
import { findProxiedKafka } from './cluster.ts'
import { type CuttingResult, runCutting } from './cutting.ts'
import { setStage } from './stage.ts'

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    usual: { type: 'boolean', default: false },
    journal: { type: 'boolean', default: false },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const cuts = Number(values.cuts)
const started = performance.now()
const found = await findProxiedKafka()
if (found.skipped !== undefined) {
  print(found.skipped)
  process.exitCode = 1
} else {
  const stage = await setStage(found.kafka)
  try {
    const processor = values.usual ? 'usual' : 'ours'
    tell(await runCutting(stage, { seed: Number(values.seed), cuts, withinMs: 30_000 + cuts * 2000, processor, print }))
  } finally {
    await stage.dispose()
  }
}

function tell(result: CuttingResult): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  print('request              before   after    late')
  for (const [name, kinds] of Object.entries(result.table)) {
    const columns = [kinds.before, kinds.after, kinds.late].map((n) => String(n).padStart(7))
    print(`${name.padEnd(19)} ${columns.join(' ')}`)
  }
  if (values.journal) for (const line of result.journal) print(line.trim())
  for (const detail of result.details) print(detail)
  print(
    `${result.cuts} cuts in ${seconds} s, seed ${values.seed}: ${result.observations} observations, ${result.changes} changes on ${result.leaders} leaders, ${result.restarts} failed tasks`,
  )
  print(`changes lost ${result.lost}, repeated ${result.repeated}, different or out of order ${result.different}`)
  const wrong = result.lost + result.repeated + result.different
  process.exitCode = (wrong === 0) !== values.usual && result.cuts >= cuts ? 0 : 1
}
