/** Kafka and its registry as containers, for contributors who have a Docker engine. */
import { spawnSync } from 'node:child_process'
import { freePorts } from '../../infra/kafka.ts'

export const KAFKA_IMAGE = 'apache/kafka:4.3.1'
export const REGISTRY_IMAGE = 'apicurio/apicurio-registry:3.3.2'

const CCOMPAT = '/apis/ccompat/v7'

export interface KafkaContainers {
  readonly broker: string
  readonly registryUrl: string | undefined
  stop(): Promise<void>
}

export function dockerAnswers(): boolean {
  return (
    spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 5000, stdio: 'ignore' }).status === 0
  )
}

/** Starts one broker, and a registry in memory when asked for; throws what the engine says. */
export async function startContainers({ registry }: { readonly registry: boolean }): Promise<KafkaContainers> {
  // Loaded only here: nobody without an engine pays for it.
  const { GenericContainer, Wait } = await import('testcontainers')
  const [port] = (await freePorts(1)) as [number]
  const broker = await new GenericContainer(KAFKA_IMAGE)
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
  if (!registry) {
    return { broker: `127.0.0.1:${port}`, registryUrl: undefined, stop: async () => void (await broker.stop()) }
  }
  try {
    const apicurio = await new GenericContainer(REGISTRY_IMAGE)
      .withExposedPorts(8080)
      .withWaitStrategy(Wait.forHttp(`${CCOMPAT}/subjects`, 8080))
      .start()
    return {
      broker: `127.0.0.1:${port}`,
      registryUrl: `http://${apicurio.getHost()}:${apicurio.getMappedPort(8080)}${CCOMPAT}`,
      stop: async () => void (await Promise.all([broker.stop(), apicurio.stop()])),
    }
  } catch (error) {
    await broker.stop()
    throw error
  }
}
