import { TidemarkError } from '@tidemark/base'
import type {
  AppendRecord,
  Bounds,
  EventLog,
  FetchRequest,
  FetchResult,
  LogRecord,
  StateStore,
  StateWrite,
  TopicSpec,
} from '@tidemark/log'
import { MemoryState } from '@tidemark/testing'

/** Longest real wait of a fetch at the end; consumers then commit. */
const WAIT_MS_MAX = 5

/** An event log in memory. `connect` gives a view that can be cut off, as by a SIGKILL, while the records stay. */
export class MemoryLog {
  readonly #topics = new Map<string, { start: number; records: LogRecord[] }[]>()
  readonly #positions = new Map<string, Map<number, number>>()
  readonly #waiting = new Set<() => void>()
  /** Throws what an append is to fail with. */
  beforeAppend: (records: readonly AppendRecord[]) => void | Promise<void> = () => undefined

  constructor(specs: readonly TopicSpec[]) {
    for (const { name, partitions } of specs)
      this.#topics.set(
        name,
        Array.from({ length: partitions }, () => ({ start: 0, records: [] })),
      )
  }

  /** All records of a topic with their positions, partition by partition. */
  read(topic: string): { readonly partition: number; readonly record: LogRecord }[] {
    return (this.#topics.get(topic) ?? []).flatMap(({ records }, partition) =>
      records.map((record) => ({ partition, record })),
    )
  }

  committed(group: string, topic: string): ReadonlyMap<number, number> {
    return this.#positions.get(`${group} ${topic}`) ?? new Map()
  }

  connect(): { readonly log: EventLog; readonly kill: () => void } {
    let dead = false
    const guard = (): void => {
      if (dead) throw new TidemarkError('LOG_CLOSED', 'The log is closed.')
    }
    const unused = (): never => {
      throw new RangeError('not part of this stand-in')
    }
    const log: EventLog = {
      ensureTopics: unused,
      listTopics: unused,
      openTask: unused,
      assignments: unused,
      append: async (records) => {
        guard()
        await this.beforeAppend(records)
        guard()
        return this.#append(records)
      },
      fetch: async (request) => {
        guard()
        const result = await this.#fetch(request)
        guard()
        return result
      },
      bounds: async (topic, partition) => {
        guard()
        return this.#bounds(topic, partition)
      },
      offsetAt: async (topic, partition, timestampMs) => {
        guard()
        const found = this.#partition(topic, partition).records.find((record) => record.timestampMs >= timestampMs)
        return found?.offset ?? this.#bounds(topic, partition).end
      },
      positions: async (group, topic) => {
        guard()
        return new Map(this.committed(group, topic))
      },
      commitPositions: async (group, topic, positions) => {
        guard()
        const name = `${group} ${topic}`
        this.#positions.set(name, new Map([...(this.#positions.get(name) ?? []), ...positions]))
      },
      close: async () => {
        dead = true
      },
    }
    const kill = (): void => {
      dead = true
      for (const wake of this.#waiting) wake()
    }
    return { log, kill }
  }

  #partition(topic: string, partition: number): { start: number; records: LogRecord[] } {
    const found = this.#topics.get(topic)?.[partition]
    if (!found) throw new TidemarkError('TOPIC_UNKNOWN', `There is no ${topic}/${partition}.`)
    return found
  }

  #bounds(topic: string, partition: number): Bounds {
    const { start, records } = this.#partition(topic, partition)
    return { start, end: start + records.length }
  }

  #append(appended: readonly AppendRecord[]): number[] {
    const offsets = appended.map(({ topic, partition, key, value, timestampMs }) => {
      const { start, records } = this.#partition(topic, partition)
      const offset = start + records.length
      const copy = (bytes: Uint8Array | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes))
      records.push({ offset, timestampMs, key: copy(key), value: copy(value) })
      return offset
    })
    for (const wake of this.#waiting) wake()
    return offsets
  }

  async #fetch(request: FetchRequest): Promise<FetchResult> {
    const { topic, partition, offset, recordsMax = 10_000, waitMs = 0, signal } = request
    if (offset >= this.#bounds(topic, partition).end && waitMs > 0 && !signal?.aborted) await this.#wait(signal)
    const { start, end } = this.#bounds(topic, partition)
    if (offset < start || offset > end) throw new TidemarkError('OFFSET_OUT_OF_RANGE', `${offset} is out of range.`)
    const records = this.#partition(topic, partition).records.slice(offset - start, offset - start + recordsMax)
    return { records, nextOffset: offset + records.length, endOffset: end }
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, WAIT_MS_MAX)
      this.#waiting.add(done)
      signal?.addEventListener('abort', done, { once: true })
    })
  }
}

/** A state store in memory. */
export class MemoryStateStore implements StateStore {
  #state = new MemoryState()
  position = 0

  get(key: Uint8Array): Buffer | undefined {
    return this.#state.get(key)
  }

  scan(prefix: Uint8Array): Iterable<{ readonly key: Buffer; readonly value: Buffer }> {
    return [...this.#state.scan(prefix)]
  }

  async apply(writes: readonly StateWrite[], position: number): Promise<void> {
    this.#state.apply(writes)
    this.position = position
  }

  async clear(): Promise<void> {
    this.#state = new MemoryState()
    this.position = 0
  }

  async close(): Promise<void> {
    await this.clear()
  }
}
