import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import type { EventLog } from '@tidemark/log'
import { openKafka } from '@tidemark/log-kafka'
import { changesTopic, snapshotsTopic } from '@tidemark/model'
import { startKafka } from '../../infra/kafka.ts'
import type { OutputShape } from './kafkaReference.ts'
import { endsOf, type Step } from './kafkaSteps.ts'
import type { WorkerOptions } from './kafkaWorker.ts'
import { BenchWorker, type ProcessorRun, runPhase, runProcessors } from './kafkaWorkers.ts'
import { median, mib, rate } from './memory.ts'

export interface KafkaBench {
  readonly records: number
  readonly partitions: number
  readonly rounds: number
  /** Values of the processor's batchesAtOnce to compare; the first is used elsewhere. */
  readonly atOnce: readonly number[]
  readonly fetchBytesMax?: number
  readonly sliceBytesMax?: number
  /** Whether batches at once and a second process are compared. */
  readonly compare: boolean
  /** Sizes of state whose restart is measured; none for none. */
  readonly restarts: readonly number[]
}

/** A Kafka of its own, the benchmark's topics on it, and what is known about its observations. */
interface Bench {
  readonly options: KafkaBench
  readonly log: EventLog
  readonly steps: Step[]
  readonly print: (line: string) => void
  worker(phase: WorkerOptions['phase'], more?: Partial<WorkerOptions>, state?: string): WorkerOptions
}

const SAMPLE = 200
const START_MS = systemClock.now()

/**
 * The processor on Kafka, each figure beside kafkajs reading the same observations, and beside kafkajs writing the same bytes in transactions,
 * in the same round. Every phase is a process of its own; joining, opening and connecting are excluded, warm-up is not.
 */
export async function benchKafka(options: KafkaBench, print: (line: string) => void): Promise<void> {
  await withBench(options, print, async (bench) => {
    await rounds(bench)
    if (options.compare) await comparison(bench)
  })
  if (options.restarts.length > 0) await withBench(options, print, restarts)
}

