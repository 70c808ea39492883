import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, type DirectoryLock, lockDirectory, TidemarkError } from '@tidemark/base'
import { NETWORK_OPTIONS, PROCESSOR_GROUP, type ProcessorOptions } from '@tidemark/diff-processor'
import type { EventLog, StateStore, TaskOptions, TopicDifference } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { type KafkaLog, openKafka, openRegistry, type RemoteRegistry } from '@tidemark/log-kafka'
import { RAW_TOPIC, stateTopics, topicPlans } from '@tidemark/model'
import type { SchemaRegistry } from '@tidemark/registry'
import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { openPostgres } from '@tidemark/store-postgres'
import type { Logger } from '@tidemark/telemetry'
import type { Config } from '../config.ts'

/** PostgreSQL schema of the live projection. */
export const PROJECTION_SCHEMA = 'tidemark'

/** Log, registry, state and store of a configuration: the embedded ones of a data directory, or Kafka's and PostgreSQL's. */
export interface Backend {
  readonly log: EventLog
  readonly registry: SchemaRegistry
  /** Settings of the processor that suit this log. */
  readonly processor: Pick<ProcessorOptions, 'batchesAtOnce' | 'limits'>
  /** The embedded log, which looks after its own retention; undefined on Kafka, which does it by itself. */
  readonly embedded: Embedded | undefined
  /** Creates missing topics. Throws TOPIC_MISMATCH for another partition count; reports other differences. */
  ensureTopics(): Promise<TopicDifference[]>
  openState(name: string): Promise<StateStore>
  /** The store of the tables, opened at the first call. */
  openStore(): Promise<SqlStore>
  close(): Promise<void>
}

export interface BackendDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Opens an embedded log for reading alone, while another process may write it. Default false. */
  readonly readOnly?: boolean
}

/** A webhook's body with its envelope, or one page of a provider: what ats.raw has to take. */
const RAW_BYTES_MAX = 64 * 1024 * 1024
/** A change carries a record twice and its differences as text: up to about 3.5 times LIMITS.recordBytesMax. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024

/**
 * Opens what the configuration names. Throws LOG_UNAVAILABLE or REGISTRY_UNAVAILABLE when Kafka or its registry cannot be reached,
 * CONFIG_INVALID when one refuses, DATA_DIRECTORY_CORRUPT and the like for an embedded directory.
 */
export function openBackend(config: Config, deps: BackendDeps): Promise<Backend> {
  return config.mode === 'kafka' ? openKafkaBackend(config, deps) : openEmbeddedBackend(config, deps)
}

const plansOf = (config: Config) =>
  topicPlans({
    partitions: config.partitions,
    rawRetentionDays: config.raw_retention_days,
    observedRetentionDays: config.observed_retention_days,
  })

/** Opened once, at the first call; closed only if it was. */
class LazyStore {
  readonly #open: () => Promise<SqlStore>
  #store: Promise<SqlStore> | undefined

  constructor(open: () => Promise<SqlStore>) {
    this.#open = open
  }

  get(): Promise<SqlStore> {
    this.#store ??= this.#open()
    return this.#store
  }

  async close(): Promise<void> {
    const store = await this.#store?.catch(() => undefined)
    await store?.close()
  }
}

async function openEmbeddedBackend(config: Config, { clock, readOnly = false }: BackendDeps): Promise<Backend> {
  const embedded = await openEmbedded({ path: join(config.data, 'log'), clock, readOnly })
  const store = new LazyStore(() => openPglite({ dataDir: join(config.data, 'postgres') }))
  return {
    log: embedded.log,
    registry: embedded.registry,
    processor: {},
    embedded,
    ensureTopics: () => embedded.log.ensureTopics(plansOf(config)),
    openState: (name) => embedded.openState(name),
    openStore: () => store.get(),
    async close() {
      await store.close()
      await embedded.close()
    },
  }
}

/** Log and registry of the cluster under "kafka", as all of tidemark uses them. Throws as {@link openBackend}. */
export async function openCluster(
  { kafka, data }: Config,
  { clock, logger }: BackendDeps,
): Promise<{ readonly kafka: KafkaLog; readonly registry: RemoteRegistry }> {
  if (!kafka) throw new TidemarkError('CONFIG_INVALID', 'the configuration needs the key "kafka"')
  const registry = openRegistry({ ...registryAddress(kafka.registry), clientId: 'tidemark' })
  const opened = await openKafka({
    brokers: kafka.brokers,
    clientId: 'tidemark',
    stateDir: join(data, 'state'),
    clock,
    logger,
    stateTopics: stateTopicsOf,
    messageBytesMax: (topic) => (topic === RAW_TOPIC ? RAW_BYTES_MAX : MESSAGE_BYTES_MAX),
    ...(kafka.tls === undefined ? {} : { tls: kafka.tls }),
    ...(kafka.sasl === undefined ? {} : { sasl: kafka.sasl }),
    ...(kafka.replication === undefined ? {} : { replication: kafka.replication }),
  })
  return { kafka: opened, registry }
}

async function openKafkaBackend(config: Config, { clock, logger }: BackendDeps): Promise<Backend> {
  const { kafka, postgres } = config
  // The configuration was checked for both.
  if (!kafka || !postgres)
    throw new TidemarkError('CONFIG_INVALID', 'mode: kafka needs the keys "kafka" and "postgres"')
  const { kafka: opened, registry } = await openCluster(config, { clock, logger })
  const store = new LazyStore(() =>
    openPostgres({
      url: postgres,
      onSessionLost: (error) =>
        logger.warn({ err: error }, 'a session of PostgreSQL was lost, or it cannot be reached'),
    }),
  )
  return {
    log: opened.log,
    registry,
    processor: NETWORK_OPTIONS,
    embedded: undefined,
    ensureTopics: () => opened.log.ensureTopics(plansOf(config)),
    openState: (name) => opened.openState(name),
    openStore: () => store.get(),
    async close() {
      await store.close()
      await opened.close()
      await registry.close()
    },
  }
}

/** The diff's state is what the snapshots topics hold. */
const stateTopicsOf = ({ group }: TaskOptions): string[] => (group === PROCESSOR_GROUP ? stateTopics() : [])

/** User and password of a URL go into a header, not into the address that error messages name. */
function registryAddress(text: string): { url: string; auth?: { username: string; password: string } } {
  const url = new URL(text)
  const { username, password } = url
  url.username = ''
  url.password = ''
  const address = { url: url.href.replace(/\/$/, '') }
  if (username === '') return address
  return { ...address, auth: { username: decodeURIComponent(username), password: decodeURIComponent(password) } }
}

/** Creates the data directory when missing, and takes it for this process. Throws DATA_DIRECTORY_LOCKED, CONFIG_INVALID. */
export function takeDirectory(path: string): DirectoryLock {
  try {
    mkdirSync(path, { recursive: true })
    return lockDirectory(path)
  } catch (error) {
    if (error instanceof TidemarkError) throw error
    throw new TidemarkError(
      'CONFIG_INVALID',
      `data: ${path} cannot be used as data directory: ${(error as Error).message}`,
      { cause: error, fields: { key: 'data' } },
    )
  }
}

/** True when the directory holds an embedded log. */
export const hasEmbeddedLog = (data: string): boolean => existsSync(join(data, 'log'))
