import { type Clock, classify, type ErrorCode, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import { type EventLog, openTail, type Tail, type TailReader } from '@tidemark/log'
import { checkSchemaName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { appendDeadLetters } from './dead-letters.ts'
import { type BatchLimits, decodeAll, passedBy, takeFairly } from './decode.ts'
import { ERASURE_AFTER_MS, keepErasing } from './erasure.ts'
import { migrateProjection } from './migrate.ts'
import { loadStarts, type Start, sourcesOf } from './offsets.ts'
import { createProgress, type PartitionLag, type Progress } from './progress.ts'
import { type Source, type WriterDeps, writeItems } from './writer.ts'

export interface ProjectorDeps {
  readonly log: EventLog
  readonly store: SqlStore
  readonly codec: Codec
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  /** PostgreSQL schema the projection lives in. */
  readonly schema: string
  readonly options?: ProjectorOptions
}

export interface ProjectorOptions extends Partial<BatchLimits> {
  /** Changes per transaction at most. Default 2,000. */
  readonly batchMax?: number
  /** Encoded bytes per transaction at most (at least one change). Default 8 MiB. */
  readonly batchBytesMax?: number
  /** Only these partitions, so that several projectors can share the work. Default all. */
  readonly partitions?: readonly number[]
  /** From a record's deletion until its personal data is erased, in ms; null: never. Default 14 days. */
  readonly erasureAfterMs?: number | null
  /** First and longest wait after a failure. Default 100 ms and 30 s. */
  readonly backoff?: { readonly startMs: number; readonly maxMs: number }
}

export interface ProjectorStatus {
  readonly state: 'stopped' | 'starting' | 'running' | 'retrying' | 'failed'
  /** Of the last failure, while it lasts. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | null
  /** Records of the changes topics passed since the start of this process. */
  readonly projected: number
  /** Changes a second, over the last ten seconds. */
  readonly rate: number
  /** Changes not yet written, by partition, as last seen. */
  readonly partitions: readonly PartitionLag[]
  readonly lag: number
}

export interface Projector {
  /** Resolves when tables exist and reading has begun; store failures are retried until then. Rejects with what retrying cannot help. */
  start(): Promise<void>
  /** Resolves when the transaction under way has ended and nothing runs any more. */
  stop(): Promise<void>
  status(): ProjectorStatus
}

/** Codes after which trying again cannot help. */
const FATAL: ReadonlySet<ErrorCode> = new Set(['PROJECTION_MISMATCH', 'CONFIG_INVALID', 'LOG_CLOSED', 'TOPIC_UNKNOWN'])
const BACKOFF = { startMs: 100, maxMs: 30_000 } as const

/** Keeps the tables of one schema equal to the fold of the changes topics; see the README for its guarantees. */
export function createProjector(deps: ProjectorDeps): Projector {
  checkSchemaName(deps.schema)
  return new TableProjector(deps)
}

class TableProjector implements Projector {
  readonly #deps: ProjectorDeps
  readonly #limits: BatchLimits
  readonly #progress: Progress
  #state: ProjectorStatus['state'] = 'stopped'
  #error: ProjectorStatus['error'] = null
  /** Failures since the last batch that was written. */
  #attempt = 0
  #lastNow = 0
  #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(deps: ProjectorDeps) {
    this.#deps = deps
    const { batchMax = 2000, batchBytesMax = 8 * 1024 * 1024 } = deps.options ?? {}
    this.#limits = { batchMax, batchBytesMax }
    this.#progress = createProgress(deps.metrics)
  }

  start(): Promise<void> {
    if (this.#running) return Promise.reject(new TidemarkError('INTERNAL', 'the projector was started twice'))
    this.#stopping = new AbortController()
    this.#state = 'starting'
    return new Promise<void>((resolve, reject) => {
      this.#running = this.#run(resolve, reject).finally(resolve)
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    this.#running = undefined
    if (this.#state !== 'failed') this.#state = 'stopped'
  }

  status(): ProjectorStatus {
    const partitions = this.#progress.partitions()
    return {
      state: this.#state,
      error: this.#error,
      projected: this.#progress.projected,
      rate: this.#progress.perSecond(this.#deps.clock.now()),
      partitions,
      lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
    }
  }

  /** One session after another, each beginning at the stored offsets, until it is stopped or cannot go on. */
  async #run(onReady: () => void, onFatal: (error: TidemarkError) => void): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#session(onReady)
      } catch (thrown) {
        const failure = classify(thrown)
        this.#error = { code: failure.code, message: failure.message }
        if (FATAL.has(failure.code)) {
          this.#state = 'failed'
          this.#deps.logger.error({ err: failure }, 'the projector stops')
          return onFatal(failure)
        }
        this.#state = 'retrying'
        await this.#deps.clock.sleep(this.#backoff(failure), signal)
      }
    }
  }

  #backoff(failure: TidemarkError): number {
    const { startMs, maxMs } = this.#deps.options?.backoff ?? BACKOFF
    const waitMs = Math.min(maxMs, startMs * 2 ** Math.min(this.#attempt++, 20))
    const attempt = this.#attempt
    this.#deps.logger.warn({ err: failure, waitMs, attempt }, 'projecting failed; it goes on from the stored offsets')
    return waitMs
  }

  async #session(onReady: () => void): Promise<void> {
    const { log, store, schema, options } = this.#deps
    await migrateProjection(store, schema)
    const starts = await loadStarts(log, store, schema, options?.partitions)
    this.#reportGaps(starts)
    const tail = openTail(log, starts)
    const ending = new AbortController()
    let erasing: Promise<void> | undefined
    try {
      // Before anything is said about lag, every partition's end is known.
      await Promise.all(tail.readers.map((reader) => reader.refill()))
      this.#progress.follow(tail.readers)
      this.#state = 'running'
      this.#error = null
      onReady()
      erasing = this.#erase(AbortSignal.any([this.#stopping.signal, ending.signal]))
      await this.#follow(tail, sourcesOf(tail, starts))
    } finally {
      ending.abort()
      await erasing
      await tail.close()
    }
  }

  async #erase(signal: AbortSignal): Promise<void> {
    const { erasureAfterMs = ERASURE_AFTER_MS } = this.#deps.options ?? {}
    if (erasureAfterMs !== null) await keepErasing(this.#deps, erasureAfterMs, signal)
  }

  async #follow(tail: Tail, sources: ReadonlyMap<TailReader, Source>): Promise<void> {
    const { codec, store, schema, clock } = this.#deps
    const writer: WriterDeps = {
      store,
      schema,
      rowTime: () => new Date(this.#now()).toISOString(),
      onFailures: (items) => appendDeadLetters(this.#deps, items),
    }
    for (let turn = 0; await tail.ready(this.#stopping.signal); turn++) {
      const items = await decodeAll(codec, takeFairly(tail.readers, turn, this.#limits), sources)
      await writeItems(writer, [...items, ...passedBy(items, tail.readers, sources)])
      this.#progress.written(items, clock.now())
      this.#attempt = 0
    }
  }

  /** Never backwards: listings and their cursors go by this time. */
  #now(): number {
    this.#lastNow = Math.max(this.#lastNow, this.#deps.clock.now())
    return this.#lastNow
  }

  #reportGaps(starts: readonly Start[]): void {
    for (const { topic, partition, stored, offset } of starts) {
      if (stored >= offset) continue
      const message = 'the log no longer has these changes; the history has a gap'
      this.#deps.logger.error({ topic, partition, stored, offset }, message)
    }
  }
}
