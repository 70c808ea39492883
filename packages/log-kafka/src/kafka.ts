import { join } from 'node:path'
import { TidemarkError } from '@tidemark/base'
import type {
  AppendRecord,
  AssignmentOptions,
  EventLog,
  FetchRequest,
  StateStore,
  TaskOptions,
  TopicSpec,
} from '@tidemark/log'
import type { Admin, Kafka } from 'kafkajs'
import { Appender, type AppenderOptions } from './appender.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { atMost } from './deadline.ts'
import { newClient } from './kafkajs.ts'
import { shareAssignments } from './membership.ts'
import { NamedState } from './namedState.ts'
import { startAt } from './offsetStart.ts'
import { Poller } from './poller.ts'
import { Positions } from './positions.ts'
import { Reader } from './reader.ts'
import { KafkaTask, type TaskContext } from './task.ts'
import { type TopicOptions, Topics } from './topics.ts'
import { Visibility } from './visibility.ts'

export interface KafkaLogOptions extends ConnectionOptions, AppenderOptions, TopicOptions {
  /** Folder of local state; created when missing. Not to be shared by processes that own the same tasks at the same time. */
  readonly stateDir: string
  /** Compacted topics whose records of the task's partition are its state: key and value of an entry, null deletes. Default none. */
  readonly stateTopics?: (task: TaskOptions) => readonly string[]
  /** The broker aborts a slice that takes longer. Default 30 s. */
  readonly transactionTimeoutMs?: number
  /** How long opening a task may take, its predecessor's transaction included. Default 60 s. */
  readonly openTimeoutMs?: number
  /** Local state older than this is rebuilt, not brought up to date. Below delete.retention.ms of the state topics. Default 12 h. */
  readonly staleAfterMs?: number
}

export interface KafkaLog {
  readonly log: EventLog
  /** Opens a named state store in the state directory; a newer opening of the same name fences an older one. */
  openState(name: string): Promise<StateStore>
  /**
   * Makes an empty partition begin at an offset, as if everything before had been removed by retention; a partition that begins there
   * already is left alone. Nobody should read or write it meanwhile. Throws TOPIC_MISMATCH when it holds records or ends behind the offset.
   */
  startAt(topic: string, partition: number, offset: number): Promise<void>
  /** Ends waiting fetches, finishes accepted appends, lets go of tasks, state and connections. */
  close(): Promise<void>
}

const VISIBLE_MS = 5000
const DISCONNECT_MS = 1000

/**
 * Opens the log on a Kafka cluster. Resolves when a broker answered; throws LOG_UNAVAILABLE when none did in time, CONFIG_INVALID when
 * it refused.
 */
export async function openKafka(options: KafkaLogOptions): Promise<KafkaLog> {
  const data = new KafkaData(options)
  try {
    await data.connect()
    return {
      log: data,
      openState: (name) => data.openState(name),
      startAt: (topic, partition, offset) => data.startAt(topic, partition, offset),
      close: () => data.close(),
    }
  } catch (error) {
    await data.close()
    throw error
  }
}

class KafkaData implements EventLog {
  readonly #options: KafkaLogOptions
  readonly #connection: Connection
  readonly #kafka: Kafka
  readonly #topics: Topics
  readonly #appender: Appender
  readonly #poller: Poller
  readonly #reader: Reader
  readonly #positions: Positions
  readonly #context: TaskContext
  readonly #tasks = new Set<KafkaTask>()
  readonly #states = new Set<NamedState>()
  #admin: Promise<Admin> | undefined
  /** Ends memberships when the log is closed. */
  readonly #ending = new AbortController()
  #closing: Promise<void> | undefined

