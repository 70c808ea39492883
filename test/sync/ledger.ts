import { type Change, frameId, type OpenCodec } from '@tidemark/codec'
import { type EventLog, type LogRecord, readRange } from '@tidemark/log'
import {
  type Control,
  changesTopic,
  type ModelName,
  OBSERVED_TOPIC,
  type RecordKey,
  SYNCS_TOPIC,
  type SyncEvent,
} from '@tidemark/model'
import { MODELS } from './traits.ts'

/** A change with what its topic says of it. */
export interface KeyedChange {
  readonly model: ModelName
  readonly key: RecordKey
  readonly change: Change
}

/** Begin and end of a complete listing, as its control records tell. */
export interface SweepWindow {
  readonly fromMs: number
  readonly toMs: number
}

/** Reads the topics as they grow. */
export class Ledger {
  readonly changes: KeyedChange[] = []
  readonly events: SyncEvent[] = []
  readonly #windows = new Map<string, SweepWindow[]>()
  readonly #log: EventLog
  readonly #codec: OpenCodec
  readonly #partitions: number
  readonly #models: readonly ModelName[]
  readonly #offsets = new Map<string, number>()

  constructor(log: EventLog, codec: OpenCodec, partitions: number, models: readonly ModelName[] = MODELS) {
    this.#log = log
    this.#codec = codec
    this.#partitions = partitions
    this.#models = models
  }

  /** Reads what has come since; returns the changes among it. */
  async refresh(): Promise<KeyedChange[]> {
    for await (const { value } of this.#more(SYNCS_TOPIC)) {
      if (value !== null) this.events.push(this.#codec.decode('SyncEvent', value))
    }
    for await (const { value } of this.#more(OBSERVED_TOPIC)) if (value !== null) this.#noteControl(value)
    const known = this.changes.length
    for (const model of this.#models) {
      for await (const { key, value } of this.#more(changesTopic(model))) {
        if (key === null || value === null) throw new RangeError('a change needs a key and a value')
        this.changes.push({ model, key: String(key) as RecordKey, change: this.#codec.decodeChange(model, value) })
      }
    }
    return this.changes.slice(known)
  }

  /** The last listing that a run had of a model and had ended by then; undefined when it never came to its end. A run that is begun again has several. */
  windowOf(
    integrationId: string,
    syncId: string,
    model: string,
    atMs = Number.POSITIVE_INFINITY,
  ): SweepWindow | undefined {
    return this.#windows.get(nameOf(integrationId, syncId, model))?.findLast(({ toMs }) => toMs <= atMs)
  }

  /** Whether a listing of a model that began since a time was ended, by whichever run. */
  hasEnd(integrationId: string, model: string, sinceMs: number): boolean {
    const isIt = ([name, windows]: [string, SweepWindow[]]): boolean =>
      name.startsWith(`${integrationId}\0`) &&
      name.endsWith(`\0${model}`) &&
      windows.some(({ fromMs }) => fromMs >= sinceMs)
    return [...this.#windows].some(isIt)
  }

  /** What a run came to, however often it was begun. */
  outcomesOf(integrationId: string, syncId: string): (string | null)[] {
    return this.events
      .filter(
        ({ event, sync_id, integration_id }) =>
          event === 'finished' && sync_id === syncId && integration_id === integrationId,
      )
      .map(({ state }) => state)
  }

  /**
   * Whether every listing of a run had ended well, at one of the times at which it was begun: that is when it sweeps. Killed before it could say how it
   * ended, it is said to be cancelled, or is begun again under the same id and may end otherwise then.
   */
  wasComplete(integrationId: string, syncId: string): boolean {
    let open = new Set<string>()
    for (const { event, sync_id, integration_id, stream, streams, state } of this.events) {
      if (sync_id !== syncId || integration_id !== integrationId) continue
      if (event === 'started') open = new Set(streams)
      if (event !== 'stream_finished' || state !== 'SUCCEEDED') continue
      open.delete(stream ?? '')
      if (open.size === 0) return true
    }
    return false
  }

  #noteControl(value: Buffer): void {
    if (this.#codec.observedKind(frameId(value)) !== 'control') return
    const observed = this.#codec.decodeObserved(value)
    if (observed.kind === 'control' && observed.control.kind === 'sweep_end') this.#noteEnd(observed.control)
  }

  #noteEnd({ integration_id, sync_id, model, fetch_started_at: fromMs, observed_at: toMs }: Control): void {
    const name = nameOf(integration_id, sync_id ?? '', model)
    const windows = this.#windows.get(name) ?? []
    this.#windows.set(name, windows)
    // One that is ended again, after somebody confirmed it, is still the listing of before; and each partition tells of it.
    if (!windows.some((window) => window.fromMs === fromMs)) windows.push({ fromMs, toMs })
  }

  async *#more(topic: string): AsyncGenerator<LogRecord> {
    for (let partition = 0; partition < this.#partitions; partition++) {
      const name = `${topic}/${partition}`
      const { start, end } = await this.#log.bounds(topic, partition)
      const from = Math.max(start, this.#offsets.get(name) ?? 0)
      this.#offsets.set(name, end)
      if (from < end) yield* readRange(this.#log, topic, partition, from, end)
    }
  }
}

const nameOf = (...parts: string[]): string => parts.join('\0')
