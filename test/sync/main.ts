/**
 * `node test/sync/main.ts [--steps N] [--seed N]`: plays with a provider and the whole pipeline, and prints precision and recall of the
 * deletions. Exit code 0 only when both are 1 and everything else that is checked held.
 */
import { parseArgs } from 'node:util'
import { run } from './run.ts'

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const list = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, count]) => `${name} ${count}`).join(', ')

const [steps, seed] = [Number(values.steps), Number(values.seed)]
const started = performance.now()
try {
  const result = await run({ steps, seed, print })
  const { deletions, wrong, precision, recall, counts } = result
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  print(`${steps} steps in ${seconds} s, seed ${seed}: ${list(result.ops)}`)
  print(
    `${result.changes} changes, compared with ${result.copies} copies of the past; ingress was killed ${counts.kills} times`,
  )
  print(
    `${counts.syncs} complete runs while the world went on, ${counts.goodSyncs} of them good; ${counts.quietSyncs} while it stood still; ${counts.held} decisions`,
  )
  print(`${deletions} deletions (${list(result.byEvidence)}), ${wrong} of them wrong: precision ${precision}`)
  print(`${counts.gone} known records are gone, ${counts.found} of them are shown so: recall ${recall}`)
  process.exitCode = precision === 1 && recall === 1 ? 0 : 1
} catch (error) {
  print(`seed ${seed}, ${steps} steps: ${error instanceof Error ? error.stack : String(error)}`)
  process.exitCode = 1
}
