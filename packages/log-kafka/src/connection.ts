import { type Clock, TidemarkError } from '@tidemark/base'
import { isPassing, translate, typeOf } from './errors.ts'
import { type Broker, type ClientOptions, type Cluster, newCluster, type PartitionMetadata } from './kafkajs.ts'

export interface ConnectionOptions extends ClientOptions {
  readonly clock: Clock
  /** How long one operation is tried again while brokers are being elected or cannot be reached. Default 15 s. */
  readonly operationTimeoutMs?: number
}

const BACKOFF_START_MS = 20
const BACKOFF_MAX_MS = 500

/** One kafkajs cluster, with retries that have a deadline instead of a count. */
export class Connection {
  readonly brokers: readonly string[]
  readonly clock: Clock
  readonly #options: ConnectionOptions
  readonly #cluster: Cluster
  /** Topics whose metadata were found to be wrong. */
  readonly #stale = new Set<string>()
  #connecting: Promise<void> | undefined
  /** Metadata are read one after another: kafkajs forgets brokers that two readings find at once, with their sockets open. */
  #reading: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.brokers = options.brokers
    this.clock = options.clock
    this.#cluster = newCluster(options)
  }

  /** Identifies the cluster: state kept for another one is worthless. */
  clusterId(): Promise<string> {
    return this.retry('Looking for the cluster', async () => {
      await this.#connect()
      await this.#ensureMetadata()
      return this.#cluster.brokerPool.metadata?.clusterId ?? 'unknown'
    })
  }

  /** The partitions of a topic, or undefined when there is no such topic. */
  partitionsOf(topic: string): Promise<PartitionMetadata[] | undefined> {
    return this.retry(`Looking for topic ${topic}`, async () => {
      const found = await this.#metadata(topic)
      return found.length === 0 ? undefined : found
    })
  }

  /** Runs a request on the leader of a partition; on a passing failure again, on whoever is the leader then. */
  onLeader<T>(topic: string, partition: number, what: string, request: (broker: Broker) => Promise<T>): Promise<T> {
    const ask = async (): Promise<T> => {
      const leader = await this.leaderOf(topic, partition)
      try {
        return await request(leader)
      } catch (error) {
        if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
        // Moved, deleted, or so new that this broker has not heard of it: fresh metadata tell which.
        this.#stale.add(topic)
        throw Object.assign(new Error('the leader does not know the partition'), { type: 'NOT_LEADER_FOR_PARTITION' })
      }
    }
    return this.retry(what, ask, { topic, partition })
  }

  /** Runs a request on a group's coordinator; on a passing failure again, on whoever it is then. */
  onCoordinator<T>(group: string, what: string, request: (broker: Broker) => Promise<T>): Promise<T> {
    return this.retry(what, async () => {
      await this.#connect()
      await this.#ensureMetadata()
      return request(await this.#cluster.findGroupCoordinator({ groupId: group }))
    })
  }

  /** Throws TOPIC_UNKNOWN, and what kafkajs throws when the leader is not known or not connected. */
  async leaderOf(topic: string, partition: number): Promise<Broker> {
    const partitions = await this.#metadata(topic)
    const found = partitions.find(({ partitionId }) => partitionId === partition)
    if (!found) {
      const why = partitions.length === 0 ? 'There is no such topic' : `It has ${partitions.length} partitions`
      throw new TidemarkError('TOPIC_UNKNOWN', `Topic ${topic}, partition ${partition}: ${why}.`, {
        fields: { topic, partition },
      })
    }
    if (found.leader < 0) throw Object.assign(new Error('no leader'), { type: 'LEADER_NOT_AVAILABLE' })
    return this.#cluster.findBroker({ nodeId: found.leader })
  }

  /** A broker by its id. Throws what kafkajs throws when it cannot be reached. */
  async broker(nodeId: number): Promise<Broker> {
    await this.#connect()
    await this.#ensureMetadata()
    return this.#cluster.findBroker({ nodeId })
  }

  /** Forgets who leads what; asked again with the next request. */
  async refresh(): Promise<void> {
    await this.#connect()
    await this.#read(() => this.#cluster.refreshMetadata())
  }

  /** Tries again while failures are passing and time is left. Throws a TidemarkError. */
  async retry<T>(what: string, work: () => Promise<T>, at: { topic?: string; partition?: number } = {}): Promise<T> {
    const until = this.clock.now() + (this.#options.operationTimeoutMs ?? 15_000)
    for (let waitMs = BACKOFF_START_MS; ; waitMs = Math.min(waitMs * 2, BACKOFF_MAX_MS)) {
      try {
        this.#checkOpen()
        return await work()
      } catch (error) {
        const last = this.#closed || !isPassing(error) || this.clock.now() + waitMs > until
        if (last) throw translate(error, { what, brokers: this.brokers, ...at })
      }
      await this.clock.sleep(waitMs)
      // A failure of this refresh is the next try's failure too.
      await this.refresh().catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#cluster.disconnect().catch(() => undefined)
  }

  #checkOpen(): void {
    if (this.#closed) throw new TidemarkError('LOG_CLOSED', `The log at ${this.brokers.join(', ')} is closed.`)
  }

  #connect(): Promise<void> {
    this.#connecting ??= this.#cluster.connect().catch((error: unknown) => {
      this.#connecting = undefined
      throw error
    })
    return this.#connecting
  }

  async #metadata(topic: string): Promise<PartitionMetadata[]> {
    await this.#connect()
    const known = this.#fresh(topic)
    return known.length > 0 ? known : this.#read(() => this.#readTopic(topic))
  }

  async #readTopic(topic: string): Promise<PartitionMetadata[]> {
    // Who read before may have asked for it.
    const known = this.#fresh(topic)
    if (known.length > 0) return known
    try {
      this.#cluster.targetTopics.delete(topic)
      await this.#cluster.addTargetTopic(topic)
    } catch (error) {
      if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      // Perhaps another topic of the set is the one that was deleted, and takes the whole answer with it.
      this.#cluster.targetTopics.clear()
      try {
        await this.#cluster.addTargetTopic(topic)
      } catch (again) {
        if (typeOf(again) !== 'UNKNOWN_TOPIC_OR_PARTITION' && typeOf(again) !== 'INVALID_TOPIC_EXCEPTION') throw again
        return []
      }
    }
    this.#stale.delete(topic)
    return this.#known(topic)
  }

  #fresh(topic: string): PartitionMetadata[] {
    return this.#stale.has(topic) ? [] : this.#known(topic)
  }

  async #ensureMetadata(): Promise<void> {
    if (this.#cluster.brokerPool.metadata) return
    await this.#read(async () => {
      if (!this.#cluster.brokerPool.metadata) await this.#cluster.refreshMetadata()
    })
  }

  #read<T>(work: () => Promise<T>): Promise<T> {
    const reading = this.#reading.then(work)
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  #known(topic: string): PartitionMetadata[] {
    return this.#cluster.brokerPool.metadata ? this.#cluster.findTopicPartitionMetadata(topic) : []
  }
}
