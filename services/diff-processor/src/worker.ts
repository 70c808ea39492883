/**
 * One worker per partition of ats.observed. States of a worker:
 *
 *   opening -> running -> (any failure) -> backing off -> opening ...
 *                      -> (stop, or the partition is somebody else's) -> stopped
 *
 * A failed commit leaves its fate unknown, so the task is thrown away and opened again: opening fences, then tells the true
 * position. Nothing is kept in memory across that.
 */
import { atMost, backoffMs, classify, type ErrorCode, TidemarkError, within } from '@tidemark/base'
import type { Differ } from '@tidemark/diff'
import type { LogRecord, Task } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'
import type { Metrics } from '@tidemark/telemetry'
import { type ForeignSchemas, UnknownSchema } from './foreignSchemas.ts'
import { type PartitionStatus, PROCESSOR_GROUP, type ProcessorDeps, type ProcessorOptions } from './processor.ts'
import { type Barrier, processSlice, type SliceLimits, type SliceResult } from './slice.ts'
import type { SliceCounts } from './sliceOutput.ts'
import { sweepPartition } from './sweep.ts'
import type { Turns } from './turns.ts'

/** Large slices pay: scattered state writes touch most pages of a partition's state whether a slice has two thousand records or twenty. */
export const DEFAULT_LIMITS: SliceLimits = { outputsMax: 40_000, bytesMax: 32 * 1024 * 1024 }

/**
 * For logs over a network, measured by `npm run bench -- kafka` at 500,000 records: two batches at once hide the wait for a commit, more gain
 * nothing; slices of 4 MiB instead of 32 cost no rate there and save 150 MiB.
 */
export const NETWORK_OPTIONS: Pick<ProcessorOptions, 'batchesAtOnce' | 'limits'> = {
  batchesAtOnce: 2,
  limits: { outputsMax: 40_000, bytesMax: 4 * 1024 * 1024 },
}

const BACKOFF = { startMs: 50, maxMs: 10_000 }
/** Whoever was fenced learns within a heartbeat or two that the partition is no longer its own; until then it keeps out of the way. */
const FENCED_BACKOFF = { startMs: 3000, maxMs: 10_000 }
const WAIT_MS = 1000
/** Records of one fetch. */
const FETCH_MAX = 20_000
const FETCH_BYTES_MAX = 5 * 1024 * 1024
/** Beyond every deadline of an adapter: what takes longer will never end. */
const STALL_MS = 120_000
const CLOSE_MS = 5000

/** Only an operator can mend these. */
const FATAL: ReadonlySet<ErrorCode> = new Set(['OFFSET_OUT_OF_RANGE', 'LOG_CLOSED', 'TOPIC_UNKNOWN'])

export interface Worker extends ProcessorDeps {
  readonly differ: Differ
  readonly turns: Turns
  /** One at a time: what each holds in memory grows with the records of its scope. */
  readonly sweepTurns: Turns
  readonly foreign: ForeignSchemas
  readonly options: ProcessorOptions
  readonly statuses: Map<number, PartitionStatus>
  /** Partitions of every topic; asked for once. */
  readonly partitionCount: () => Promise<number>
}

function setStatus(worker: Worker, partition: number, change: Partial<PartitionStatus>): void {
  const was = worker.statuses.get(partition) ?? { partition, state: 'opening', position: 0, lag: 0, error: null }
  worker.statuses.set(partition, { ...was, ...change })
}

/** Works on a partition until the signal aborts, or until a failure that only an operator can mend. Never rejects. */
export async function runPartition(worker: Worker, partition: number, signal: AbortSignal): Promise<void> {
  const { clock, random, logger } = worker
  for (let attempt = 0; !signal.aborted; attempt++) {
    setStatus(worker, partition, { state: 'opening' })
    try {
      await runTask(worker, partition, signal, () => {
        attempt = 0
      })
    } catch (error) {
      const failure = classify(error)
      const message = 'diff task failed; it is opened again from its committed position'
      logger.error({ partition, code: failure.code, fields: failure.fields, err: failure }, message)
      const isFatal = FATAL.has(failure.code)
      setStatus(worker, partition, {
        state: isFatal ? 'failed' : 'backing-off',
        error: `${failure.code}: ${failure.message}`,
      })
      if (isFatal) return
      const backoff = failure.code === 'TASK_FENCED' ? FENCED_BACKOFF : BACKOFF
      await clock.sleep(backoffMs(attempt, backoff, random), signal)
    }
  }
  setStatus(worker, partition, { state: 'stopped' })
}

async function runTask(worker: Worker, partition: number, signal: AbortSignal, onProgress: () => void): Promise<void> {
  const { log, options, clock } = worker
  const task = await openTask(worker, partition)
  try {
    let position = task.position
    setStatus(worker, partition, { state: 'running', position, error: null })
    while (!signal.aborted) {
      const { count, nextOffset, endOffset, barrier } = await worker.turns.run(() =>
        unlessStalled(worker, `working on ${position}`, partition, step(worker, task, partition, position)),
      )
      position = nextOffset
      if (barrier) {
        await sweep(worker, task, partition, barrier)
        position = barrier.record.offset + 1
      }
      const lag = endOffset - position
      setStatus(worker, partition, { position, lag, error: null })
      if (count > 0) {
        onProgress()
        worker.metrics.lag.set({ service: 'diff-processor', partition: String(partition) }, lag)
        options.onCommit?.(partition, position)
      } else {
        // Waiting takes no turn and brings nothing into memory.
        const request = { topic: OBSERVED_TOPIC, partition, offset: position, recordsMax: 1, waitMs: WAIT_MS, signal }
        await unlessStalled(worker, `waiting at ${position}`, partition, log.fetch(request))
      }
    }
  } finally {
    await atMost(clock, CLOSE_MS, task.close())
  }
}

