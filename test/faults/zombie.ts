import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { seededRandom, systemClock } from '@tidemark/base'
import type { CheckResult } from '../crash/checker.ts'
import { PARTITIONS, type Stage } from './stage.ts'
import type { WorkerLine, WorkerOptions } from './worker.ts'

const SESSION_MS = 6000
const WAIT_MS = 120_000
const PRODUCE = 0
const END_TXN = 26

export interface ZombieOptions {
  readonly seed: number
  /**
   * Where the first processor is stopped: `anywhere`, or in the middle of a transaction, when all its data are written and the request that
   * commits it is on its way; that request arrives after the other has taken over.
   */
  readonly stopped: 'anywhere' | 'before its commit arrives'
}

export interface ZombieResult extends CheckResult {
  /** What the first processor met with after it was resumed, in order. */
  readonly failures: readonly string[]
  /** Commits of the other while the first was stopped. */
  readonly takenOver: number
  /** Partitions the first committed to after it had been given some back. */
  readonly returned: number
}

/**
 * A processor process is stopped (SIGSTOP) for longer than its session, another takes its partitions over, then it is resumed with whatever
 * it was about to write.
 */
export async function runZombie(stage: Stage, options: ZombieOptions): Promise<ZombieResult> {
  const holding = new Holding()
  stage.kafka.ask(({ apiKey }) => holding.onRequest(apiKey))
  const workers: Worker[] = []
  const start = (brokers: readonly string[]): Worker => {
    const worker = new Worker({ brokers, stateDir: stage.folder(), sessionTimeoutMs: SESSION_MS })
    workers.push(worker)
    return worker
  }
  let over = false
  try {
    const loading = stage.load(seededRandom(options.seed), () => over)
    const first = start(stage.kafka.proxied)
    await first.until('it works', () => first.committed.size === PARTITIONS)
    const result = await replace(first, () => start(stage.kafka.brokers), holding, options)
    over = true
    await loading
    await stage.settled(WAIT_MS)
    await Promise.all(workers.map((worker) => worker.stop()))
    return { ...(await stage.check()), ...result }
  } finally {
    over = true
    holding.release()
    for (const worker of workers) worker.kill()
  }
}

async function replace(
  first: Worker,
  startOther: () => Worker,
  holding: Holding,
  { stopped }: ZombieOptions,
): Promise<Pick<ZombieResult, 'failures' | 'takenOver' | 'returned'>> {
  if (stopped === 'before its commit arrives') {
    holding.begin()
    await wait('a commit is on its way', () => holding.isHolding)
  }
  first.signal('SIGSTOP')
  const failuresBefore = first.failures.length
  const other = startOther()
  await other.until('the other has taken all over', () => other.committed.size === PARTITIONS)
  const takenOver = other.commits
  const lastOfFirst = first.commits
  first.signal('SIGCONT')
  holding.release()
  await first.until('the first was refused', () => first.failures.slice(failuresBefore).includes('TASK_FENCED'))
  const failures = first.failures.slice(failuresBefore)
  // It comes back as an ordinary member.
  await first.until('the first works again', () => first.commits > lastOfFirst)
  return { failures, takenOver, returned: first.commits - lastOfFirst }
}

/** Holds the first commit of a transaction that has written something, from when it is told to. */
class Holding {
  #state: 'off' | 'waiting' | 'produced' | 'holding' | 'released' = 'off'
  readonly #released = Promise.withResolvers<void>()

  get isHolding(): boolean {
    return this.#state === 'holding'
  }

  begin(): void {
    this.#state = 'waiting'
  }

  release(): void {
    this.#state = 'released'
    this.#released.resolve()
  }

  onRequest(apiKey: number): 'pass' | Promise<void> {
    if (this.#state === 'waiting' && apiKey === PRODUCE) this.#state = 'produced'
    else if (this.#state === 'produced' && apiKey === END_TXN) {
      this.#state = 'holding'
      return this.#released.promise
    }
    return 'pass'
  }
}

/** A processor process, and what it said. */
class Worker {
  readonly failures: string[] = []
  readonly committed = new Set<number>()
  commits = 0
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #stderr = ''

  constructor(options: WorkerOptions) {
    const args = [join(import.meta.dirname, 'worker.ts'), JSON.stringify(options)]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#ended = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-10_000)
    })
    if (this.#child.stdout)
      createInterface({ input: this.#child.stdout }).on('line', (line) => this.#heard(JSON.parse(line) as WorkerLine))
  }

  #heard(line: WorkerLine): void {
    if (line.event === 'failed') this.failures.push(line.code)
    if (line.event === 'committed') {
      this.committed.add(line.partition)
      this.commits++
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  until(what: string, isTrue: () => boolean): Promise<void> {
    return wait(what, isTrue, () => {
      if (this.#child.exitCode !== null)
        throw new Error(`the processor ended with ${this.#child.exitCode}:\n${this.#stderr}`)
    })
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#ended
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

async function wait(what: string, isTrue: () => boolean, check: () => void = () => undefined): Promise<void> {
  const until = systemClock.now() + WAIT_MS
  while (!isTrue()) {
    check()
    if (systemClock.now() > until) throw new Error(`after ${WAIT_MS} ms it is not true that ${what}`)
    await systemClock.sleep(25)
  }
}
