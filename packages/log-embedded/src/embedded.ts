import type { Clock } from '@tidemark/base'
import type { AssignmentOptions, EventLog, FetchRequest, StateStore, TaskOptions, TopicSpec } from '@tidemark/log'
import type { SchemaRegistry } from '@tidemark/registry'
import { appendOperation, measure, RoundAppends } from './append.ts'
import { BatchWriter } from './batch.ts'
import { Committer, closedError } from './committer.ts'
import { type Environment, openEnvironment, translate } from './environment.ts'
import { Maintainer, type MaintenanceOptions, type MaintenanceReport } from './maintenance.ts'
import { checkName, type GroupTopic, readGroups, readPositions, writePosition } from './positions.ts'
import { Reader } from './reader.ts'
import { EmbeddedRegistry } from './registry.ts'
import { startAt } from './startAt.ts'
import { NamedState } from './state.ts'
import { EmbeddedTask } from './task.ts'
import { Topics } from './topics.ts'
import { Waiters } from './waiters.ts'

export interface EmbeddedOptions extends Partial<MaintenanceOptions> {
  /** Directory of the log; created when missing. */
  readonly path: string
  readonly clock: Clock
  /** Reads a directory that another process may be writing to. Everything that writes then throws CONFIG_INVALID. Default false. */
  readonly readOnly?: boolean
  /** Largest key and value of one record together. Default 64 MiB. */
  readonly recordBytesMax?: number
  /** Address space that is mapped at first; it grows by itself. Takes no memory. Default 64 GiB. */
  readonly mapBytes?: number
}

export interface Embedded {
  readonly log: EventLog
  readonly registry: SchemaRegistry
  /** Opens a named state store beside the log; a newer opening of the same name fences an older one. */
  openState(name: string): Promise<StateStore>
  /** Every group with every topic that it has positions in; see EventLog.positions. */
  groups(): Promise<readonly GroupTopic[]>
  /**
   * Makes an empty partition begin at an offset, as if everything before had been removed by retention; a partition that begins there
   * already is left alone. Throws TOPIC_MISMATCH when it holds records or ends behind the offset.
   */
  startAt(topic: string, partition: number, offset: number): Promise<void>
  /** Applies retention and compaction as of `nowMs`, in slices that let other work run. A second call joins the first. */
  maintain(nowMs: number): Promise<MaintenanceReport>
  /** Ends waiting fetches, finishes accepted writes, releases the directory. */
  close(): Promise<void>
}

/**
 * Opens log, state and schema registry of one data directory: one LMDB environment, so that a task's outputs, state and position are
 * one transaction. One process writes, others may read. Throws DATA_DIRECTORY_LOCKED, DATA_DIRECTORY_CORRUPT, DISK_FULL.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const environment = openEnvironment({
    path: options.path,
    readOnly: options.readOnly ?? false,
    mapBytes: options.mapBytes ?? 64 * 2 ** 30,
  })
  return new EmbeddedData(environment, options)
}

class EmbeddedData implements Embedded {
  readonly log: EventLog
  readonly registry: SchemaRegistry
  readonly #environment: Environment
  readonly #committer: Committer
  readonly #reader: Reader
  readonly #topics: Topics
  readonly #maintainer: Maintainer
  readonly #ending = new AbortController()
  #closing: Promise<void> | undefined

  constructor(environment: Environment, options: EmbeddedOptions) {
    const topics = new Topics(environment)
    const waiters = new Waiters()
    const writer = new BatchWriter()
    const committer = new Committer(environment, {
      newAppends: () => new RoundAppends(environment, writer),
      onCommit: (touched) => waiters.wake(touched),
      onRollback: () => topics.forget(),
    })
    this.#environment = environment
    this.#topics = topics
    this.#committer = committer
    this.#reader = new Reader(environment, topics, waiters, options.clock)
    this.#maintainer = new Maintainer({ environment, committer, topics, writer }, options)
    this.registry = new EmbeddedRegistry(environment, committer)
    this.log = new EmbeddedLog({
      environment,
      committer,
      topics,
      reader: this.#reader,
      recordBytesMax: options.recordBytesMax ?? 64 * 2 ** 20,
      isClosed: () => this.#closing !== undefined,
      ending: this.#ending.signal,
      close: () => this.close(),
    })
  }

  async openState(name: string): Promise<StateStore> {
    if (this.#closing) throw closedError(this.#environment.path)
    checkName('State', name)
    return NamedState.open(this.#environment, this.#committer, name)
  }

  async groups(): Promise<readonly GroupTopic[]> {
    if (this.#closing) throw closedError(this.#environment.path)
    return readGroups(this.#environment)
  }

  async startAt(topic: string, partition: number, offset: number): Promise<void> {
    if (this.#closing) throw closedError(this.#environment.path)
    await startAt(this.#environment, this.#committer, this.#topics, { topic, partition, offset })
  }

  async maintain(nowMs: number): Promise<MaintenanceReport> {
    if (this.#closing) throw closedError(this.#environment.path)
    return this.#maintainer.run(nowMs)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#ending.abort()
    this.#reader.close()
    await this.#maintainer.close()
    await this.#committer.close()
    await this.#environment.close()
  }
}

interface LogParts {
  readonly environment: Environment
  readonly committer: Committer
  readonly topics: Topics
  readonly reader: Reader
  readonly recordBytesMax: number
  isClosed(): boolean
  /** Aborts when the log is closed. */
  readonly ending: AbortSignal
  close(): Promise<void>
}