/** One that opens after it was given up is closed at once. */
async function openTask(worker: Worker, partition: number): Promise<Task> {
  const opening = worker.log.openTask({ group: PROCESSOR_GROUP, topic: OBSERVED_TOPIC, partition })
  try {
    // Restoring state takes as long as there is state to restore.
    return await unlessStalled(worker, 'opening its task', partition, opening, 30 * STALL_MS)
  } catch (error) {
    void opening.then(
      (late) => late.close(),
      () => undefined,
    )
    throw error
  }
}

/** A call that never ends must not hold the partition for ever: the task is thrown away and opened again, which fences what hangs. */
function unlessStalled<T>(
  worker: Worker,
  what: string,
  partition: number,
  work: Promise<T>,
  ms = STALL_MS,
): Promise<T> {
  const { clock, options } = worker
  return within(clock, options.stallMs ?? ms, work, () => {
    const message = `The diff task of ${OBSERVED_TOPIC}/${partition} has made no progress ${what}; it is started anew.`
    return new TidemarkError('LOG_UNAVAILABLE', message, { fields: { partition } })
  })
}

/** Reads a part of the partition again, which takes as long as the run that is swept was. */
async function sweep(worker: Worker, task: Task, partition: number, barrier: Barrier): Promise<void> {
  const { log, codec, differ, options, metrics } = worker
  const partitions = await worker.partitionCount()
  const input = {
    ...{ log, codec, differ, task, partition, partitions, barrier },
    limits: options.limits ?? DEFAULT_LIMITS,
    onCounts: (counts: SliceCounts) => count(metrics, counts),
  }
  const what = `sweeping at ${barrier.record.offset}`
  // Beside the batches of other partitions, whose changes need not wait for it.
  await worker.sweepTurns.run(() => unlessStalled(worker, what, partition, sweepPartition(input), 30 * STALL_MS))
}

interface Step {
  readonly count: number
  readonly nextOffset: number
  readonly endOffset: number
  /** Where it stopped, when it stopped before the end of what it read. */
  readonly barrier: Barrier | null
}

async function step(worker: Worker, task: Task, partition: number, offset: number): Promise<Step> {
  const { log, options } = worker
  const recordsMax = options.fetchMax ?? FETCH_MAX
  const bytesMax = options.fetchBytesMax ?? FETCH_BYTES_MAX
  const { records, ...rest } = await log.fetch({ topic: OBSERVED_TOPIC, partition, offset, recordsMax, bytesMax })
  const barrier = records.length > 0 ? await processBatch(worker, task, partition, records) : null
  return { count: records.length, ...rest, barrier, ...(barrier ? { nextOffset: barrier.record.offset } : {}) }
}

/** Works through the records, or up to the first barrier among them, which it returns. */
async function processBatch(
  worker: Worker,
  task: Task,
  partition: number,
  records: readonly LogRecord[],
): Promise<Barrier | null> {
  let position = (records[0] as { offset: number }).offset
  let done = 0
  // A batch that was begun is finished also when stopping: it is bounded, and its position is then whole.
  while (done < records.length) {
    const slice = await sliceOf(worker, task, partition, done === 0 ? records : records.slice(done))
    if (slice.barrier && slice.position <= position) return slice.barrier
    if (slice.position <= position)
      throw new TidemarkError('INTERNAL', `a slice of partition ${partition} did not move on from ${position}`)
    await task.commit({ outputs: slice.outputs, state: slice.state, position: slice.position })
    position = slice.position
    while (done < records.length && (records[done] as { offset: number }).offset < position) done++
    count(worker.metrics, slice.counts)
    if (slice.barrier) return slice.barrier
  }
  return null
}

/** Ids that nothing is known about are asked for, each once, before anything is decided about their records. */
async function sliceOf(
  worker: Worker,
  { state }: Task,
  partition: number,
  records: readonly LogRecord[],
): Promise<SliceResult> {
  const { codec, differ, foreign, options } = worker
  const partitions = await worker.partitionCount()
  for (;;) {
    try {
      const limits = options.limits ?? DEFAULT_LIMITS
      return processSlice({ codec, differ, state, partition, partitions, records, limits, foreign })
    } catch (error) {
      if (!(error instanceof UnknownSchema)) throw error
      await foreign.learn(error.id)
    }
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
  for (const { integration, model, count: n } of counts.drift) metrics.drift.inc({ integration, model }, n)
  if (counts.outcomes.dead > 0)
    metrics.deadLetters.inc({ stage: 'diff', code: 'VALUE_UNDECODABLE' }, counts.outcomes.dead)
}