  constructor(options: KafkaLogOptions) {
    const visibility = new Visibility(options.clock, VISIBLE_MS)
    this.#options = options
    this.#connection = new Connection(options)
    this.#kafka = newClient(options)
    this.#topics = new Topics(this.#connection, () => this.#connectedAdmin(), options)
    this.#appender = new Appender(this.#connection, this.#kafka, this.#topics, options)
    this.#poller = new Poller(this.#connection, () => new Connection(options))
    this.#reader = new Reader(this.#connection, this.#poller, visibility)
    this.#positions = new Positions(this.#connection, visibility)
    this.#context = {
      connection: this.#connection,
      kafka: this.#kafka,
      topics: this.#topics,
      reader: this.#reader,
      positions: this.#positions,
      visibility,
      logger: options.logger,
      transactionTimeoutMs: options.transactionTimeoutMs ?? 30_000,
      openTimeoutMs: options.openTimeoutMs ?? 60_000,
      staleAfterMs: options.staleAfterMs ?? 12 * 3_600_000,
      statePath: ({ group, topic, partition }) =>
        join(options.stateDir, 'tasks', encodeURIComponent(group), `${topic}-${partition}`),
      stateTopics: options.stateTopics ?? (() => []),
      isClosed: () => this.#closing !== undefined,
      onClose: (task) => void this.#tasks.delete(task),
    }
  }

  async connect(): Promise<void> {
    await this.#connection.clusterId()
  }

  ensureTopics(specs: readonly TopicSpec[]) {
    return this.#guard(() => this.#topics.ensure(specs))
  }

  listTopics() {
    return this.#guard(() => this.#topics.list())
  }

  append(records: readonly AppendRecord[]) {
    return this.#guard(() => this.#appender.append(records))
  }

  fetch(request: FetchRequest) {
    return this.#guard(() => this.#reader.fetch(request))
  }

  bounds(topic: string, partition: number) {
    return this.#guard(() => this.#reader.bounds(topic, partition))
  }

  offsetAt(topic: string, partition: number, timestampMs: number) {
    return this.#guard(() => this.#reader.offsetAt(topic, partition, timestampMs))
  }

  positions(group: string, topic: string) {
    return this.#guard(() => this.#positions.read(group, topic))
  }

  commitPositions(group: string, topic: string, positions: ReadonlyMap<number, number>) {
    return this.#guard(async () => {
      for (const partition of positions.keys()) await this.#topics.partition(topic, partition)
      await this.#positions.write(group, topic, positions)
    })
  }

  openTask(options: TaskOptions) {
    return this.#guard(async () => {
      const task = await KafkaTask.open(this.#context, options)
      this.#tasks.add(task)
      // Closed meanwhile, without having known of it.
      if (this.#closing) await task.close()
      return task
    })
  }

  assignments(options: AssignmentOptions) {
    return this.#guard(() => {
      const signal = AbortSignal.any([options.signal, this.#ending.signal])
      return shareAssignments(this.#options, { ...options, signal })
    })
  }

  openState(name: string): Promise<StateStore> {
    return this.#guard(async () => {
      const path = join(this.#options.stateDir, 'states', encodeURIComponent(name))
      const state: NamedState = new NamedState(path, () => this.#states.delete(state))
      this.#states.add(state)
      return state
    })
  }

  startAt(topic: string, partition: number, offset: number): Promise<void> {
    return this.#guard(() =>
      startAt(
        { connection: this.#connection, reader: this.#reader, appender: this.#appender },
        { topic, partition, offset },
      ),
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#ending.abort()
    this.#reader.close()
    await this.#appender.close()
    await Promise.all([...this.#tasks].map((task) => task.close()))
    await Promise.all([...this.#states].map((state) => state.close()))
    const admin = this.#admin?.then((connected) => connected.disconnect()) ?? Promise.resolve()
    const connections = [admin, this.#poller.close(), this.#connection.close()]
    await atMost(this.#options.clock, DISCONNECT_MS, Promise.all(connections))
  }

  #connectedAdmin(): Promise<Admin> {
    this.#admin ??= this.#connectAdmin().catch((error: unknown) => {
      this.#admin = undefined
      throw error
    })
    return this.#admin
  }

  async #connectAdmin(): Promise<Admin> {
    const admin = this.#kafka.admin()
    await admin.connect()
    return admin
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing) {
      throw new TidemarkError('LOG_CLOSED', `The log at ${this.#options.brokers.join(', ')} is closed.`)
    }
    return work()
  }
}
