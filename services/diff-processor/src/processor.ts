/**
 * One worker per partition of ats.observed. States of a worker:
 *
 *   opening -> running -> (any failure) -> backing off -> opening ...
 *                      -> (stop) -> stopped
 *
 * A failed commit leaves its fate unknown, so the task is thrown away and opened again: opening fences, then tells the true
 * position. Nothing is kept in memory across that.
 */
import { backoffMs, type Clock, classify, type Random, TidemarkError } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import { createDiffer, type Differ, type DiffOptions } from '@tidemark/diff'
import type { EventLog, Task } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { processSlice, type SliceCounts, type SliceLimits } from './slice.ts'
import { createTurns, type Turns } from './turns.ts'

export const PROCESSOR_GROUP = 'diff-processor'

export interface ProcessorDeps {
  readonly log: EventLog
  readonly codec: OpenCodec
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface ProcessorOptions {
  readonly partitions: readonly number[]
  readonly limits?: SliceLimits
  /** Records per fetch at most. Default 20,000. */
  readonly fetchMax?: number
  /**
   * Batches in work at a time, over all partitions. Default 1: measured on the embedded log, two gained nothing (one disk) and
   * held 60 MiB more. Where a commit waits for a network, more hide that wait.
   */
  readonly batchesAtOnce?: number
  readonly diff?: DiffOptions
  /** Called after each commit, for tests and progress. */
  readonly onCommit?: (partition: number, position: number) => void
}

export interface PartitionStatus {
  readonly partition: number
  readonly state: 'opening' | 'running' | 'backing-off' | 'stopped' | 'failed'
  readonly position: number
  readonly lag: number
  readonly error: string | null
}

export interface Processor {
  start(): void
  /** Resolves when the last commit has ended. */
  stop(): Promise<void>
  status(): PartitionStatus[]
}

/** Large slices pay: scattered state writes touch most pages of a partition's state whether a slice has two thousand records or twenty. */
export const DEFAULT_LIMITS: SliceLimits = { outputsMax: 40_000, bytesMax: 32 * 1024 * 1024 }

const BACKOFF = { startMs: 50, maxMs: 10_000 }
const WAIT_MS = 1000
/** Records of one fetch. */
const FETCH_MAX = 20_000
const FETCH_BYTES_MAX = 5 * 1024 * 1024

export function createProcessor(deps: ProcessorDeps, options: ProcessorOptions): Processor {
  const stopping = new AbortController()
  const statuses = new Map<number, PartitionStatus>()
  const differ = createDiffer(deps.codec, options.diff)
  const turns = createTurns(options.batchesAtOnce ?? 1)
  let running: Promise<void>[] = []

  return {
    start() {
      running = options.partitions.map((partition) =>
        runPartition({ ...deps, differ, turns, options, statuses, signal: stopping.signal }, partition),
      )
    },
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
    status: () => [...statuses.values()].sort((a, b) => a.partition - b.partition),
  }
}

interface Worker extends ProcessorDeps {
  readonly differ: Differ
  readonly turns: Turns
  readonly options: ProcessorOptions
  readonly statuses: Map<number, PartitionStatus>
  readonly signal: AbortSignal
}

function setStatus(worker: Worker, partition: number, change: Partial<PartitionStatus>): void {
  const was = worker.statuses.get(partition) ?? { partition, state: 'opening', position: 0, lag: 0, error: null }
  worker.statuses.set(partition, { ...was, ...change })
}

/** Runs until stopped, or until a failure that only an operator can mend. Never rejects. */
async function runPartition(worker: Worker, partition: number): Promise<void> {
  for (let attempt = 0; !worker.signal.aborted; attempt++) {
    setStatus(worker, partition, { state: 'opening' })
    try {
      await runTask(worker, partition, () => {
        attempt = 0
      })
    } catch (error) {
      const failure = classify(error)
      worker.logger.error(
        { partition, code: failure.code, fields: failure.fields, err: failure },
        'diff task failed; it is opened again from its committed position',
      )
      setStatus(worker, partition, { state: 'backing-off', error: `${failure.code}: ${failure.message}` })
      if (failure.code === 'OFFSET_OUT_OF_RANGE' || failure.code === 'LOG_CLOSED') {
        setStatus(worker, partition, { state: 'failed' })
        return
      }
      await worker.clock.sleep(backoffMs(attempt, BACKOFF, worker.random), worker.signal)
    }
  }
  setStatus(worker, partition, { state: 'stopped' })
}

async function runTask(worker: Worker, partition: number, onProgress: () => void): Promise<void> {
  const { log, options, signal } = worker
  const task = await log.openTask({ group: PROCESSOR_GROUP, topic: OBSERVED_TOPIC, partition })
  try {
    let position = task.position
    const recordsMax = options.fetchMax ?? FETCH_MAX
    setStatus(worker, partition, { state: 'running', position, error: null })
    while (!signal.aborted) {
      const fetched = await worker.turns.run(async () => {
        const { records, ...rest } = await log.fetch({
          topic: OBSERVED_TOPIC,
          partition,
          offset: position,
          recordsMax,
          bytesMax: FETCH_BYTES_MAX,
        })
        if (records.length > 0) await processBatch(worker, task, partition, records)
        return { count: records.length, ...rest }
      })
      position = fetched.nextOffset
      setStatus(worker, partition, { position, lag: fetched.endOffset - position, error: null })
      if (fetched.count > 0) {
        onProgress()
        worker.metrics.lag.set(
          { service: 'diff-processor', partition: String(partition) },
          fetched.endOffset - position,
        )
        options.onCommit?.(partition, position)
      } else {
        // Waiting takes no turn and brings nothing into memory.
        await log.fetch({ topic: OBSERVED_TOPIC, partition, offset: position, recordsMax: 1, waitMs: WAIT_MS, signal })
      }
    }
  } finally {
    await task.close()
  }
}

async function processBatch(
  worker: Worker,
  task: Task,
  partition: number,
  records: Awaited<ReturnType<EventLog['fetch']>>['records'],
): Promise<void> {
  const { codec, differ, options } = worker
  let position = (records[0] as { offset: number }).offset
  let done = 0
  // A batch that was begun is finished also when stopping: it is bounded, and its position is then whole.
  while (done < records.length) {
    const rest = done === 0 ? records : records.slice(done)
    const slice = processSlice({
      codec,
      differ,
      state: task.state,
      partition,
      records: rest,
      limits: options.limits ?? DEFAULT_LIMITS,
    })
    if (slice.position <= position)
      throw new TidemarkError('INTERNAL', `a slice of partition ${partition} did not move on from ${position}`)
    await task.commit({ outputs: slice.outputs, state: slice.state, position: slice.position })
    position = slice.position
    while (done < records.length && (records[done] as { offset: number }).offset < position) done++
    count(worker.metrics, slice.counts)
  }
}

function count(metrics: Metrics, counts: SliceCounts): void {
  for (const [outcome, n] of Object.entries(counts.outcomes)) if (n > 0) metrics.processed.inc({ outcome }, n)
  const perModel = new Map<string, { model: string; op: string; n: number }>()
  for (const { model, op } of counts.changes) {
    const key = `${model} ${op}`
    const entry = perModel.get(key) ?? { model, op, n: 0 }
    entry.n++
    perModel.set(key, entry)
  }
  for (const { model, op, n } of perModel.values()) metrics.changes.inc({ model, op }, n)
  if (counts.outcomes.dead > 0)
    metrics.deadLetters.inc({ stage: 'diff', code: 'VALUE_UNDECODABLE' }, counts.outcomes.dead)
}
