/**
 * A real Kafka without containers: `node infra/kafka.ts [--nodes 1|3] [--registry] [--port N] [--data DIR]`. Resolves Apache Kafka
 * (and Apicurio Registry) from Maven Central once, runs them until SIGINT or SIGTERM.
 */
import { parseArgs } from 'node:util'
import { type LocalKafka, startKafka } from './local/start.ts'

export { answers, freePorts } from './local/jvm.ts'
export { type LocalKafka, type StartOptions, startKafka } from './local/start.ts'

const USAGE = `usage: node infra/kafka.ts [--nodes 1|3] [--registry] [--port N] [--data DIR]

  --nodes 1|3   nodes of the cluster; three have replication 3 and min.insync.replicas 2 (default 1)
  --registry    also start Apicurio Registry (needs Java 21 or newer)
  --port N      port of the first broker, the others follow; 0 takes free ones (default 9092)
  --data DIR    keep the data there; without it, it is removed at the end`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '1' },
      registry: { type: 'boolean', default: false },
      port: { type: 'string', default: '9092' },
      data: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const nodes = Number(values.nodes)
  const port = Number(values.port)
  if (values.help) {
    process.stdout.write(`${USAGE}\n`)
    return
  }
  if ((nodes !== 1 && nodes !== 3) || !Number.isInteger(port) || port < 0 || port > 65_533) throw new TypeError(USAGE)
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  const log = (line: string): void => void process.stderr.write(`${line}\n`)
  const starting = startKafka({
    nodes,
    registry: values.registry,
    port,
    log,
    ...(values.data ? { data: values.data } : {}),
  })
  // Asked to stop while still starting: what was started is stopped once it stands.
  const kafka: LocalKafka = await starting
  process.stdout.write(`brokers   ${kafka.brokers.join(',')}\n`)
  if (values.registry) process.stdout.write(`registry  ${kafka.registryUrl}\n`)
  process.stdout.write('ready; stop with Ctrl-C\n')
  await stopped
  await kafka.stop()
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
}
