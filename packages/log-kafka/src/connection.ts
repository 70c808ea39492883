import { atMost, type Clock, TidemarkError, within } from '@tidemark/base'
import { isPassing, translate, typeOf } from './errors.ts'
import { type Broker, type ClientOptions, type Cluster, newCluster, type PartitionMetadata } from './kafkajs.ts'

export interface ConnectionOptions extends ClientOptions {
  readonly clock: Clock
  /** How long one operation is tried again while brokers are being elected or cannot be reached. Default 15 s. */
  readonly operationTimeoutMs?: number
  /** After this long one call of kafkajs is taken for one that will never end. Beyond every timeout of its own. Default 30 s. */
  readonly callTimeoutMs?: number
}

const BACKOFF_START_MS = 20
const BACKOFF_MAX_MS = 500
/** With the waits between them two and a half seconds. */
const UNKNOWN_TRIES = 10
const CALL_TIMEOUT_MS = 30_000
const CLOSE_MS = 5_000

/**
 * One kafkajs cluster, with retries that have a deadline instead of a count. A call of kafkajs that does not end (its connections can come
 * to wait for what never happens when a broker dies while they are opened or closed) is given up, and the cluster is replaced.
 */
export class Connection {
  readonly brokers: readonly string[]
  readonly clock: Clock
  readonly #options: ConnectionOptions
  #cluster: Cluster
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
        return await this.#call(() => request(leader))
      } catch (error) {
        if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
        // Moved, deleted, or so new that this broker has not heard of it: fresh metadata tell which.
        this.#stale.add(topic)
        throw Object.assign(new Error('the leader does not know the partition'), { type: 'NOT_LEADER_FOR_PARTITION' })
      }
    }
    return this.retry(what, ask, { topic, partition })
  }

  /**
   * Runs a request about topics that any broker answers. One broker tells of a new topic before another has heard of
   * it, so one that knows none is asked again a few times. Throws TOPIC_UNKNOWN when there is still no such topic.
   */
  onAnyBroker<T>(what: string, request: () => Promise<T>): Promise<T> {
    let triesLeft = UNKNOWN_TRIES
    return this.retry(what, async () => {
      try {
        return await request()
      } catch (error) {
        if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION' || --triesLeft === 0) throw error
        throw Object.assign(new Error('a broker does not know the topic yet'), { type: 'LEADER_NOT_AVAILABLE' })
      }
    })
  }

  /** Runs a request on a group's coordinator; on a passing failure again, on whoever it is then. */
  onCoordinator<T>(group: string, what: string, request: (broker: Broker) => Promise<T>): Promise<T> {
    return this.retry(what, async () => {
      await this.#connect()
      await this.#ensureMetadata()
      const coordinator = await this.#call((cluster) => cluster.findGroupCoordinator({ groupId: group }))
      return this.#call(() => request(coordinator))
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
    return this.#call((cluster) => cluster.findBroker({ nodeId: found.leader }))
  }

  /** One request to a broker by its id, not tried again. Throws what kafkajs throws. */
  async onBroker<T>(nodeId: number, request: (broker: Broker) => Promise<T>): Promise<T> {
    await this.#connect()
    await this.#ensureMetadata()
    const broker = await this.#call((cluster) => cluster.findBroker({ nodeId }))
    return this.#call(() => request(broker))
  }

  /** Forgets who leads what; asked again with the next request. */
  async refresh(): Promise<void> {
    await this.#connect()
    await this.#read((cluster) => cluster.refreshMetadata())
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
    // Its sockets are closed or unreferenced first; what it waits for then may never come.
    await atMost(this.clock, CLOSE_MS, this.#cluster.disconnect())
  }

  #checkOpen(): void {
    if (this.#closed) throw new TidemarkError('LOG_CLOSED', `The log at ${this.brokers.join(', ')} is closed.`)
  }

  #connect(): Promise<void> {
    this.#connecting ??= this.#call((cluster) => cluster.connect()).catch((error: unknown) => {
      this.#connecting = undefined
      throw error
    })
    return this.#connecting
  }

  async #metadata(topic: string): Promise<PartitionMetadata[]> {
    await this.#connect()
    const known = this.#fresh(topic)
    return known.length > 0 ? known : this.#read((cluster) => this.#readTopic(cluster, topic))
  }

  async #readTopic(cluster: Cluster, topic: string): Promise<PartitionMetadata[]> {
    // Who read before may have asked for it.
    const known = this.#fresh(topic)
    if (known.length > 0) return known
    try {
      cluster.targetTopics.delete(topic)
      await cluster.addTargetTopic(topic)
    } catch (error) {
      if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      // Perhaps another topic of the set is the one that was deleted, and takes the whole answer with it.
      cluster.targetTopics.clear()
      try {
        await cluster.addTargetTopic(topic)
      } catch (again) {
        if (typeOf(again) !== 'UNKNOWN_TOPIC_OR_PARTITION' && typeOf(again) !== 'INVALID_TOPIC_EXCEPTION') throw again
        return []
      }
    }
    this.#stale.delete(topic)
    return this.#known(topic, cluster)
  }

  #fresh(topic: string): PartitionMetadata[] {
    return this.#stale.has(topic) ? [] : this.#known(topic)
  }

  async #ensureMetadata(): Promise<void> {
    if (this.#cluster.brokerPool.metadata) return
    await this.#read(async (cluster) => {
      if (!cluster.brokerPool.metadata) await cluster.refreshMetadata()
    })
  }

  #read<T>(work: (cluster: Cluster) => Promise<T>): Promise<T> {
    const reading = this.#reading.then(() => this.#call(work))
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  /** A call of kafkajs, which ends. */
  #call<T>(work: (cluster: Cluster) => Promise<T>): Promise<T> {
    const cluster = this.#cluster
    const ms = this.#options.callTimeoutMs ?? CALL_TIMEOUT_MS
    return within(this.clock, ms, work(cluster), () => {
      this.#replace(cluster, ms)
      return Object.assign(new Error(`kafkajs has not answered within ${ms} ms`), { type: 'REQUEST_TIMED_OUT' })
    })
  }

  #replace(hung: Cluster, ms: number): void {
    if (this.#closed || this.#cluster !== hung) return
    this.#options.logger?.warn(
      { brokers: this.brokers, ms },
      'a call of kafkajs does not end; its connections are opened anew',
    )
    this.#cluster = newCluster(this.#options)
    this.#connecting = undefined
    this.#reading = Promise.resolve()
    void hung.disconnect().catch(() => undefined)
  }

  #known(topic: string, cluster = this.#cluster): PartitionMetadata[] {
    return cluster.brokerPool.metadata ? cluster.findTopicPartitionMetadata(topic) : []
  }
}
