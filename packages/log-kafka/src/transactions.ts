import type { Clock } from '@tidemark/base'
import { type Kafka, Partitioners, type Producer, type Transaction } from 'kafkajs'
import { atMost } from './deadline.ts'
import { typeOf } from './errors.ts'
import { readOffsets, type Send } from './sends.ts'

const CONCURRENT_WAIT_MS = 5
const DISCONNECT_MS = 1000

export interface TransactionOptions {
  readonly transactionalId: string
  /** The broker aborts a transaction that is open for longer. */
  readonly transactionTimeoutMs: number
}

export interface InputPosition {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly position: number
}

/**
 * A transactional producer as it may safely be used: one owner, one transaction at a time, nothing is ever sent again, and after any
 * failure the whole object is thrown away. kafkajs' own recovery (retry in place, abort, resend) loses and repeats records.
 */
export class Transactions {
  readonly #clock: Clock
  readonly #producer: Producer
  #open: Transaction | undefined

  constructor(kafka: Kafka, clock: Clock, { transactionalId, transactionTimeoutMs }: TransactionOptions) {
    this.#clock = clock
    this.#producer = kafka.producer({
      transactionalId,
      transactionTimeout: transactionTimeoutMs,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      // `idempotent` stays unset: with it kafkajs refuses not to retry.
      retry: { retries: 0 },
    })
  }

  /** Fences every earlier producer of the same id, and waits until what it left open is finished. connect() alone does not. */
  async fence(): Promise<void> {
    await this.#producer.connect()
    this.#open = await this.#producer.transaction()
  }

  /**
   * One transaction: position first (it alone may be refused while the previous transaction is being finished, and asked for again),
   * then the data without retries, then the commit. Returns the offsets by index. `until` is when it stops asking again.
   */
  async run(input: InputPosition, sends: readonly Send[], count: number, until: number): Promise<number[]> {
    this.#open ??= await this.#producer.transaction()
    const transaction = this.#open
    this.#open = undefined
    await this.#sendPosition(transaction, input, until)
    const offsets = new Array<number>(count).fill(-1)
    for (const send of sends) {
      // No timeout of its own: the broker's answer may take as long as the slice may.
      const answer = await transaction.sendBatch({ acks: -1, topicMessages: [...send.topics] as never })
      readOffsets(send, answer, offsets)
    }
    await transaction.commit()
    return offsets
  }

  /** Lets go of the connections; what is under way in them goes on, and is fenced by the next owner. */
  async discard(): Promise<void> {
    await atMost(this.#clock, DISCONNECT_MS, this.#producer.disconnect())
  }

  async #sendPosition(transaction: Transaction, input: InputPosition, until: number): Promise<void> {
    const { group, topic, partition, position } = input
    const topics = [{ topic, partitions: [{ partition, offset: String(position) }] }]
    for (;;) {
      try {
        return await transaction.sendOffsets({ consumerGroupId: group, topics })
      } catch (error) {
        if (typeOf(error) !== 'CONCURRENT_TRANSACTIONS' || this.#clock.now() > until) throw error
      }
      await this.#clock.sleep(CONCURRENT_WAIT_MS)
    }
  }
}
