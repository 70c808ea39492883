/**
 * A Kafka for tests: KAFKA_BROKERS (and KAFKA_REGISTRY) if set, else a container if a Docker engine answers, else one run from Maven Central,
 * else the tests skip and say why. `TIDEMARK_KAFKA=off` skips at once.
 */
import { spawnSync } from 'node:child_process'
import { answers, freePorts, type LocalKafka, startKafka } from '../../infra/kafka.ts'

export interface TestKafka {
  readonly brokers: readonly string[]
  /** Where it comes from, for messages. */
  readonly from: string
  readonly registryUrl: string | undefined
  /** The local cluster, when its nodes may be killed. */
  readonly local: LocalKafka | undefined
  stop(): Promise<void>
}

export type FoundKafka =
  | { readonly kafka: TestKafka; readonly skipped: undefined }
  | { readonly kafka: undefined; readonly skipped: string }

export interface TestKafkaOptions {
  readonly nodes?: 1 | 3
  readonly registry?: boolean
  /** The test kills nodes or needs its own settings: only a local cluster will do. */
  readonly own?: boolean
  readonly settings?: Readonly<Record<string, string>>
}

const IMAGE = 'apache/kafka:4.3.1'

/** Finds or starts one. Call it at the top of a test file, and `kafka.stop()` in afterAll. Prints why when there is none. */
export async function findKafka(options: TestKafkaOptions = {}): Promise<FoundKafka> {
  try {
    return { kafka: await start(options), skipped: undefined }
  } catch (error) {
    const skipped = `no Kafka for tests: ${error instanceof Error ? error.message : String(error)}`
    process.stderr.write(
      `\n  SKIPPED, ${skipped}\n  Set KAFKA_BROKERS=host:port, start a Docker engine, or install mvn and Java 17.\n\n`,
    )
    return { kafka: undefined, skipped }
  }
}

async function start(options: TestKafkaOptions): Promise<TestKafka> {
  if (process.env['TIDEMARK_KAFKA'] === 'off') throw new Error('TIDEMARK_KAFKA=off')
  const brokers = process.env['KAFKA_BROKERS']
  if (brokers && !options.own) return given(brokers.split(','), options)
  const plain = !options.own && !options.registry && (options.nodes ?? 1) === 1
  if (plain && dockerAnswers()) return startContainer()
  const { nodes = 1, registry = false, settings = {} } = options
  const local = await startKafka({ nodes, registry, settings, log: (line) => void process.stderr.write(`${line}\n`) })
  return {
    brokers: local.brokers,
    from: 'Maven Central',
    registryUrl: local.registryUrl,
    local,
    stop: () => local.stop(),
  }
}

async function given(brokers: readonly string[], options: TestKafkaOptions): Promise<TestKafka> {
  const registryUrl = process.env['KAFKA_REGISTRY']
  if (options.registry && !registryUrl)
    throw new Error('KAFKA_BROKERS is set, but KAFKA_REGISTRY (its schema registry) is not')
  for (const broker of brokers) {
    const at = broker.lastIndexOf(':')
    if (await answers(broker.slice(0, at), Number(broker.slice(at + 1)), 3000)) {
      return { brokers, from: 'KAFKA_BROKERS', registryUrl, local: undefined, stop: async () => undefined }
    }
  }
  throw new Error(`none of KAFKA_BROKERS=${brokers.join(',')} answers`)
}

function dockerAnswers(): boolean {
  return (
    spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 5000, stdio: 'ignore' }).status === 0
  )
}

async function startContainer(): Promise<TestKafka> {
  // Loaded only here: nobody without an engine pays for it.
  const { GenericContainer, Wait } = await import('testcontainers')
  const [port] = (await freePorts(1)) as [number]
  const container = await new GenericContainer(IMAGE)
    .withExposedPorts({ container: 9092, host: port })
    .withEnvironment({
      KAFKA_NODE_ID: '1',
      KAFKA_PROCESS_ROLES: 'broker,controller',
      KAFKA_LISTENERS: 'PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093',
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@127.0.0.1:9093',
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .start()
  return {
    brokers: [`127.0.0.1:${port}`],
    from: IMAGE,
    registryUrl: undefined,
    local: undefined,
    stop: async () => void (await container.stop()),
  }
}