async function withBench(
  options: KafkaBench,
  print: (line: string) => void,
  run: (bench: Bench) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  const kafka = await startKafka({ log: print })
  const { brokers } = kafka
  const opened = await openKafka({
    brokers,
    clientId: 'bench',
    stateDir: join(folder, 'driver'),
    clock: systemClock,
    operationTimeoutMs: 120_000,
  })
  const { partitions } = options
  const worker: Bench['worker'] = (phase, more = {}, state = 'state') => ({
    phase,
    brokers,
    partitions,
    stateDir: join(folder, state),
    ...(options.atOnce[0] === undefined ? {} : { batchesAtOnce: options.atOnce[0] }),
    ...(options.fetchBytesMax === undefined ? {} : { fetchBytesMax: options.fetchBytesMax }),
    ...(options.sliceBytesMax === undefined ? {} : { sliceBytesMax: options.sliceBytesMax }),
    ...more,
  })
  try {
    await runPhase(worker('generate'))
    await run({ options, log: opened.log, steps: [], print, worker })
  } finally {
    await opened.close()
    await kafka.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Observes every candidate once more; returns the offsets between which the observations are. */
async function step(bench: Bench, kind: Step): Promise<{ readonly starts: number[]; readonly ends: number[] }> {
  const { records, partitions } = bench.options
  const starts = await endsOf(bench.log, partitions)
  bench.steps.push(kind)
  await runPhase(
    bench.worker('generate', { generate: { steps: bench.steps, from: 0, to: records, partitions, startMs: START_MS } }),
  )
  return { starts, ends: await endsOf(bench.log, partitions) }
}

interface Round {
  readonly processor: ProcessorRun
  readonly consuming: number
  readonly passing: number
}

async function round(bench: Bench, kind: Step): Promise<Round> {
  const { records } = bench.options
  const offsets = await step(bench, kind)
  const processor = await runProcessors(1, records, () => bench.worker('process'))
  expect(processor, kind, bench)
  const outputs = await shapes(bench, processor.outcomes['changed'] ?? 0)
  const reference = async (name: string, written: readonly OutputShape[]): Promise<number> => {
    const { brokers } = bench.worker('reference')
    const group = `${name}-${bench.steps.length}`
    const options = { brokers, group, ...offsets, outputs: written }
    const phase = await runPhase(bench.worker('reference', { reference: options }))
    const { startedMs, endedMs = Number.NaN } = await phase.result()
    return records / ((endedMs - startedMs) / 1000)
  }
  return { processor, consuming: await reference('consume', []), passing: await reference('pass', outputs) }
}

function expect({ outcomes }: ProcessorRun, kind: Step, { options, steps }: Bench): void {
  const { records } = options
  const changed = kind === 'a' ? records : Math.ceil((records - ((steps.length - 1) % 20)) / 20)
  if (outcomes['changed'] !== changed || (outcomes['unchanged'] ?? 0) !== records - changed)
    throw new Error(`expected ${changed} changed of ${records}, got ${JSON.stringify(outcomes)}`)
}

/** What the processor wrote last, so that the reference writes as much. */
async function shapes({ log, options }: Bench, changed: number): Promise<OutputShape[]> {
  return Promise.all(
    [changesTopic('candidates'), snapshotsTopic('candidates')].map(async (topic) => {
      const { end } = await log.bounds(topic, 0)
      const { records } = await log.fetch({ topic, partition: 0, offset: Math.max(0, end - SAMPLE) })
      const bytes = records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
      const valueBytes = Math.round(bytes / records.length)
      return { topic: `bench.${topic}`, perInput: changed / options.records, valueBytes }
    }),
  )
}

async function rounds(bench: Bench): Promise<void> {
  const { options, log, print } = bench
  const { records, partitions } = options
  await log.ensureTopics(
    [changesTopic('candidates'), snapshotsTopic('candidates')].map((topic) => ({
      name: `bench.${topic}`,
      partitions,
      cleanup: 'delete',
      retentionMs: null,
    })),
  )
  await step(bench, 'a')
  const created = await runProcessors(1, records, () => bench.worker('process'))
  expect(created, 'a', bench)
  print(`all created   ${rate(created.perSecond)}  private memory ${mib(created.peak)}`)
  const all: Record<Step, Round[]> = { m: [], a: [] }
  for (let n = 1; n <= options.rounds; n++) {
    for (const kind of ['m', 'a'] as const) {
      const found = await round(bench, kind)
      all[kind].push(found)
      print(`round ${n}   ${describe(kind, found)}`)
    }
  }
  print('')
  for (const kind of ['m', 'a'] as const) print(`median    ${describe(kind, medianOf(all[kind]))}`)
}

const medianOf = (list: readonly Round[]): Round => {
  const of = (value: (round: Round) => number): number => median(list.map(value))
  const [first] = list as [Round]
  const perSecond = of(({ processor }) => processor.perSecond)
  const peak = Math.max(...list.map(({ processor }) => processor.peak))
  return {
    processor: { ...first.processor, perSecond, peak, cpuSeconds: of(({ processor }) => processor.cpuSeconds) },
    consuming: perSecond / of((r) => r.processor.perSecond / r.consuming),
    passing: perSecond / of((r) => r.processor.perSecond / r.passing),
  }
}

function describe(kind: Step, { processor, consuming, passing }: Round): string {
  const { perSecond, peak, cpuSeconds } = processor
  const ratio = (reference: number): string => (perSecond / reference).toFixed(2)
  return [
    (kind === 'm' ? '95 % unchanged' : 'all changed').padEnd(15),
    rate(perSecond).padStart(11),
    `  consuming only ${rate(consuming)}: ${ratio(consuming)}`,
    `  transactional pass-through ${rate(passing)}: ${ratio(passing)}`,
    `  CPU ${cpuSeconds.toFixed(1)} s, private memory ${mib(peak)}`,
  ].join('')
}

/** Batches at once, and a second process, on the same steps. */
async function comparison(bench: Bench): Promise<void> {
  const { options, print } = bench
  const variants = [
    ...options.atOnce.map((batchesAtOnce) => ({ processes: 1, batchesAtOnce })),
    { processes: 2, batchesAtOnce: options.atOnce[0] ?? 1 },
  ]
  print('')
  for (const kind of ['m', 'a'] as const) {
    for (const { processes, batchesAtOnce } of variants) {
      await step(bench, kind)
      // A second process begins with half of the state of the first; what is missing is restored before it is measured.
      const run = await runProcessors(processes, options.records, (i) =>
        bench.worker('process', { batchesAtOnce }, i === 0 ? 'state' : 'second'),
      )
      expect(run, kind, bench)
      print(
        `${kind === 'm' ? '95 % unchanged' : 'all changed   '}  processes ${processes}, batches at once ${batchesAtOnce}: ${rate(run.perSecond)}  CPU ${run.cpuSeconds.toFixed(1)} s, private memory ${mib(run.peak)} each at most`,
      )
    }
  }
}

const CHANGED_AT_RESTART = 1000

/** From joining the group to the first committed output, with ever more state. */
async function restarts({ options, print, worker }: Bench): Promise<void> {
  print('')
  let known = 0
  for (const size of [...options.restarts].sort((a, b) => a - b)) {
    const { partitions } = options
    await runPhase(
      worker('generate', { generate: { steps: ['a'], from: known, to: size, partitions, startMs: START_MS } }),
    )
    await runProcessors(1, size - known, () => worker('process'))
    known = size
    const found: { readonly sinceAssignedMs: number; readonly sinceStartMs: number }[] = []
    for (let n = 1; n <= Math.max(3, options.rounds); n++) {
      const steps: Step[] = Array.from({ length: n + 1 + options.restarts.indexOf(size) * 10 }, () => 'a')
      await runPhase(
        worker('generate', { generate: { steps, from: 0, to: CHANGED_AT_RESTART, partitions, startMs: START_MS } }),
      )
      const processor = new BenchWorker(worker('process', { atOnce: true }))
      await processor.until(() => new Set(processor.all('done').map(({ partition }) => partition)).size === partitions)
      processor.next()
      await processor.result()
      found.push(...processor.all('first'))
    }
    const of = (name: 'sinceAssignedMs' | 'sinceStartMs'): string =>
      `${median(found.map((f) => f[name])).toFixed(0)} ms`
    print(
      `restart with ${size.toLocaleString('en-US')} records of state: first output ${of('sinceAssignedMs')} after the group is joined, ${of('sinceStartMs')} after the process runs`,
    )
  }
}
