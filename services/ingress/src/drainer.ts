import { atMost, backoffMs, type Clock, classify, type Random, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { AppendRecord, EventLog } from '@tidemark/log'
import type { Raw } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { rawRecord } from './raw.ts'
import type { Batch, Spool, SpooledRecord } from './spool/spool.ts'
import { decodeWebhook } from './spooledWebhook.ts'

/** Where webhooks go. */
export interface LogTarget {
  /** With ats.raw in place. */
  readonly log: EventLog
  readonly codec: Codec
  /** Partitions of ats.raw. */
  readonly partitions: number
}

export interface DrainerDeps {
  readonly spool: Spool
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** Told after each step that changed the spool. */
  readonly onProgress: () => void
}

const BACKOFF = { startMs: 200, maxMs: 5000 }
/** Webhooks behind a batch at which those that come are held until the spool is empty, not spooled behind it. */
const NEAR_END_RECORDS = 1000
/** How long a stop waits for the append under way; what then is still open is drained again by the next process. */
const STOP_MS = 2000

/**
 * Moves the spool into the log, oldest first: append, then the position, each tried again without end. A process that ends between the
 * two appends the batch once more.
 */
export class Drainer {
  readonly #deps: DrainerDeps
  readonly #stopping = new AbortController()
  #target: LogTarget | undefined
  #wake = Promise.withResolvers<void>()
  #running: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #error: TidemarkError | undefined
  #isMoving = false
  #drained = 0
  #handover: PromiseWithResolvers<void> | undefined

  constructor(deps: DrainerDeps) {
    this.#deps = deps
  }

  /** Why the last attempt failed; undefined when it did not. */
  get error(): TidemarkError | undefined {
    return this.#error
  }

  /** True when the log takes what is spooled. */
  get isMoving(): boolean {
    return this.#isMoving
  }

  /**
   * Near the end of draining, resolves when the spool is empty, or draining failed: who waits for it instead of spooling lets the end be
   * reached under steady load. Otherwise undefined.
   */
  get handover(): Promise<void> | undefined {
    return this.#handover?.promise
  }

  /** Lets those go that wait for the handover. */
  endHandover(): void {
    this.#handover?.resolve()
    this.#handover = undefined
  }

  /** Begins, or goes on with another log. */
  connect(target: LogTarget): void {
    this.#target = target
    this.#running ??= this.#run()
  }

  /** To be called when something was spooled. */
  wake(): void {
    this.#wake.resolve()
  }

  /** Resolves when nothing of it goes on, or after two seconds. What is left stays in the spool. */
  stop(): Promise<void> {
    this.#stopping.abort()
    this.endHandover()
    this.#wake.resolve()
    this.#stopped ??= atMost(this.#deps.clock, STOP_MS, this.#running ?? Promise.resolve())
    return this.#stopped
  }

  async #run(): Promise<void> {
    const { spool, logger } = this.#deps
    const { signal } = this.#stopping
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers()
      let batch: Batch | undefined
      await this.#until(async () => {
        batch = await spool.read()
      })
      if (!batch) await this.#wake.promise
      else await this.#drain(batch)
      if (spool.isEmpty) this.endHandover()
      if (this.#drained > 0 && spool.isEmpty) {
        logger.info({ webhooks: this.#drained }, 'webhook spool is drained: webhooks go to the log again')
        this.#drained = 0
      }
    }
  }

  async #drain(batch: Batch): Promise<void> {
    const { spool } = this.#deps
    const progress = { done: 0 }
    if (this.#isMoving && spool.status().records - batch.records.length <= NEAR_END_RECORDS)
      this.#handover ??= Promise.withResolvers()
    await this.#until(() => this.#deliver(batch.records, progress))
    if (progress.done < batch.records.length) return
    await this.#until(() => spool.commit(batch))
    this.#drained += batch.records.length
    this.#isMoving = !spool.isEmpty
    this.#deps.onProgress()
  }

  /** Appends at once, or one by one where the log or the codec refuses one of them for ever. */
  async #deliver(records: readonly SpooledRecord[], progress: { done: number }): Promise<void> {
    const rest = records.slice(progress.done)
    try {
      await this.#append(rest)
      progress.done = records.length
      return
    } catch (error) {
      if (!isRefusal(error)) throw error
    }
    for (const record of rest) {
      try {
        await this.#append([record])
      } catch (error) {
        if (!isRefusal(error)) throw error
        await this.#setAside(record, error)
      }
      progress.done++
    }
  }

  async #append(records: readonly SpooledRecord[]): Promise<void> {
    const { log, codec, partitions } = this.#target as LogTarget
    // The log's time is when it got the record: retention counts from then, and positions found by time stay in order.
    const atMs = this.#deps.clock.now()
    const raws = records.map(({ payload }) => decodeWebhook(payload))
    const appends = raws.map((raw) => encode(codec, raw, partitions, atMs))
    if (appends.length > 0) await log.append(appends)
    for (const { source } of raws) this.#deps.metrics.spooled.inc({ source, outcome: 'drained' })
  }

  async #setAside(record: SpooledRecord, thrown: unknown): Promise<void> {
    const { spool, logger, metrics } = this.#deps
    const path = await spool.setAside(record)
    metrics.spooled.inc({ source: sourceOf(record), outcome: 'set_aside' })
    logger.error({ err: thrown, path }, 'acknowledged webhook is refused by the log: set aside')
  }

  /** Tries at least once, and again until it works or everything stops; the first failure of each kind is logged. */
  async #until(work: () => Promise<void>): Promise<void> {
    const { clock, random, logger } = this.#deps
    const { signal } = this.#stopping
    for (let failures = 0; ; failures++) {
      try {
        await work()
        this.#error = undefined
        return
      } catch (thrown) {
        const error = classify(thrown)
        if (error.code !== this.#error?.code && !signal.aborted)
          logger.warn({ err: error }, 'webhook spool cannot be drained, tries again')
        this.#error = error
        this.#isMoving = false
        this.endHandover()
        if (signal.aborted) return
        await clock.sleep(Math.ceil(backoffMs(failures, BACKOFF, random)), signal)
      }
    }
  }
}

function encode(codec: Codec, raw: Raw, partitions: number, atMs: number): AppendRecord {
  try {
    return rawRecord(codec, raw, partitions, atMs)
  } catch (cause) {
    throw new TidemarkError('RECORD_INVALID', 'A spooled webhook cannot be written as a record of ats.raw.', { cause })
  }
}

/** The record itself is at fault, now and later. */
const isRefusal = (error: unknown): boolean => error instanceof TidemarkError && error.next === 'skip'

function sourceOf({ payload }: SpooledRecord): string {
  try {
    return decodeWebhook(payload).source
  } catch {
    return 'unknown'
  }
}