class EmbeddedLog implements EventLog {
  readonly #parts: LogParts

  constructor(parts: LogParts) {
    this.#parts = parts
  }

  ensureTopics(specs: readonly TopicSpec[]) {
    return this.#guard(() => this.#parts.topics.ensure(specs, this.#parts.committer))
  }

  listTopics() {
    return this.#guard(() => this.#parts.topics.list().map((topic) => topic.spec))
  }

  append(records: Parameters<EventLog['append']>[0]) {
    return this.#guard(() => {
      const { committer, topics, recordBytesMax } = this.#parts
      if (records.length === 0) return []
      return committer.run(appendOperation(records, measure(records, recordBytesMax), topics))
    })
  }

  fetch(request: FetchRequest) {
    return this.#guard(() => this.#parts.reader.fetch(request))
  }

  bounds(topic: string, partition: number) {
    return this.#guard(() => this.#parts.reader.bounds(topic, partition))
  }

  offsetAt(topic: string, partition: number, timestampMs: number) {
    return this.#guard(() => this.#parts.reader.offsetAt(topic, partition, timestampMs))
  }

  positions(group: string, topic: string) {
    return this.#guard(() => readPositions(this.#parts.environment, group, topic))
  }

  commitPositions(group: string, topic: string, positions: ReadonlyMap<number, number>) {
    return this.#guard(() => {
      const { committer, environment, topics } = this.#parts
      checkName('Group', group)
      return committer.run<void>({
        bytes: positions.size * 64,
        check: () => {
          for (const partition of positions.keys()) topics.partition(topic, partition)
        },
        write: () => {
          for (const [partition, position] of positions) writePosition(environment, group, topic, partition, position)
        },
      })
    })
  }

  openTask(options: TaskOptions) {
    return this.#guard(() => {
      checkName('Group', options.group)
      return EmbeddedTask.open(this.#parts, options)
    })
  }

  async assignments({ topic, signal, onAssigned }: AssignmentOptions): Promise<void> {
    // One process has the directory: everything is its own, until the end.
    const { partitions } = await this.#guard(() => this.#parts.topics.get(topic).spec)
    const all = Array.from({ length: partitions }, (_, partition) => partition)
    const ending = AbortSignal.any([signal, this.#parts.ending])
    if (!ending.aborted) await onAssigned(all, ending)
    if (!ending.aborted) await new Promise((resolve) => ending.addEventListener('abort', resolve, { once: true }))
  }

  close(): Promise<void> {
    return this.#parts.close()
  }

  /** Every failure leaves as a rejected TidemarkError. */
  async #guard<T>(work: () => T | Promise<T>): Promise<T> {
    const { path } = this.#parts.environment
    if (this.#parts.isClosed()) throw closedError(path)
    try {
      return await work()
    } catch (error) {
      throw translate(error, path)
    }
  }
}
