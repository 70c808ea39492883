/**
 * The one door to kafkajs. Its public API has no reading of a partition without a group and no retry setting for some requests; both
 * are reached through its source files, pinned to 2.2.4 in package.json.
 */
import { createRequire } from 'node:module'
import kafkajs, { type KafkaConfig, type Kafka as KafkaType } from 'kafkajs'

const require = createRequire(import.meta.url)

export const { AssignerProtocol, ConfigResourceTypes, Kafka } = kafkajs

export interface PartitionMetadata {
  readonly partitionId: number
  readonly leader: number
}

interface Protocol {
  readonly request: { readonly apiVersion: number }
  readonly requestTimeout?: number
}

export interface GroupJoined {
  readonly generationId: number
  readonly groupProtocol: string
  readonly leaderId: string
  readonly memberId: string
  readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
}

interface PartitionOffset {
  readonly partition: number
  readonly offset: string
}

/** A connection to one broker: the requests that are used here. */
export interface Broker {
  readonly nodeId: number
  readonly connectionPool: { send(protocol: object): Promise<unknown> }
  listOffsets(input: object): Promise<{
    responses: { topic: string; partitions: (PartitionOffset & { readonly errorCode: number })[] }[]
  }>
  offsetFetch(input: object): Promise<{ responses: { topic: string; partitions: PartitionOffset[] }[] }>
  offsetCommit(input: object): Promise<unknown>
  joinGroup(input: object): Promise<GroupJoined>
  syncGroup(input: object): Promise<{ memberAssignment: Buffer }>
  heartbeat(input: object): Promise<unknown>
  leaveGroup(input: object): Promise<unknown>
  deleteRecords(input: object): Promise<unknown>
}

/** kafkajs' view of a cluster: metadata, and a connection per broker. */
export interface Cluster {
  readonly targetTopics: Set<string>
  readonly brokerPool: {
    readonly metadata: { readonly clusterId: string; readonly brokers: readonly { nodeId: number }[] } | null
  }
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): PartitionMetadata[]
  findBroker(input: { nodeId: number }): Promise<Broker>
  findGroupCoordinator(input: { groupId: string }): Promise<Broker>
}

const ClusterClass = require('kafkajs/src/cluster') as new (options: object) => Cluster
const socketFactory = require('kafkajs/src/network/socketFactory') as () => unknown
const { createLogger } = require('kafkajs/src/loggers') as { createLogger(options: object): object }
const { requests } = require('kafkajs/src/protocol/requests') as {
  requests: { readonly Fetch: { protocol(input: { version: number }): (input: object) => Protocol } }
}
const { createErrorFromCode } = require('kafkajs/src/protocol/error') as { createErrorFromCode(code: number): Error }

/**
 * kafkajs hands no retry settings to InitProducerId and TxnOffsetCommit: they wait 300 ms before they ask again, and the coordinator
 * needs a few milliseconds. Changing the exported defaults once per process is the only way. NODE_ENV=test has its own.
 */
for (const file of ['kafkajs/src/retry/defaults', 'kafkajs/src/retry/defaults.test']) {
  Object.assign(require(file) as object, {
    initialRetryTime: 10,
    maxRetryTime: 1000,
    multiplier: 2,
    factor: 0.2,
    retries: 10,
  })
}

interface Socketed {
  connect(): Promise<unknown>
}

/**
 * Requests that meet at a connection that is not open each open a socket of their own; all but the last are forgotten, stay open, and keep
 * the process from ending. Here they share one. (kafkajs 2.2.4, network/connectionPool.js and connection.js: `getConnection`.)
 */
const sockets = (require('kafkajs/src/network/connection') as { readonly prototype: Socketed }).prototype
const openSocket = sockets.connect
const opening = new WeakMap<Socketed, Promise<unknown>>()
sockets.connect = function connect(this: Socketed): Promise<unknown> {
  const before = opening.get(this)
  if (before) return before
  const attempt = openSocket.call(this).finally(() => opening.delete(this))
  opening.set(this, attempt)
  return attempt
}

/** A logger as pino has it. */
export interface KafkaLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface ClientOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** true for TLS with the system's authorities, or what node:tls takes (ca, cert, key). */
  readonly tls?:
    | boolean
    | { readonly ca?: string | undefined; readonly cert?: string | undefined; readonly key?: string | undefined }
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  }
  /** How long a broker may take for one answer. Default 10 s. */
  readonly requestTimeoutMs?: number
  readonly connectionTimeoutMs?: number
  readonly logger?: KafkaLogger
}

