/** `npm run bench -- <name> [--records N] [--rounds N]`: measurements with their references, printed as ratios. */
import { parseArgs } from 'node:util'
import { benchEmbedded, printEmbedded } from './embedded.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { records: { type: 'string', default: '200000' }, rounds: { type: 'string', default: '3' } },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)

switch (positionals[0]) {
  case 'embedded': {
    const records = Number(values.records)
    print(
      `processor over the embedded log, ${records.toLocaleString('en-US')} candidates, ${values.rounds} rounds, Node ${process.version}`,
    )
    printEmbedded(benchEmbedded({ records, rounds: Number(values.rounds) }, print), print)
    break
  }
  default:
    print('usage: npm run bench -- embedded [--records N] [--rounds N]')
    process.exitCode = 2
}
