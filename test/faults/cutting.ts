import { fromNext, type Random, seededRandom, systemClock } from '@tidemark/base'
import { createProcessor } from '@tidemark/diff-processor'
import { openKafka } from '@tidemark/log-kafka'
import { createLogger, createMetrics } from '@tidemark/telemetry'
import type { CheckResult } from '../crash/checker.ts'
import { type CutKind, type Cuts, randomCuts } from './cuts.ts'
import { LIMITS, PARTITIONS, QUIET, SLICE_RECORDS, type Stage, stateTopics, TIMEOUTS } from './stage.ts'
import { runUsualProcessor } from './usual.ts'

export interface CuttingOptions {
  readonly seed: number
  readonly cuts: number
  /** Gives up when so many cuts were not reached by then. */
  readonly withinMs: number
  /** `usual`: kafkajs as its documentation shows it; see usual.ts. */
  readonly processor?: 'ours' | 'usual'
  readonly only?: (apiKey: number, kind: CutKind) => boolean
  readonly print: (line: string) => void
}

export interface CuttingResult extends CheckResult {
  readonly cuts: number
  readonly table: Readonly<Record<string, Readonly<Record<CutKind, number>>>>
  /** Brokers that the processor produced to. */
  readonly leaders: number
  readonly restarts: number
  /** What the usual way met with, per slice that went wrong. */
  readonly journal: readonly string[]
}

const CALM = 8
const SETTLE_MS = 60_000

/** What a processor has done when it is stopped. */
export interface Ended {
  readonly restarts: number
  readonly journal: readonly string[]
}

/**
 * A load, a processor that reaches its brokers through a proxy which cuts connections before and after the brokers' writes, and, when it
 * has come to rest, the independent checker, past the proxy.
 */
export async function runCutting(stage: Stage, options: CuttingOptions): Promise<CuttingResult> {
  const random = seededRandom(options.seed)
  const { cuts: cutsMax, only } = options
  const cuts = randomCuts({ random, cutsMax, calm: CALM, ...(only ? { only } : {}) })
  stage.kafka.ask((request) => cuts.onRequest(request))
  const ended = await underLoad(stage, options, random, cuts)
  const result = await stage.check()
  return { ...result, ...ended, cuts: cuts.total, table: cuts.table(), leaders: cuts.leaders.size }
}

type Run = (stage: Stage) => Promise<{ stop(): Promise<Ended> }>

async function underLoad(stage: Stage, options: CuttingOptions, random: Random, cuts: Cuts): Promise<Ended> {
  const { print } = options
  const deadline = systemClock.now() + options.withinMs
  const run: Run = options.processor === 'usual' ? runUsualProcessor : runOurs
  const running = await run(stage)
  try {
    let told = 0
    await stage.load(random, () => {
      if (cuts.total >= told + 50) {
        told = cuts.total
        print(`${cuts.total} of ${options.cuts} cuts`)
      }
      return cuts.total >= options.cuts || systemClock.now() > deadline
    })
    cuts.stop()
    await stage.settled(SETTLE_MS)
    return await running.stop()
  } catch (error) {
    cuts.stop()
    const { journal } = await running.stop()
    throw new Error(`${String(error)}\n${journal.slice(-20).join('\n')}`, { cause: error })
  }
}

const runOurs: Run = async (stage) => {
  const failures: string[] = []
  const { log, close } = await openKafka({
    brokers: stage.kafka.proxied,
    clientId: 'processor',
    stateDir: stage.folder(),
    clock: systemClock,
    logger: QUIET,
    stateTopics,
    ...TIMEOUTS,
  })
  const processor = createProcessor(
    {
      log,
      codec: stage.codec,
      clock: systemClock,
      random: fromNext(Math.random),
      logger: createLogger({ level: 'error', destination: { write: (line) => void failures.push(line) } }),
      metrics: createMetrics(),
    },
    {
      partitions: Array.from({ length: PARTITIONS }, (_, p) => p),
      batchesAtOnce: PARTITIONS,
      fetchMax: SLICE_RECORDS,
      limits: LIMITS,
    },
  )
  processor.start()
  let ended: Promise<Ended> | undefined
  return {
    stop() {
      const statuses = processor.status()
      ended ??= processor
        .stop()
        .then(close)
        .then(() => ({ restarts: failures.length, journal: [...failures, JSON.stringify(statuses)] }))
      return ended
    },
  }
}
