/** `npm run test:fuzz -- --bodies N [--seed N]`: exit code 0 only when no mutated webhook did what it must not. */
import { parseArgs } from 'node:util'
import { fuzzWebhooks } from './fuzz.ts'

const { values } = parseArgs({
  options: { bodies: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } },
})
const bodies = Number(values.bodies)
const startedAt = performance.now()
const n = (value: number): string => value.toLocaleString('en-US')

const onProgress = (done: number): void => {
  if (done === 0 || done % 20_000 !== 0) return
  const seconds = (performance.now() - startedAt) / 1000
  const left = Math.round((seconds / done) * (bodies - done))
  process.stderr.write(`${n(done)} of ${n(bodies)} bodies, ${n(Math.round(done / seconds))}/s, ${left} s left\n`)
}
const { byStatus, problems, stored, unmappable, heap } = await fuzzWebhooks({
  bodies,
  seed: Number(values.seed),
  onProgress,
})
const statuses = [...byStatus].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${n(count)}`)
const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`
process.stdout.write(
  `${n(bodies)} bodies in ${Math.round((performance.now() - startedAt) / 1000)} s, seed ${values.seed}: ${statuses.join(', ')}\n` +
    `${n(stored)} proved and stored, ${n(unmappable)} of them mean nothing and say so\n` +
    `heap after a tenth ${mib(heap[0])}, at the end ${mib(heap[1])}\n`,
)
for (const problem of problems) process.stdout.write(`WRONG ${problem}\n`)
process.exit(problems.length === 0 ? 0 : 1)
