import { setMaxListeners } from 'node:events'
import type { EventLog, LogRecord } from './log.ts'

/** Where reading of one partition begins. */
export interface TailStart {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface TailOptions {
  /** Records buffered per partition at most. Default 256. */
  readonly recordsMax?: number
  /** Soft bound of the bytes buffered per partition. Default 256 KiB. */
  readonly bytesMax?: number
  /** How long one fetch waits before it is asked again. Default 5 s. */
  readonly waitMs?: number
}

/** One partition of a tail: a buffer of at most one fetch, refilled only when it is empty. */
export interface TailReader {
  readonly topic: string
  readonly partition: number
  /** Offset to resume at: everything before was taken with `shift`. */
  readonly position: number
  /** End of the partition as last seen; the position before the first fetch. */
  readonly end: number
  /** The next record, without taking it. */
  readonly head: LogRecord | undefined
  /** Takes the next record; throws RangeError when none is buffered. */
  shift(): LogRecord
  /** Fetches without waiting when nothing is buffered, unless the partition is known to end here. */
  refill(): Promise<void>
}

/**
 * Follows many partitions at once with one waiting fetch each: no timers, no polling, and memory bounded by
 * partitions x bytesMax.
 */
export interface Tail {
  readonly readers: readonly TailReader[]
  /**
   * True as soon as some reader has a record, or has passed offsets that hold none (a transaction's markers, what was aborted); false when
   * the signal aborts or the tail is closed. Throws what a fetch threw.
   */
  ready(signal?: AbortSignal): Promise<boolean>
  /** Ends the waiting fetches and returns when they have ended. */
  close(): Promise<void>
}

interface Hub {
  readonly log: EventLog
  readonly options: Required<TailOptions>
  readonly signal: AbortSignal
  readonly onRecords: () => void
  readonly onError: (error: unknown) => void
}

class Reader implements TailReader {
  readonly topic: string
  readonly partition: number
  readonly #hub: Hub
  #next: number
  #end = Number.POSITIVE_INFINITY
  #buffer: readonly LogRecord[] = []
  #at = 0
  /** Offsets without records were passed since this was last asked. */
  #hasPassed = false
  #waiting: Promise<void> | undefined

  constructor(hub: Hub, start: TailStart) {
    this.#hub = hub
    this.topic = start.topic
    this.partition = start.partition
    this.#next = start.offset
  }

  get head(): LogRecord | undefined {
    return this.#buffer[this.#at]
  }

  get position(): number {
    return this.head?.offset ?? this.#next
  }

  get end(): number {
    return Number.isFinite(this.#end) ? this.#end : this.position
  }

  shift(): LogRecord {
    const record = this.head
    if (!record) throw new RangeError(`nothing is buffered of ${this.topic}/${this.partition}`)
    this.#at += 1
    if (this.#at === this.#buffer.length) {
      this.#buffer = []
      this.#at = 0
    }
    return record
  }

  async refill(): Promise<void> {
    while (!this.head && !this.#waiting && this.#end > this.#next && !this.#hub.signal.aborted) await this.#fetch(0)
  }

  /** Starts the waiting fetch unless there is one, or records. */
  arm(): void {
    if (this.head || this.#waiting) return
    this.#waiting = this.#wait().finally(() => {
      this.#waiting = undefined
    })
  }

  /** True once for each time that offsets without records were passed. */
  takePassed(): boolean {
    const passed = this.#hasPassed
    this.#hasPassed = false
    return passed
  }

  /** Resolves when no fetch is under way. */
  async settled(): Promise<void> {
    await this.#waiting
  }

  async #wait(): Promise<void> {
    try {
      while (!this.head && !this.#hasPassed && !this.#hub.signal.aborted) await this.#fetch(this.#hub.options.waitMs)
      if (this.head || this.#hasPassed) this.#hub.onRecords()
    } catch (error) {
      this.#hub.onError(error)
    }
  }

  async #fetch(waitMs: number): Promise<void> {
    const { log, options, signal } = this.#hub
    const { recordsMax, bytesMax } = options
    const { topic, partition } = this
    const result = await log.fetch({ topic, partition, offset: this.#next, recordsMax, bytesMax, waitMs, signal })
    this.#buffer = result.records
    this.#at = 0
    if (result.records.length === 0 && result.nextOffset > this.#next) this.#hasPassed = true
    this.#next = result.nextOffset
    this.#end = result.endOffset
  }
}

/** Opens a tail over the given partitions; nothing is fetched before the first `ready` or `refill`. */
export function openTail(log: EventLog, starts: readonly TailStart[], options: TailOptions = {}): Tail {
  const closing = new AbortController()
  // One listener per waiting fetch is what is meant here, not a leak.
  setMaxListeners(0, closing.signal)
  let failure: { readonly error: unknown } | undefined
  let wake: (() => void) | undefined
  const notify = (): void => wake?.()
  const hub: Hub = {
    log,
    options: { recordsMax: 256, bytesMax: 262_144, waitMs: 5_000, ...options },
    signal: closing.signal,
    onRecords: notify,
    onError: (error) => {
      if (!closing.signal.aborted) failure ??= { error }
      notify()
    },
  }
  const readers = starts.map((start) => new Reader(hub, start))

  return {
    readers,
    async ready(signal) {
      for (;;) {
        if (failure) throw failure.error
        if (closing.signal.aborted || signal?.aborted) return false
        const passed = readers.filter((reader) => reader.takePassed())
        if (passed.length > 0 || readers.some((reader) => reader.head !== undefined)) return true
        const woken = new Promise<void>((resolve) => {
          wake = resolve
        })
        for (const reader of readers) reader.arm()
        signal?.addEventListener('abort', notify, { once: true })
        await woken
        signal?.removeEventListener('abort', notify)
      }
    },
    async close() {
      closing.abort()
      notify()
      await Promise.all(readers.map((reader) => reader.settled()))
    },
  }
}
