/**
 * Decides which stream is fetched when. Per (integration, stream) at most one complete fetch and one of what has changed are in flight, and at
 * most one request of each kind is pending; further ones join it, and its fetch therefore begins after all of them. That the two kinds do not
 * wait for each other is what lets a webhook overtake a complete fetch of the very same listing.
 *
 *   idle --submit--> ready --start--> running --ok--> idle, or ready when a request came meanwhile
 *                      ^                 |
 *                      |                 +--failed--> waiting (backoff) --due--> ready
 *                      +--gate opens-----+--not ready--> waiting behind the integration's gate
 *
 * The gate: while a provider says that an integration is not ready, one stream of it probes from time to time and the others wait. It
 * opens when a probe gets any other answer; a webhook makes the next probe due at once.
 *
 * Lanes: each source runs `concurrency` fetches at a time; which goes next is in lane.ts.
 */
import { type Backoff, backoffMs, type Clock, classify, type Random, type TidemarkError } from '@tidemark/base'
import { Lane, type LaneTask } from './lane.ts'

export interface StreamId {
  readonly source: string
  readonly integrationId: string
  readonly stream: string
}

/** What the scheduler needs to know of a request; the rest is the caller's. */
export interface Schedulable {
  readonly full: boolean
  /** Caused by a webhook. */
  readonly hinted: boolean
}

export interface SchedulerDeps<R extends Schedulable> {
  readonly clock: Clock
  readonly random: Random
  /** Fetches in flight per source. */
  readonly concurrency: number
  /** One request out of two for the same stream; `incoming` is the later one. */
  readonly merge: (pending: R, incoming: R) => R
  /** Fetches the stream; rejects when it failed. */
  readonly execute: (id: StreamId, request: R, signal: AbortSignal) => Promise<void>
  /** What to try again after a failure, null for nothing; `previous` is the failure before it in the same series. */
  readonly failed: (id: StreamId, request: R, error: TidemarkError, previous: TidemarkError | null) => R | null
  /** The request will not be served. */
  readonly cancelled: (id: StreamId, request: R) => void
}

/** Failures that may pass by themselves, and those that wait for somebody to act. */
const RETRY: Backoff = { startMs: 1000, maxMs: 300_000 }
const RETRY_STOPPED: Backoff = { startMs: 60_000, maxMs: 900_000 }
const PROBE: Backoff = { startMs: 10_000, maxMs: 60_000 }

/** Fetches of one kind of one stream. */
class Task<R extends Schedulable> implements LaneTask {
  readonly id: StreamId
  /** Whether its requests are for complete fetches. */
  readonly full: boolean
  pending: R | null = null
  running: { readonly request: R; readonly aborter: AbortController; readonly done: Promise<void> } | null = null
  attempt = 0
  /** Not fetched before this time after a failure. */
  notBeforeMs = 0
  lastError: TidemarkError | null = null
  startedAtMs: number | null = null
  endedAtMs: number | null = null

  constructor(id: StreamId, full: boolean) {
    this.id = id
    this.full = full
  }

  get integrationId(): string {
    return this.id.integrationId
  }

  get hinted(): boolean {
    return this.pending?.hinted === true
  }
}

interface Gate<R extends Schedulable> {
  attempt: number
  untilMs: number
  probe: Task<R> | null
  /** A webhook came while the probe was in flight, so its answer may be older than the webhook. */
  woken: boolean
}

export interface TaskView {
  readonly id: StreamId
  readonly state: 'idle' | 'ready' | 'running' | 'waiting'
  readonly startedAtMs: number | null
  readonly endedAtMs: number | null
  readonly nextAttemptAtMs: number | null
  readonly error: TidemarkError | null
}

export class Scheduler<R extends Schedulable> {
  readonly #deps: SchedulerDeps<R>
  readonly #tasks = new Map<string, Task<R>>()
  readonly #lanes = new Map<string, Lane<Task<R>>>()
  readonly #gates = new Map<string, Gate<R>>()
  readonly #waiting = new Set<Task<R>>()
  #timer: AbortController | null = null
  #stopped = false

  constructor(deps: SchedulerDeps<R>) {
    this.#deps = deps
  }

