import { TidemarkError } from '@tidemark/base'
import type { AppendRecord } from '@tidemark/log'

/** A message as kafkajs takes it. */
export interface Message {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly partition: number
  readonly timestamp: string
}

export interface TopicMessages {
  readonly topic: string
  readonly messages: Message[]
}

/** One request's worth of records: each topic once, each partition one batch. */
export interface Send {
  readonly topics: readonly TopicMessages[]
  /** For each batch, the indexes of its records in what was given. */
  readonly batches: readonly {
    readonly topic: string
    readonly partition: number
    readonly indexes: readonly number[]
  }[]
}

export interface SendLimits {
  /** Largest batch of a topic. */
  messageBytesMax(topic: string): number
  /** Soft bound of one request over all its batches. */
  readonly requestBytesMax: number
  /** Soft bound of one batch, where the topic's own limit is higher: small enough that batches are read one by one. */
  readonly batchBytesMax: number
}

/** Header of a batch, and room for what the broker may add. */
const BATCH_OVERHEAD = 128
/** Length, attributes, time, offset, key and value lengths, headers: each at its longest. */
const RECORD_OVERHEAD = 36

/** Bytes of a record in a batch, at most. */
export function encodedBytes({ key, value }: AppendRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + RECORD_OVERHEAD
}

/** Throws RECORD_TOO_LARGE for a record that fits into no batch of its topic. */
export function checkSize(record: AppendRecord, messageBytesMax: number): void {
  const bytes = encodedBytes(record) + BATCH_OVERHEAD
  if (bytes <= messageBytesMax) return
  throw new TidemarkError(
    'RECORD_TOO_LARGE',
    `A record for ${record.topic}/${record.partition} has ${bytes} bytes; the topic takes ${messageBytesMax} (max.message.bytes).`,
    { fields: { topic: record.topic, partition: record.partition, bytes, limit: messageBytesMax } },
  )
}

interface OpenBatch {
  readonly topic: string
  readonly partition: number
  readonly messages: Message[]
  readonly indexes: number[]
  bytes: number
}

/**
 * Cuts records into requests that the broker takes: by encoded bytes, per batch and per request. The order within a partition is kept
 * over the requests.
 */
export function planSends(records: readonly AppendRecord[], limits: SendLimits): Send[] {
  const sends: Send[] = []
  let open = new Map<string, OpenBatch>()
  let bytes = 0
  const flush = (): void => {
    if (open.size > 0) sends.push(toSend([...open.values()]))
    open = new Map()
    bytes = 0
  }
  for (const [index, record] of records.entries()) {
    const size = encodedBytes(record)
    const name = `${record.partition} ${record.topic}`
    const limit = Math.min(limits.messageBytesMax(record.topic), limits.batchBytesMax) - BATCH_OVERHEAD
    const found = open.get(name)
    if ((found && found.bytes + size > limit) || (bytes > 0 && bytes + size > limits.requestBytesMax)) flush()
    let batch = open.get(name)
    if (!batch) {
      batch = { topic: record.topic, partition: record.partition, messages: [], indexes: [], bytes: 0 }
      open.set(name, batch)
    }
    batch.messages.push(toMessage(record))
    batch.indexes.push(index)
    batch.bytes += size
    bytes += size
  }
  flush()
  return sends
}

function toMessage({ key, value, partition, timestampMs }: AppendRecord): Message {
  return { key: asBuffer(key), value: asBuffer(value), partition, timestamp: String(timestampMs) }
}

function asBuffer(bytes: Uint8Array | null): Buffer | null {
  if (bytes === null || Buffer.isBuffer(bytes)) return bytes
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function toSend(batches: readonly OpenBatch[]): Send {
  const topics = new Map<string, Map<number, Message[]>>()
  for (const { topic, partition, messages } of batches) {
    const partitions = topics.get(topic) ?? new Map<number, Message[]>()
    topics.set(topic, partitions.set(partition, messages))
  }
  return {
    topics: [...topics].map(([topic, partitions]) => ({ topic, messages: new Grouped(partitions) })),
    batches,
  }
}

/**
 * kafkajs groups messages by partition with `messages.reduce`, copying the group for each message: quadratic, and a seventh of a
 * processor's time. They are grouped already, so its reduce is answered with the groups. Everything else sees an ordinary array.
 */
class Grouped extends Array<Message> {
  readonly #groups: Record<number, Message[]>

  constructor(partitions: ReadonlyMap<number, Message[]>) {
    super()
    for (const messages of partitions.values()) for (const message of messages) this.push(message)
    this.#groups = Object.fromEntries(partitions)
  }

  // Arrays derived from this one (map, filter) are ordinary ones.
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }

  override reduce(): never {
    return this.#groups as never
  }
}

interface Produced {
  readonly topicName: string
  readonly partition: number
  readonly baseOffset?: string
}

/** Writes the offsets of a send's records into `offsets`, by their index. Throws when the broker did not tell one. */
export function readOffsets(send: Send, answer: readonly Produced[], offsets: number[]): void {
  const bases = new Map(answer.map((one) => [`${one.partition} ${one.topicName}`, Number(one.baseOffset ?? -1)]))
  for (const { topic, partition, indexes } of send.batches) {
    const base = bases.get(`${partition} ${topic}`) ?? -1
    if (base < 0)
      throw new TidemarkError('LOG_UNAVAILABLE', `Kafka did not say where the records of ${topic}/${partition} are.`)
    for (const [i, index] of indexes.entries()) offsets[index] = base + i
  }
}
