import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { WorkerLine, WorkerOptions, WorkerResult } from './kafkaWorker.ts'

const WORKER = join(import.meta.dirname, 'kafkaWorker.ts')

/** One phase in a process of its own. */
export class BenchWorker {
  readonly #child: ChildProcess
  readonly #lines: WorkerLine[] = []
  readonly #waiting = new Set<() => void>()
  #stderr = ''
  #exitCode: number | null | undefined

  constructor(options: WorkerOptions) {
    this.#child = spawn(process.execPath, [WORKER, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-10_000)
    })
    if (this.#child.stdout)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.#lines.push(JSON.parse(line) as WorkerLine)
        this.#wake()
      })
    this.#child.on('close', (code) => {
      this.#exitCode = code
      this.#wake()
    })
  }

  /** What it said so far. */
  all<E extends WorkerLine['event']>(event: E): Extract<WorkerLine, { event: E }>[] {
    return this.#lines.filter((line): line is Extract<WorkerLine, { event: E }> => line.event === event)
  }

  /** Resolves when what it said satisfies the caller; rejects when it ends before. */
  async until(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      if (this.#exitCode !== undefined)
        throw new Error(`the worker ended with ${this.#exitCode} before its time:\n${this.#stderr}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** What it measures begins, or ends. */
  next(): void {
    this.#child.stdin?.write('\n')
  }

  async result(): Promise<WorkerResult> {
    await this.until(() => this.all('result').length > 0)
    return this.all('result')[0] as WorkerResult
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** Runs a phase that ends by itself. */
export async function runPhase(options: WorkerOptions): Promise<BenchWorker> {
  const worker = new BenchWorker(options)
  await worker.until(() => worker.all('ready').length + worker.all('result').length > 0)
  return worker
}

export interface ProcessorRun {
  readonly perSecond: number
  /** Of the processor with the most private memory. */
  readonly peak: number
  readonly cpuSeconds: number
  readonly outcomes: Readonly<Record<string, number>>
}

/**
 * Runs processors that share the partitions over the observations that are there, from the moment when all partitions are open (joining the
 * group and opening tasks is measured by itself) to the last commit.
 */
export async function runProcessors(
  count: number,
  records: number,
  options: (index: number) => WorkerOptions,
): Promise<ProcessorRun> {
  const workers = Array.from({ length: count }, (_, i) => new BenchWorker(options(i)))
  const { partitions } = options(0)
  const opened = (worker: BenchWorker): number => worker.all('opened').at(-1)?.partitions.length ?? 0
  const share = Math.floor(partitions / count)
  for (let total = 0; total !== partitions; ) {
    await Promise.all(workers.map((worker) => worker.until(() => opened(worker) >= share)))
    await new Promise((resolve) => setTimeout(resolve, 100))
    total = workers.reduce((sum, worker) => sum + opened(worker), 0)
  }
  for (const worker of workers) worker.next()
  const done = new Set<number>()
  const isDone = (): boolean => {
    for (const worker of workers) for (const { partition } of worker.all('done')) done.add(partition)
    return done.size === partitions
  }
  await Promise.race(workers.map((worker) => worker.until(isDone)))
  for (const worker of workers) worker.next()
  const results = await Promise.all(workers.map((worker) => worker.result()))
  const endedMs = Math.max(...workers.flatMap((worker) => worker.all('done').map(({ atMs }) => atMs)))
  const seconds = (endedMs - Math.min(...results.map(({ startedMs }) => startedMs))) / 1000
  const outcomes: Record<string, number> = {}
  for (const result of results)
    for (const [name, n] of Object.entries(result.outcomes)) outcomes[name] = (outcomes[name] ?? 0) + n
  return {
    perSecond: records / seconds,
    peak: Math.max(...results.map(({ peak }) => peak)),
    cpuSeconds: results.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    outcomes,
  }
}
