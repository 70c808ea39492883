/**
 * A Kafka for tests: KAFKA_BROKERS (and KAFKA_REGISTRY) if set, else a container if a Docker engine answers, else one run from Maven Central,
 * else the tests skip and say why. `TIDEMARK_KAFKA=off` skips at once; with `TIDEMARK_REQUIRE_KAFKA=1`, as in CI, nothing skips: without a
 * Kafka the test file fails. `npm test` starts one for all files and names it in KAFKA_BROKERS.
 */
import { answers, type LocalKafka, type StartOptions, startKafka } from '../../infra/kafka.ts'
import { dockerAnswers, KAFKA_IMAGE, startContainers } from './containers.ts'

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
  readonly nodeSettings?: StartOptions['nodeSettings']
}

export const NO_KAFKA_HINT =
  'Set KAFKA_BROKERS=host:port and KAFKA_REGISTRY=URL, start a Docker engine, or install mvn and Java 21 (17 without a registry).'

/** True when tests must not skip for want of a Kafka. */
export const requiresKafka = (): boolean => process.env['TIDEMARK_REQUIRE_KAFKA'] === '1'

/**
 * Finds or starts one. Call it at the top of a test file, and `kafka.stop()` in afterAll. Prints why when there is none; throws that when
 * TIDEMARK_REQUIRE_KAFKA=1. It may be shared by test files that run at the same time: use topic, group and subject names of your own.
 */
export async function findKafka(options: TestKafkaOptions = {}): Promise<FoundKafka> {
  try {
    return { kafka: await startTestKafka(options), skipped: undefined }
  } catch (error) {
    const skipped = `no Kafka for tests: ${error instanceof Error ? error.message : String(error)}`
    if (requiresKafka()) {
      throw new Error(`TIDEMARK_REQUIRE_KAFKA=1, but there is ${skipped}\n${NO_KAFKA_HINT}`, { cause: error })
    }
    process.stderr.write(`\n  SKIPPED, ${skipped}\n  ${NO_KAFKA_HINT}\n\n`)
    return { kafka: undefined, skipped }
  }
}

/** As findKafka, but throws the reason when there is none. */
export async function startTestKafka(options: TestKafkaOptions = {}): Promise<TestKafka> {
  if (process.env['TIDEMARK_KAFKA'] === 'off') throw new Error('TIDEMARK_KAFKA=off')
  const brokers = process.env['KAFKA_BROKERS']
  if (brokers && !options.own) return given(brokers.split(','), options)
  const plain = !options.own && (options.nodes ?? 1) === 1
  if (plain && dockerAnswers()) return contained(options)
  const { nodes = 1, registry = false, settings = {}, nodeSettings } = options
  const local = await startKafka({
    nodes,
    registry,
    settings,
    ...(nodeSettings ? { nodeSettings } : {}),
    log: (line) => void process.stderr.write(`${line}\n`),
  })
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

async function contained({ registry = false }: TestKafkaOptions): Promise<TestKafka> {
  const { broker, registryUrl, stop } = await startContainers({ registry })
  return { brokers: [broker], from: KAFKA_IMAGE, registryUrl, local: undefined, stop }
}
