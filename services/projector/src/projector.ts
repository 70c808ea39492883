import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Clock, classify, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import { type EventLog, type LogRecord, openTail, type Tail, type TailReader } from '@tidemark/log'
import { DEAD_LETTERS_TOPIC, type ModelName, parseRecordKey } from '@tidemark/model'
import { checkSchemaName, type ProjectedChange, toRows } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { migrateProjection } from './migrate.ts'
import { loadStarts, type Start } from './offsets.ts'
import { createRate } from './rate.ts'
import { type Item, type Source, writeItems } from './writer.ts'

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

export interface ProjectorOptions {
  /** Changes per transaction at most. Default 2,000. */
  readonly batchMax?: number
  /** Encoded bytes per transaction at most (at least one change). Default 8 MiB. */
  readonly batchBytesMax?: number
  /** Only these partitions, so that several projectors can share the work. Default all. */
  readonly partitions?: readonly number[]
  /** First and longest wait after a failure. Default 100 ms and 30 s. */
  readonly backoff?: { readonly startMs: number; readonly maxMs: number }
}

export interface ProjectorStatus {
  readonly state: 'stopped' | 'starting' | 'running' | 'retrying' | 'failed'
  /** Of the last failure, while it lasts. */
  readonly error: { readonly code: string; readonly message: string } | null
  /** Changes written since the start of this process. */
  readonly projected: number
  /** Changes a second, over the last ten seconds. */
  readonly rate: number
  /** Changes not yet written, by partition, as last seen. */
  readonly partitions: readonly { readonly partition: number; readonly lag: number }[]
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
const FATAL = new Set(['PROJECTION_MISMATCH', 'CONFIG_INVALID', 'LOG_CLOSED', 'TOPIC_UNKNOWN'])
/** Decoding this many changes takes about as long as one may keep the event loop. */
const TURN = 100

/** Keeps the tables of one schema equal to the fold of the changes topics; see the README for its guarantees. */
export function createProjector(deps: ProjectorDeps): Projector {
  checkSchemaName(deps.schema)
  const { clock, logger } = deps
  const batchMax = deps.options?.batchMax ?? 2000
  const batchBytesMax = deps.options?.batchBytesMax ?? 8 * 1024 * 1024
  const backoff = deps.options?.backoff ?? { startMs: 100, maxMs: 30_000 }
  const rate = createRate()
  let state: ProjectorStatus['state'] = 'stopped'
  let error: ProjectorStatus['error'] = null
  let projected = 0
  let attempt = 0
  let lastNow = 0
  let stopping = new AbortController()
  let running: Promise<void> | undefined
  let readers: readonly TailReader[] = []

  // Never backwards: lists and cursors go by this time.
  const now = (): number => {
    lastNow = Math.max(lastNow, clock.now())
    return lastNow
  }

  const write = async (items: readonly Item[], deadLetterPartitions: number): Promise<void> => {
    const onFailures = (failures: readonly Item[]): Promise<void> => deadLetter(deps, failures, deadLetterPartitions)
    await writeItems({ store: deps.store, schema: deps.schema, now, onFailures }, items)
    const written = countByModel(items)
    for (const [model, count] of written) deps.metrics.projected.inc({ model }, count)
    projected += items.length
    rate.add(items.length, clock.now())
    reportLag(deps.metrics, readers)
    attempt = 0
    state = 'running'
    error = null
  }

  const follow = async (
    tail: Tail,
    sources: ReadonlyMap<TailReader, Source>,
    deadLetterPartitions: number,
  ): Promise<void> => {
    let first = 0
    while (await tail.ready(stopping.signal)) {
      const taken = takeFairly(tail.readers, first++, batchMax, batchBytesMax)
      await write(await decodeAll(deps, taken, sources), deadLetterPartitions)
    }
  }

  const session = async (onReady: () => void): Promise<void> => {
    await migrateProjection(deps.store, deps.schema)
    const starts = await loadStarts(deps.log, deps.store, deps.schema, deps.options?.partitions)
    reportGaps(logger, starts)
    const topics = await deps.log.listTopics()
    const deadLetterPartitions = topics.find((topic) => topic.name === DEAD_LETTERS_TOPIC)?.partitions ?? 0
    const tail = openTail(deps.log, starts)
    readers = tail.readers
    const sources = new Map<TailReader, Source>()
    for (const [i, reader] of tail.readers.entries()) {
      const { model, topic, partition, stored } = starts[i] as Start
      sources.set(reader, { model, topic, partition, committed: stored })
    }
    if (attempt === 0) state = 'running'
    onReady()
    try {
      await follow(tail, sources, deadLetterPartitions)
    } finally {
      await tail.close()
    }
  }

  const run = async (onReady: () => void, onFatal: (error: TidemarkError) => void): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await session(onReady)
      } catch (thrown) {
        const failure = classify(thrown)
        error = { code: failure.code, message: failure.message }
        if (FATAL.has(failure.code)) {
          state = 'failed'
          logger.error({ err: failure }, 'the projector stops')
          return onFatal(failure)
        }
        state = 'retrying'
        const waitMs = Math.min(backoff.maxMs, backoff.startMs * 2 ** Math.min(attempt++, 20))
        logger.warn({ err: failure, waitMs, attempt }, 'projecting failed; it goes on from the stored offsets')
        await clock.sleep(waitMs, stopping.signal)
      }
    }
    state = 'stopped'
  }

  return {
    start() {
      if (running) return Promise.reject(new TidemarkError('INTERNAL', 'the projector was started twice'))
      stopping = new AbortController()
      state = 'starting'
      return new Promise<void>((resolve, reject) => {
        running = run(resolve, reject).finally(() => resolve())
      })
    },
    async stop() {
      stopping.abort()
      await running
      running = undefined
      if (state !== 'failed') state = 'stopped'
    },
    status: () => {
      const partitions = lagByPartition(readers)
      const lag = partitions.reduce((sum, item) => sum + item.lag, 0)
      return { state, error, projected, rate: rate.perSecond(clock.now()), partitions, lag }
    },
  }
}

