import type { Connection } from './connection.ts'
import { type FetchedPartition, readFetchAnswer } from './fetchAnswer.ts'
import { errorOf, type FetchPartition, sendFetch } from './kafkajs.ts'
import { partitionName } from './visibility.ts'

const ANSWER_BYTES_MAX = 16 * 1024 * 1024

/**
 * A broker answers the requests of one connection one after another, so one waiting fetch per partition would make them all wait for
 * each other. Here all waiting partitions of a broker share one long poll; who comes while it is under way gets a poll on another lane,
 * and joins the others when that one returns. The more lanes are busy, the shorter the polls, so that nobody waits long for a place.
 */
const LANE_WAIT_MS = [1000, 200, 100, 50]

interface Waiter {
  readonly partition: FetchPartition
  readonly resolve: (fetched: FetchedPartition) => void
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal
}

interface BrokerQueue {
  waiting: Waiter[]
  readonly busy: Set<number>
}

/** Long polls over many partitions. */
export class Poller {
  readonly #newLane: () => Connection
  readonly #lanes: Connection[] = []
  readonly #queues = new Map<number, BrokerQueue>()
  readonly #leaders: Connection
  #closed = false

  constructor(leaders: Connection, newLane: () => Connection) {
    this.#leaders = leaders
    this.#newLane = newLane
  }

  /** Resolves with the first answer that has data or an error for the partition; undefined when the signal aborts first. */
  async wait(partition: FetchPartition, signal: AbortSignal): Promise<FetchedPartition | undefined> {
    if (signal.aborted || this.#closed) return undefined
    const { nodeId } = await this.#leaders.leaderOf(partition.topic, partition.partition)
    return new Promise((resolve, reject) => {
      if (signal.aborted || this.#closed) return resolve(undefined)
      const onAbort = (): void => {
        const queue = this.#queues.get(nodeId)
        if (queue) queue.waiting = queue.waiting.filter((one) => one !== waiter)
        resolve(undefined)
      }
      const settle = (finish: () => void): void => {
        signal.removeEventListener('abort', onAbort)
        finish()
      }
      const waiter: Waiter = {
        partition,
        signal,
        resolve: (fetched) => settle(() => resolve(fetched)),
        reject: (error) => settle(() => reject(error)),
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const queue = this.#queues.get(nodeId) ?? { waiting: [], busy: new Set<number>() }
      this.#queues.set(nodeId, queue)
      queue.waiting.push(waiter)
      // All that ask in the same turn share a poll.
      queueMicrotask(() => this.#start(nodeId, queue))
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#lanes.map((lane) => lane.close()))
  }

  #start(nodeId: number, queue: BrokerQueue): void {
    if (this.#closed || queue.waiting.length === 0) return
    const lane = LANE_WAIT_MS.findIndex((_, i) => !queue.busy.has(i))
    if (lane === -1) return
    const waiters = queue.waiting
    queue.waiting = []
    queue.busy.add(lane)
    this.#poll(lane, nodeId, waiters)
      .then((left) => {
        queue.waiting.push(...left)
      })
      .catch((error: unknown) => {
        for (const waiter of waiters) waiter.reject(error)
      })
      .finally(() => {
        queue.busy.delete(lane)
        this.#start(nodeId, queue)
      })
  }

  /** One long poll; returns those that have to wait on. */
  async #poll(index: number, nodeId: number, waiters: readonly Waiter[]): Promise<Waiter[]> {
    while (this.#lanes.length <= index) this.#lanes.push(this.#newLane())
    // A broker takes each partition once per request; of two readers at different offsets the second waits for the next poll.
    const asked = new Map<string, FetchPartition>()
    for (const { partition } of waiters) {
      const name = partitionName(partition.topic, partition.partition)
      if (!asked.has(name)) asked.set(name, partition)
    }
    const options = { waitMs: LANE_WAIT_MS[index]!, bytesMax: ANSWER_BYTES_MAX }
    const partitions = [...asked.values()]
    const sent = this.#lanes[index]!.onBroker(nodeId, (broker) => sendFetch(broker, partitions, options))
    const answer = readFetchAnswer(await sent)
    if (answer.errorCode !== 0) throw errorOf(answer.errorCode)
    const found = new Map(answer.partitions.map((one) => [partitionName(one.topic, one.partition), one]))
    const left: Waiter[] = []
    for (const waiter of waiters) {
      const { topic, partition, offset } = waiter.partition
      const name = partitionName(topic, partition)
      const one = asked.get(name)!.offset === offset ? found.get(name) : undefined
      if (one && (one.errorCode !== 0 || one.records.length > 0)) waiter.resolve(one)
      else if (!waiter.signal.aborted) left.push(waiter)
    }
    return left
  }
}
