/** `npm run bench -- <name> [--records N] [--rounds N]`: measurements with their references, printed as ratios. */
import { parseArgs } from 'node:util'
import { benchAccept } from './accept.ts'
import { benchEmbedded, printEmbedded } from './embedded.ts'
import { benchKafka } from './kafka.ts'
import { benchLatency, benchOvertake } from './latency.ts'
import { benchLateSubscriber } from './lateSubscriber.ts'
import { median } from './memory.ts'
import { benchReads } from './reads.ts'
import { benchRebuild, printRebuild } from './rebuild.ts'

const { positionals, values } = parseArgs({
  allowNegative: true,
  allowPositionals: true,
  options: {
    records: { type: 'string' },
    partitions: { type: 'string', default: '12' },
    'at-once': { type: 'string', default: '2,1,4' },
    restarts: { type: 'string', default: '10000,100000,1000000' },
    'fetch-bytes': { type: 'string' },
    'slice-bytes': { type: 'string' },
    compare: { type: 'boolean', default: true },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '20' },
    clients: { type: 'string', default: '1' },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)

switch (positionals[0]) {
  case 'embedded': {
    const records = Number(values.records ?? 200_000)
    print(
      `processor over the embedded log, ${records.toLocaleString('en-US')} candidates, ${values.rounds} rounds, Node ${process.version}`,
    )
    printEmbedded(benchEmbedded({ records, rounds: Number(values.rounds) }, print), print)
    break
  }
  case 'kafka': {
    const records = Number(values.records ?? 500_000)
    const numbers = (text: string): number[] => text.split(',').filter(Boolean).map(Number)
    print(
      `processor over Kafka, ${records.toLocaleString('en-US')} candidates, ${values.partitions} partitions, transactional, ${values.rounds} rounds, Node ${process.version}`,
    )
    const options = {
      records,
      partitions: Number(values.partitions),
      rounds: Number(values.rounds),
      atOnce: numbers(values['at-once']),
      restarts: numbers(values.restarts),
      compare: values.compare,
      ...(values['slice-bytes'] === undefined ? {} : { sliceBytesMax: Number(values['slice-bytes']) }),
      ...(values['fetch-bytes'] === undefined ? {} : { fetchBytesMax: Number(values['fetch-bytes']) }),
    }
    await benchKafka(options, print)
    break
  }
  case 'latency': {
    const options = { perSecond: 50, seconds: Number(values.seconds), candidates: 2_000 }
    print(
      `webhook to change on /v1/changes, ${options.perSecond} webhooks/s for ${options.seconds} s, each with one changed record, no debounce, ${values.rounds} rounds`,
    )
    const rounds = []
    for (let round = 1; round <= Number(values.rounds); round++) {
      const f = await benchLatency(options, print)
      rounds.push(f)
      print(
        `round ${round}   ${f.received} of ${f.sent} changes   p50 ${f.p50.toFixed(1)} ms   p99 ${f.p99.toFixed(1)} ms   max ${f.max.toFixed(1)} ms`,
      )
    }
    print(
      `median    p50 ${median(rounds.map((r) => r.p50)).toFixed(1)} ms   p99 ${median(rounds.map((r) => r.p99)).toFixed(1)} ms`,
    )
    break
  }
  case 'overtake': {
    const options = { perSecond: 20, seconds: Number(values.seconds), candidates: Number(values.records ?? 100_000) }
    print(
      `webhook to change on /v1/changes, ${options.perSecond} webhooks/s, idle and during a complete run of ${options.candidates.toLocaleString('en-US')} candidates, ${values.rounds} rounds`,
    )
    for (let round = 1; round <= Number(values.rounds); round++) {
      const { idle, during, fullRunMs } = await benchOvertake(options, print)
      for (const [name, f] of [
        ['idle  ', idle],
        ['during', during],
      ] as const)
        print(
          `round ${round} ${name}   ${f.received} of ${f.sent} changes   p50 ${f.p50.toFixed(1)} ms   p99 ${f.p99.toFixed(1)} ms   max ${f.max.toFixed(1)} ms`,
        )
      print(
        `round ${round}   the run took ${(fullRunMs / 1000).toFixed(1)} s, p99 during / idle ${(during.p99 / idle.p99).toFixed(2)}`,
      )
    }
    break
  }
  case 'accept': {
    const options = { records: Number(values.records ?? 100_000), rounds: Number(values.rounds) }
    print(
      `webhooks of one Knit run of ${options.records.toLocaleString('en-US')} records, one request each, ${options.rounds} rounds, Node ${process.version}`,
    )
    await benchAccept(options, print)
    break
  }
  case 'late': {
    const options = {
      records: Number(values.records ?? 500_000),
      rounds: Number(values.rounds),
      clients: Number(values.clients),
    }
    print(
      `${options.clients} late subscriber(s) reading ${options.records.toLocaleString('en-US')} changes from the beginning of /v1/changes, ${options.rounds} rounds, Node ${process.version}`,
    )
    await benchLateSubscriber(options, print)
    break
  }
  case 'reads': {
    const records = Number(values.records ?? 200_000)
    print(
      `GET /v1/ats/applications?page_size=250 over ${records.toLocaleString('en-US')} applications in PostgreSQL, all pages, ${values.rounds} rounds, Node ${process.version}`,
    )
    await benchReads({ records, rounds: Number(values.rounds) }, print)
    break
  }
  case 'rebuild': {
    const records = Number(values.records ?? 1_000_000)
    print(
      `rebuild of a projection from an embedded log into PostgreSQL, ${records.toLocaleString('en-US')} changes, ${values.rounds} rounds, Node ${process.version}`,
    )
    printRebuild(records, await benchRebuild({ records, rounds: Number(values.rounds) }, print), print)
    break
  }
  default:
    print(
      'usage: npm run bench -- embedded [--records N] [--rounds N] | kafka [--records N] [--partitions N] [--rounds N] [--at-once N,…] [--restarts N,…] [--fetch-bytes N] [--slice-bytes N] [--no-compare] | latency [--seconds N] [--rounds N] | reads [--records N] [--rounds N] | accept [--records N] [--rounds N] | late [--records N] [--clients N] [--rounds N] | overtake [--records N] [--seconds N] [--rounds N] | rebuild [--records N] [--rounds N]',
    )
    process.exitCode = 2
}