interface Taken {
  readonly reader: TailReader
  readonly record: LogRecord
  readonly next: number
}

/** Takes what is buffered, a share of every partition, beginning with another one each time. */
function takeFairly(readers: readonly TailReader[], first: number, max: number, bytesMax: number): Taken[] {
  const taken: Taken[] = []
  const share = Math.max(1, Math.ceil(max / readers.length))
  let bytes = 0
  let found = true
  while (found && taken.length < max && bytes < bytesMax) {
    found = false
    for (let i = 0; i < readers.length; i++) {
      const reader = readers[(first + i) % readers.length] as TailReader
      for (let n = 0; n < share && reader.head && taken.length < max && bytes < bytesMax; n++) {
        const record = reader.shift()
        bytes += record.value?.length ?? 0
        taken.push({ reader, record, next: reader.position })
        found = true
      }
    }
  }
  return taken
}

async function decodeAll(
  { codec }: ProjectorDeps,
  taken: readonly Taken[],
  sources: ReadonlyMap<TailReader, Source>,
): Promise<Item[]> {
  const items: Item[] = []
  for (const { reader, record, next } of taken) {
    const source = sources.get(reader) as Source
    const key = record.key === null ? null : record.key.toString('utf8')
    const item = { source, next, offset: record.offset, key }
    try {
      items.push({ ...item, projected: decode(codec, source, record, key), failure: null })
    } catch (error) {
      // Whatever a broken value makes fail (JSON, dates, bytes): it is this record's failure, and the next one's turn.
      const known = error instanceof TidemarkError ? error : undefined
      const failure = known ?? new TidemarkError('VALUE_UNDECODABLE', String(error), { cause: error })
      items.push({ ...item, projected: null, failure })
    }
    if (items.length % TURN === 0) await nextTurn()
  }
  return items
}

/** What a record of a changes topic writes; null for a tombstone, which says nothing here. */
function decode(codec: Codec, source: Source, record: LogRecord, key: string | null): ProjectedChange | null {
  if (record.value === null) return null
  const model = source.model as ModelName
  if (key === null || parseRecordKey(key)?.model !== model) {
    throw new TidemarkError('VALUE_UNDECODABLE', `the key ${JSON.stringify(key)} is not a record key of ${model}`)
  }
  const position = { partition: source.partition, offset: record.offset }
  return toRows(model, codec.decodeChange(model, record.value), key, position)
}

async function deadLetter(
  { log, codec, clock, metrics, logger }: ProjectorDeps,
  items: readonly Item[],
  partitions: number,
): Promise<void> {
  const at = clock.now()
  for (const { source, offset, failure } of items) {
    const code = failure?.code ?? 'INTERNAL'
    metrics.deadLetters.inc({ stage: 'projection', code })
    logger.error(
      { err: failure, topic: source.topic, partition: source.partition, offset },
      'a change cannot be projected',
    )
  }
  if (partitions === 0)
    throw new TidemarkError('TOPIC_UNKNOWN', `${DEAD_LETTERS_TOPIC} does not exist; create the topics first`)
  await log.append(
    items.map(({ source, offset, key, failure }) => ({
      topic: DEAD_LETTERS_TOPIC,
      partition: source.partition % partitions,
      key: key === null ? null : Buffer.from(key),
      timestampMs: at,
      value: codec.encode('DeadLetter', {
        stage: 'projection',
        code: failure?.code ?? 'INTERNAL',
        message: failure?.message ?? '',
        source: null,
        integration_id: key === null ? null : (parseRecordKey(key)?.integrationId ?? null),
        model: source.model,
        record_key: key,
        topic: source.topic,
        partition: source.partition,
        offset,
        at,
        value: null,
      }),
    })),
  )
}

function countByModel(items: readonly Item[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { projected } of items) if (projected) counts.set(projected.model, (counts.get(projected.model) ?? 0) + 1)
  return counts
}

function lagByPartition(readers: readonly TailReader[]): { partition: number; lag: number }[] {
  const lags = new Map<number, number>()
  for (const { partition, end, position } of readers) lags.set(partition, (lags.get(partition) ?? 0) + end - position)
  return [...lags].sort(([a], [b]) => a - b).map(([partition, lag]) => ({ partition, lag }))
}

function reportLag(metrics: Metrics, readers: readonly TailReader[]): void {
  for (const { partition, lag } of lagByPartition(readers)) {
    metrics.lag.set({ service: 'projector', partition: String(partition) }, lag)
  }
}

function reportGaps(logger: Logger, starts: readonly Start[]): void {
  for (const { topic, partition, stored, offset } of starts) {
    if (stored < offset) {
      logger.error({ topic, partition, stored, offset }, 'the log no longer has these changes; the history has a gap')
    }
  }
}