  /** Asks for a fetch that begins from now on. */
  submit(id: StreamId, request: R): void {
    if (this.#stopped) {
      this.#deps.cancelled(id, request)
      return
    }
    const task = this.#task(id, request.full)
    task.pending = task.pending === null ? request : this.#deps.merge(task.pending, request)
    if (task.running === null && !this.#waiting.has(task)) this.#enqueue(task)
    if (request.hinted) this.#probeNow(id.integrationId)
    this.#pump()
  }

  /** The provider says something about the integration: if it was not ready, it is asked at once. */
  wake(integrationId: string): void {
    this.#probeNow(integrationId)
    this.#pump()
  }

  /** Drops everything of an integration; fetches in flight are aborted. Resolves when they have ended. */
  async remove(integrationId: string): Promise<void> {
    const tasks = [...this.#tasks.values()].filter((task) => task.id.integrationId === integrationId)
    for (const task of tasks) {
      this.#tasks.delete(keyOf(task.id, task.full))
      this.#dequeue(task)
      this.#dropPending(task)
    }
    this.#gates.delete(integrationId)
    await endAll(tasks)
    for (const task of tasks) this.#dropPending(task)
    this.#pump()
  }

  /** Requests not yet served, running ones included. */
  *outstanding(): Iterable<R> {
    for (const { pending, running } of this.#tasks.values()) {
      if (running !== null) yield running.request
      if (pending !== null) yield pending
    }
  }

  /** The request of a kind for a stream that has not begun to be served. */
  pendingOf(id: StreamId, full: boolean): R | null {
    return this.#tasks.get(keyOf(id, full))?.pending ?? null
  }

  /** When the complete fetch that is in flight began; null when none is. */
  fullStartedAtMs(id: StreamId): number | null {
    const task = this.#tasks.get(keyOf(id, true))
    return task?.running ? task.startedAtMs : null
  }

  /** How a stream stands, for the status; undefined when it was never asked for. */
  view(id: StreamId): TaskView | undefined {
    const views = [false, true].flatMap((full) => this.#viewOf(this.#tasks.get(keyOf(id, full))) ?? [])
    return views.reduce<TaskView | undefined>((all, one) => (all ? together(all, one) : one), undefined)
  }

  #viewOf(task: Task<R> | undefined): TaskView | undefined {
    if (!task) return undefined
    const { startedAtMs, endedAtMs, lastError: error } = task
    const waiting = this.#waiting.has(task)
    const state = task.running !== null ? 'running' : waiting ? 'waiting' : task.pending !== null ? 'ready' : 'idle'
    return { id: task.id, state, startedAtMs, endedAtMs, nextAttemptAtMs: waiting ? this.#dueAtMs(task) : null, error }
  }

  /** True while the provider says that the integration is not ready. */
  isGated(integrationId: string): boolean {
    return this.#gates.has(integrationId)
  }

  /** Starts nothing more, aborts what is in flight, and resolves when it has ended. Pending requests are cancelled. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.abort()
    const tasks = [...this.#tasks.values()]
    await endAll(tasks)
    for (const task of tasks) this.#dropPending(task)
  }

  #task(id: StreamId, full: boolean): Task<R> {
    const key = keyOf(id, full)
    const known = this.#tasks.get(key)
    if (known) return known
    const task = new Task<R>(id, full)
    this.#tasks.set(key, task)
    return task
  }

  #lane(source: string): Lane<Task<R>> {
    const known = this.#lanes.get(source)
    if (known) return known
    const lane = new Lane<Task<R>>(this.#deps.concurrency)
    this.#lanes.set(source, lane)
    return lane
  }

  #enqueue(task: Task<R>): void {
    if (task.pending !== null) this.#lane(task.id.source).enqueue(task)
  }

  #dequeue(task: Task<R>): void {
    this.#lane(task.id.source).dequeue(task)
    this.#waiting.delete(task)
  }

  #dropPending(task: Task<R>): void {
    if (task.pending !== null) this.#deps.cancelled(task.id, task.pending)
    task.pending = null
  }

  #probeNow(integrationId: string): void {
    const gate = this.#gates.get(integrationId)
    if (!gate) return
    gate.attempt = 0
    gate.untilMs = this.#deps.clock.now()
    gate.woken = gate.probe !== null
  }

  #dueAtMs(task: Task<R>): number | null {
    const gate = this.#gates.get(task.id.integrationId)
    if (!gate) return task.notBeforeMs
    return gate.probe === null ? gate.untilMs : null
  }

  #pump(): void {
    if (this.#stopped) return
    this.#releaseDue()
    for (const lane of this.#lanes.values()) this.#fill(lane)
    this.#armTimer()
  }

  #releaseDue(): void {
    const now = this.#deps.clock.now()
    for (const task of this.#waiting) {
      const dueAtMs = this.#dueAtMs(task)
      if (dueAtMs === null || dueAtMs > now) continue
      const gate = this.#gates.get(task.id.integrationId)
      if (gate) gate.probe = task
      this.#waiting.delete(task)
      this.#enqueue(task)
    }
  }

  #fill(lane: Lane<Task<R>>): void {
    for (let task = lane.take(); task; task = lane.take()) {
      const gate = this.#gates.get(task.id.integrationId)
      if (gate && gate.probe !== task) this.#waiting.add(task)
      else this.#start(task, lane)
    }
  }

  #start(task: Task<R>, lane: Lane<Task<R>>): void {
    const request = task.pending
    if (request === null) return
    task.pending = null
    task.startedAtMs = this.#deps.clock.now()
    lane.started(task)
    const aborter = new AbortController()
    const done = this.#run(task, request, aborter.signal).finally(() => {
      lane.ended(task)
      this.#pump()
    })
    task.running = { request, aborter, done }
  }

  async #run(task: Task<R>, request: R, signal: AbortSignal): Promise<void> {
    let failure: TidemarkError | null = null
    try {
      await this.#deps.execute(task.id, request, signal)
    } catch (thrown) {
      failure = classify(thrown)
    }
    task.running = null
    task.endedAtMs = this.#deps.clock.now()
    if (failure !== null && signal.aborted) this.#deps.cancelled(task.id, request)
    else if (failure === null) this.#onSuccess(task)
    else this.#onFailure(task, request, failure)
  }

  #onSuccess(task: Task<R>): void {
    task.attempt = 0
    task.notBeforeMs = 0
    task.lastError = null
    this.#gates.delete(task.id.integrationId)
    this.#enqueue(task)
  }

  #onFailure(task: Task<R>, request: R, error: TidemarkError): void {
    const retry = this.#deps.failed(task.id, request, error, task.lastError)
    task.lastError = error
    if (retry === null) {
      this.#gates.delete(task.id.integrationId)
      this.#enqueue(task)
      return
    }
    task.pending = task.pending === null ? retry : this.#deps.merge(retry, task.pending)
    if (error.code === 'PROVIDER_NOT_READY') this.#closeGate(task)
    else {
      this.#gates.delete(task.id.integrationId)
      const backoff = error.next === 'stop' ? RETRY_STOPPED : RETRY
      task.notBeforeMs = this.#deps.clock.now() + waitOf(task.attempt++, backoff, this.#deps.random)
    }
    this.#waiting.add(task)
  }

  #closeGate(task: Task<R>): void {
    const { clock, random } = this.#deps
    const gate = this.#gates.get(task.id.integrationId)
    // Fetches that were in flight when the gate closed say nothing new.
    if (gate && gate.probe !== task) return
    const attempt = gate && !gate.woken ? gate.attempt + 1 : 0
    const untilMs = clock.now() + (gate?.woken ? 0 : waitOf(attempt, PROBE, random))
    this.#gates.set(task.id.integrationId, { attempt, untilMs, probe: null, woken: false })
  }

  /** One timer, for the earliest that waits. */
  #armTimer(): void {
    this.#timer?.abort()
    this.#timer = null
    let dueAtMs = Number.POSITIVE_INFINITY
    for (const task of this.#waiting) dueAtMs = Math.min(dueAtMs, this.#dueAtMs(task) ?? Number.POSITIVE_INFINITY)
    if (!Number.isFinite(dueAtMs)) return
    const timer = new AbortController()
    this.#timer = timer
    const waitMs = Math.max(1, dueAtMs - this.#deps.clock.now())
    void this.#deps.clock.sleep(waitMs, timer.signal).then(() => {
      if (!timer.signal.aborted) this.#pump()
    })
  }
}

/** Whole milliseconds, as clocks and the log have them. */
const waitOf = (attempt: number, backoff: Backoff, random: Random): number =>
  Math.ceil(backoffMs(attempt, backoff, random))

const keyOf = (id: StreamId, full: boolean): string =>
  `${id.source}\0${id.integrationId}\0${id.stream}\0${full ? 'full' : 'changed'}`

const BUSIEST = ['running', 'ready', 'waiting', 'idle'] as const

/** Two kinds of fetches of one stream, as one. */
function together(a: TaskView, b: TaskView): TaskView {
  const latest = (x: number | null, y: number | null): number | null =>
    x === null || y === null ? (x ?? y) : Math.max(x, y)
  const soonest = (x: number | null, y: number | null): number | null =>
    x === null || y === null ? (x ?? y) : Math.min(x, y)
  return {
    id: a.id,
    state: BUSIEST.find((state) => a.state === state || b.state === state) ?? 'idle',
    startedAtMs: latest(a.startedAtMs, b.startedAtMs),
    endedAtMs: latest(a.endedAtMs, b.endedAtMs),
    nextAttemptAtMs: soonest(a.nextAttemptAtMs, b.nextAttemptAtMs),
    error: a.error ?? b.error,
  }
}

async function endAll<R extends Schedulable>(tasks: readonly Task<R>[]): Promise<void> {
  const running = tasks.flatMap((task) => task.running ?? [])
  for (const { aborter } of running) aborter.abort()
  await Promise.all(running.map(({ done }) => done))
}
