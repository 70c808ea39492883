import { TidemarkError } from '@tidemark/base'

/** Deep enough for what kafkajs nests: retries exceeded, caused by non-retriable, caused by the protocol error. */
const DEPTH_MAX = 8

/** Answers of a broker that is being elected, moved or loaded: the same request succeeds a little later. */
const PASSING = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_CONTROLLER',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'UNSTABLE_OFFSET_COMMIT',
  'CONCURRENT_TRANSACTIONS',
])
const FENCED = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'TRANSACTION_COORDINATOR_FENCED'])
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
const REFUSED = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'SECURITY_DISABLED',
  'INVALID_CONFIG',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_TRANSACTION_TIMEOUT',
  'POLICY_VIOLATION',
  'UNSUPPORTED_VERSION',
])

interface KafkaFault {
  readonly name?: unknown
  readonly type?: unknown
  readonly code?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
  readonly originalError?: unknown
}

/** The error and everything it wraps, outermost first. */
function* chain(error: unknown, depth = 0): Generator<KafkaFault> {
  if (typeof error !== 'object' || error === null || depth > DEPTH_MAX) return
  const fault = error as KafkaFault
  yield fault
  yield* chain(fault.cause, depth + 1)
  yield* chain(fault.originalError, depth + 1)
  if (Array.isArray(fault.errors)) for (const one of fault.errors) yield* chain(one, depth + 1)
}

/**
 * The broker's error type, wherever kafkajs hid it: on the error, on its cause, or deeper. Its retriable flag is not looked at: a cut
 * connection while a coordinator is looked for is called non-retriable, for one.
 */
export function typeOf(error: unknown): string | undefined {
  for (const { type } of chain(error)) if (typeof type === 'string') return type
  return undefined
}

/** True when the same request to the same or another broker may succeed a little later. */
export function isPassing(error: unknown): boolean {
  const type = typeOf(error)
  if (type !== undefined) return PASSING.has(type)
  for (const { name, code } of chain(error)) {
    if (
      typeof name === 'string' &&
      /^KafkaJS(Connection|Request|Lock|Broker|Metadata|Topic|Group|Timeout)/.test(name)
    ) {
      return name !== 'KafkaJSConnectionError' || code !== 'ERR_TLS_CERT_ALTNAME_INVALID'
    }
    if (code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'ETIMEDOUT' || code === 'EPIPE') return true
  }
  return false
}

/** What the failing call was about; named in the message. */
export interface FaultContext {
  readonly what: string
  readonly brokers: readonly string[]
  readonly topic?: string
  readonly partition?: number
}

/** Turns what kafkajs throws into a TidemarkError. What is not known to be final is LOG_UNAVAILABLE: worth another try. */
export function translate(error: unknown, context: FaultContext): TidemarkError {
  if (error instanceof TidemarkError) return error
  const type = typeOf(error)
  const why = error instanceof Error ? error.message : String(error)
  const { what, brokers } = context
  const details = {
    cause: error,
    fields: {
      type: type ?? null,
      ...(context.topic === undefined ? {} : { topic: context.topic }),
      ...(context.partition === undefined ? {} : { partition: context.partition }),
    },
  }
  const at = `Kafka at ${brokers.join(', ')}`
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') {
    return new TidemarkError(
      'TOPIC_UNKNOWN',
      `${what}: ${at} has no such topic or partition. Create it first.`,
      details,
    )
  }
  if (type === 'OFFSET_OUT_OF_RANGE') return new TidemarkError('OFFSET_OUT_OF_RANGE', `${what}: ${why}.`, details)
  if (type !== undefined && FENCED.has(type)) {
    return new TidemarkError(
      'TASK_FENCED',
      `${what}: another owner took the task over, or its transaction took too long and was aborted by the broker. Open it again.`,
      details,
    )
  }
  if (type !== undefined && TOO_LARGE.has(type)) {
    return new TidemarkError('RECORD_TOO_LARGE', `${what}: ${at} takes no batch of that size (${why}).`, details)
  }
  if (type === 'INVALID_RECORD') {
    return new TidemarkError(
      'RECORD_INVALID',
      `${what}: ${at} refuses a record (${why}). In a compacted topic each record needs a key.`,
      details,
    )
  }
  const authentication = [...chain(error)].some(({ name }) => name === 'KafkaJSSASLAuthenticationError')
  if (authentication || (type !== undefined && REFUSED.has(type))) {
    return new TidemarkError(
      'CONFIG_INVALID',
      `${what}: ${at} refuses it (${type ?? 'SASL'}: ${why}). Check the credentials, the ACLs and the settings of the cluster.`,
      details,
    )
  }
  return new TidemarkError(
    'LOG_UNAVAILABLE',
    `${what}: ${at} did not do it (${type ?? why}). Check that the brokers run and can be reached; it may be tried again.`,
    details,
  )
}
