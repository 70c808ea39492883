import { TidemarkError } from '@tidemark/base'
import type { AppendRecord } from '@tidemark/log'
import { type Kafka, Partitioners, type Producer } from 'kafkajs'
import type { Connection } from './connection.ts'
import { atMost, within } from './deadline.ts'
import { translate } from './errors.ts'
import { encodedBytes, planSends, readOffsets, type Send } from './sends.ts'
import type { Topics } from './topics.ts'

export interface AppenderOptions {
  /** Longest wait for one request, kafkajs' own retries included. Default 30 s. */
  readonly appendTimeoutMs?: number
  /** Bytes that may wait to be sent; beyond, append rejects with OVERLOADED. Default 64 MiB. */
  readonly queueBytesMax?: number
}

interface Queued {
  readonly records: readonly AppendRecord[]
  readonly bytes: number
  readonly resolve: (offsets: number[]) => void
  readonly reject: (error: unknown) => void
}

const ROUND_BYTES_MAX = 8 * 1024 * 1024
const BATCH_BYTES_MAX = 1_000_000
const DISCONNECT_MS = 1000

/**
 * Appends without a transaction: idempotent, acks=all, one request at a time and leader by leader. kafkajs tries a request again under
 * the same sequence numbers, which the broker recognizes; with several leaders in one send it would not. After a failure the producer
 * is thrown away: its sequence numbers may have been used.
 */
export class Appender {
  readonly #connection: Connection
  readonly #kafka: Kafka
  readonly #topics: Topics
  readonly #options: Required<AppenderOptions>
  #queue: Queued[] = []
  #queuedBytes = 0
  #running: Promise<void> | undefined
  #producer: Promise<Producer> | undefined
  #closed = false

  constructor(connection: Connection, kafka: Kafka, topics: Topics, options: AppenderOptions) {
    this.#connection = connection
    this.#kafka = kafka
    this.#topics = topics
    this.#options = { appendTimeoutMs: 30_000, queueBytesMax: 64 * 1024 * 1024, ...options }
  }

  /** See EventLog.append. A rejection leaves open whether the records were written; appending them again may repeat them. */
  async append(records: readonly AppendRecord[]): Promise<number[]> {
    if (records.length === 0) return []
    await this.#topics.check(records)
    let bytes = 0
    for (const record of records) bytes += encodedBytes(record)
    if (this.#closed) throw closed()
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#options.queueBytesMax) {
      throw new TidemarkError(
        'OVERLOADED',
        `${this.#queuedBytes} bytes already wait to be appended to Kafka. Try again later.`,
      )
    }
    this.#queuedBytes += bytes
    return new Promise((resolve, reject) => {
      this.#queue.push({ records, bytes, resolve, reject })
      this.#running ??= this.#drain()
    })
  }

  /** Refuses new records and waits for those already accepted. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#discard()
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) await this.#round()
    this.#running = undefined
  }

  /** Sends what has gathered. Never rejects: each outcome goes to the call it belongs to. */
  async #round(): Promise<void> {
    const taken = this.#take()
    const all = taken.flatMap(({ records }) => records)
    const offsets = new Array<number>(all.length).fill(-1)
    let failure: unknown
    try {
      for (const send of await this.#plan(all)) await this.#send(send, offsets)
    } catch (error) {
      failure = translate(error, { what: 'Appending records', brokers: this.#connection.brokers })
      void this.#discard()
    }
    let at = 0
    for (const { records, bytes, resolve, reject } of taken) {
      const own = offsets.slice(at, at + records.length)
      at += records.length
      this.#queuedBytes -= bytes
      // Those of earlier requests of this round are written and acknowledged.
      if (failure === undefined || own.every((offset) => offset >= 0)) resolve(own)
      else reject(failure)
    }
  }

  #take(): Queued[] {
    let bytes = 0
    let count = 0
    while (count < this.#queue.length && (count === 0 || bytes + this.#queue[count]!.bytes <= ROUND_BYTES_MAX)) {
      bytes += this.#queue[count]!.bytes
      count++
    }
    return this.#queue.splice(0, count)
  }

  /** One leader per request; see above. Indexes are those of all records. */
  async #plan(records: readonly AppendRecord[]): Promise<Send[]> {
    const topics = await this.#topics.check(records)
    const perLeader = new Map<number, { readonly records: AppendRecord[]; readonly indexes: number[] }>()
    const leaders = new Map<string, number>()
    for (const [index, record] of records.entries()) {
      const name = `${record.partition} ${record.topic}`
      let leader = leaders.get(name)
      if (leader === undefined) {
        const what = `Looking for the leader of ${record.topic}/${record.partition}`
        leader = await this.#connection.onLeader(record.topic, record.partition, what, async (broker) => broker.nodeId)
        leaders.set(name, leader)
      }
      const group = perLeader.get(leader) ?? { records: [], indexes: [] }
      perLeader.set(leader, group)
      group.records.push(record)
      group.indexes.push(index)
    }
    const options = {
      messageBytesMax: (topic: string) => topics.get(topic)!.messageBytesMax,
      requestBytesMax: ROUND_BYTES_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
    }
    return [...perLeader.values()].flatMap((group) =>
      planSends(group.records, options).map((send) => ({
        ...send,
        batches: send.batches.map((batch) => ({ ...batch, indexes: batch.indexes.map((i) => group.indexes[i]!) })),
      })),
    )
  }

  async #send(send: Send, offsets: number[]): Promise<void> {
    const { clock } = this.#connection
    const { appendTimeoutMs } = this.#options
    const sending = this.#connected().then((producer) =>
      producer.sendBatch({ acks: -1, timeout: appendTimeoutMs, topicMessages: [...send.topics] as never }),
    )
    readOffsets(send, await within(clock, appendTimeoutMs, 'Appending records', sending), offsets)
  }

  #connected(): Promise<Producer> {
    this.#producer ??= this.#connect()
    return this.#producer
  }

  async #connect(): Promise<Producer> {
    const producer = this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: { retries: 8, initialRetryTime: 50, maxRetryTime: 2000 },
    })
    await producer.connect()
    return producer
  }

  async #discard(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    if (!producer) return
    await atMost(
      this.#connection.clock,
      DISCONNECT_MS,
      producer.then((connected) => connected.disconnect()),
    )
  }
}

function closed(): TidemarkError {
  return new TidemarkError('LOG_CLOSED', 'The log is closed.')
}
