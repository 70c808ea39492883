import { backoffMs, type Clock, classify, type Random, TidemarkError } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import { createDiffer, type DiffOptions } from '@tidemark/diff'
import type { EventLog } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { createForeignSchemas, type SchemaLookup } from './foreignSchemas.ts'
import type { SliceLimits } from './slice.ts'
import { createTurns } from './turns.ts'
import { runPartition, type Worker } from './worker.ts'

export const PROCESSOR_GROUP = 'diff-processor'

export interface ProcessorDeps {
  readonly log: EventLog
  readonly codec: OpenCodec
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /**
   * Asked about schema ids that this build does not know: records of a newer version of ours stop their task, those of somebody else
   * become dead letters. Without it all of them become dead letters.
   */
  readonly schemas?: SchemaLookup
}

export interface ProcessorOptions {
  /** Works on these, whatever others do. Default: shares all partitions with the other processors of the group. */
  readonly partitions?: readonly number[]
  readonly limits?: SliceLimits
  /** Records per fetch at most. Default 20,000. */
  readonly fetchMax?: number
  /** Bytes per fetch, softly. Default 5 MiB. */
  readonly fetchBytesMax?: number
  /**
   * Batches in work at a time, over all partitions. Default 1: measured on the embedded log, two gained nothing (one disk) and
   * held 60 MiB more. Where a commit waits for a network, more hide that wait.
   */
  readonly batchesAtOnce?: number
  readonly diff?: DiffOptions
  /** A processor that is silent for longer has lost its partitions to the others. Default 10 s. */
  readonly sessionTimeoutMs?: number
  /** One step that takes longer never ends: its task is thrown away and opened again. Default 2 min (opening: 1 h). */
  readonly stallMs?: number
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
  /** Of the partitions this processor has now. */
  status(): PartitionStatus[]
}

const BACKOFF = { startMs: 200, maxMs: 10_000 }

/** Turns observations into changes and snapshots, exactly once; see the README for its guarantees. */
export function createProcessor(deps: ProcessorDeps, options: ProcessorOptions = {}): Processor {
  const stopping = new AbortController()
  const worker: Worker = {
    ...deps,
    options,
    differ: createDiffer(deps.codec, options.diff),
    turns: createTurns(options.batchesAtOnce ?? 1),
    sweepTurns: createTurns(1),
    foreign: createForeignSchemas(deps.schemas),
    statuses: new Map(),
    partitionCount: partitionCounter(deps.log),
  }
  let running: Promise<void> | undefined

  return {
    start() {
      const { signal } = stopping
      running = options.partitions ? runAll(worker, options.partitions, signal) : runShared(worker, signal)
    },
    async stop() {
      stopping.abort()
      await running
    },
    status: () => [...worker.statuses.values()].sort((a, b) => a.partition - b.partition),
  }
}

async function runAll(worker: Worker, partitions: readonly number[], signal: AbortSignal): Promise<void> {
  for (const known of worker.statuses.keys()) if (!partitions.includes(known)) worker.statuses.delete(known)
  await Promise.all(partitions.map((partition) => runPartition(worker, partition, signal)))
}

/** Joins the group again whatever ended the membership, until it is stopped. */
async function runShared(worker: Worker, signal: AbortSignal): Promise<void> {
  const { log, clock, random, logger, options } = worker
  const { sessionTimeoutMs } = options
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await log.assignments({
        group: PROCESSOR_GROUP,
        topic: OBSERVED_TOPIC,
        signal,
        ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
        onAssigned(partitions, revoked) {
          attempt = 0
          return runAll(worker, partitions, revoked)
        },
      })
    } catch (error) {
      const failure = classify(error)
      logger.error({ code: failure.code, err: failure }, 'the processor lost its group; it joins again')
      if (failure.code === 'LOG_CLOSED') return
      await clock.sleep(backoffMs(attempt, BACKOFF, random), signal)
    }
  }
}

/** Partitions of ats.observed, which all topics have alike; they never change. */
function partitionCounter(log: EventLog): () => Promise<number> {
  let known: number | undefined
  return async () => {
    known ??= (await log.listTopics()).find(({ name }) => name === OBSERVED_TOPIC)?.partitions
    if (known === undefined) throw new TidemarkError('TOPIC_UNKNOWN', `There is no topic ${OBSERVED_TOPIC}.`)
    return known
  }
}