function settings(options: ClientOptions) {
  return {
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: options.connectionTimeoutMs ?? 3000,
    authenticationTimeout: 10_000,
    requestTimeout: options.requestTimeoutMs ?? 10_000,
    enforceRequestTimeout: true,
    ...(options.tls === undefined ? {} : { ssl: options.tls }),
    ...(options.sasl === undefined ? {} : { sasl: options.sasl }),
    // Tries of one connection; what is worth trying longer is tried again a level above, until its own deadline.
    retry: { retries: 3, initialRetryTime: 50, maxRetryTime: 500 },
    logCreator: () => logTo(options.logger),
  }
}

/** A client whose producers and admins share settings, but no connection. */
export function newClient(options: ClientOptions): KafkaType {
  return new Kafka(settings(options) as unknown as KafkaConfig)
}

/** A cluster of its own connections that reads committed records only. */
export function newCluster(options: ClientOptions): Cluster {
  const { logCreator, ...rest } = settings(options)
  const logger = createLogger({ level: LEVELS.warn, logCreator })
  return new ClusterClass({
    ...rest,
    logger,
    socketFactory: socketFactory(),
    isolationLevel: READ_COMMITTED,
    allowAutoTopicCreation: false,
    metadataMaxAge: 300_000,
  })
}

const READ_COMMITTED = 1
const LEVELS = { error: 1, warn: 2 } as const
/** Part of ordinary work: a coordinator that is just being created, a transaction still being finished, our deliberate lack of retries. */
const ORDINARY =
  /coordinator|CONCURRENT_TRANSACTIONS|concurrent|another operation on the same transaction|rebalanc|Limiting retries for the idempotent producer/i

interface LogEntry {
  readonly namespace: string
  readonly level: number
  readonly log: { readonly message: string; readonly error?: unknown; readonly [field: string]: unknown }
}

/**
 * kafkajs calls everything an error that it is going to retry; what matters reaches the caller as a rejection. So its errors are
 * warnings here, and ordinary ones for debugging only.
 */
function logTo(logger: KafkaLogger | undefined): (entry: LogEntry) => void {
  return ({ namespace, level, log }) => {
    if (!logger) return
    const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...fields } = log
    const ordinary = level > LEVELS.warn || ORDINARY.test(`${message} ${String(log.error ?? '')}`)
    logger[ordinary ? 'debug' : 'warn']({ kafkajs: namespace, ...fields }, message)
  }
}

export interface FetchPartition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly bytesMax: number
}

/**
 * Leaders only. From version 11 on (KIP-392) a follower answers too; one that is behind calls an offset out of range that the leader has,
 * and a reader whose metadata are old would take that for lost records.
 */
const fetchRequest = requests.Fetch.protocol({ version: 10 })

/** Sends one Fetch (read committed) and returns the answer's bytes as they are: kafkajs' own decoding loses what a reader needs. */
export async function sendFetch(
  broker: Broker,
  partitions: readonly FetchPartition[],
  options: { readonly waitMs: number; readonly bytesMax: number },
): Promise<Buffer> {
  const protocol = fetchRequest({
    isolationLevel: READ_COMMITTED,
    maxWaitTime: options.waitMs,
    minBytes: 1,
    maxBytes: options.bytesMax,
    topics: groupByTopic(partitions),
  })
  const response = { decode: async (raw: Buffer) => raw, parse: async (raw: Buffer) => raw }
  return (await broker.connectionPool.send({ ...protocol, response })) as Buffer
}

function groupByTopic(partitions: readonly FetchPartition[]): object[] {
  const topics = new Map<string, object[]>()
  for (const { topic, partition, offset, bytesMax } of partitions) {
    const list = topics.get(topic) ?? []
    list.push({ partition, fetchOffset: String(offset), maxBytes: bytesMax })
    topics.set(topic, list)
  }
  return [...topics].map(([topic, list]) => ({ topic, partitions: list }))
}

/** The error of a code in an answer, with its type. */
export function errorOf(code: number): Error {
  return createErrorFromCode(code)
}
