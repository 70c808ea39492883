import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Random, seededRandom, systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createProcessor, PROCESSOR_GROUP, type Processor, type ProcessorOptions } from '@tidemark/diff-processor'
import { INGRESS_GROUP, type NamedSource, type SweepGuard } from '@tidemark/ingress'
import type { EventLog } from '@tidemark/log'
import { COMMANDS_TOPIC, OBSERVED_TOPIC, partitionOf, RAW_TOPIC } from '@tidemark/model'
import { createProjector, type Projector, projectionLag } from '@tidemark/projector'
import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import type { SimClock } from './clock.ts'
import { Gate } from './gate.ts'
import { IngressLife, type Webhook } from './life.ts'
import { type OpenedLog, openEmbeddedLog } from './openedLog.ts'

export const PARTITIONS = 3
/** Real time in which anything has to come to rest. */
const REST_MS = 20_000
/** Real time without an answer after which only time can bring one. */
const STALLED_MS = 40
/** What ingress reads to its end. */
const READ_TOPICS = [RAW_TOPIC, COMMANDS_TOPIC]
/** Turns of the event loop without anything happening, after which nothing will. */
const STILL_TURNS = 4
/** Small, so that a sweep takes several transactions. */
const LIMITS = { outputsMax: 12, bytesMax: 1 << 20 } as const

/** What the sources of ingress are doing. */
export interface SourceWork {
  /** Requests in work that will be answered although no time goes by. */
  readonly busy: number
  /** Requests that wait for ever. */
  readonly hanging: number
  /** Resolves when no webhook is on its way. */
  settled?(): Promise<void>
  /** Lets time go by for requests that wait for that, and says whether there were any. */
  moveOn?(): boolean
}

export interface StageOptions {
  /** Called for each life of ingress. */
  readonly sources: () => readonly NamedSource[]
  readonly work: SourceWork
  readonly clock: SimClock
  readonly seed: number
  readonly guard?: SweepGuard
  /** Fetches in flight. */
  readonly concurrency?: number
  /** Tables of several runs, each in a schema of its own; stays open. Default: its own, in memory. */
  readonly store?: SqlStore
  /** Stays open. Default: an embedded one of its own. */
  readonly log?: OpenedLog
  /** Default: small transactions, so that a sweep takes several. */
  readonly processor?: ProcessorOptions
  /** Real time in which anything has to come to rest. Default 20 s. */
  readonly restMs?: number
  /** PostgreSQL schema of the projection. Default: `sync_<seed>`. */
  readonly schema?: string
}

/** The whole pipeline: ingress, which can be killed, and behind it the real processor, projector and tables. */
export class Stage {
  readonly clock: SimClock
  readonly log: EventLog
  readonly codec: OpenCodec
  readonly store: SqlStore
  readonly opened: OpenedLog
  /** PostgreSQL schema of the projection. */
  readonly schema: string
  readonly #options: StageOptions
  readonly #random: Random
  #processor: Processor
  readonly #projector: Projector
  /** Open while everything is to come to rest. */
  readonly #gate = new Gate()
  #life: IngressLife | undefined
  #lives = 0
  readonly #restMs: number
  #commands = 0

  private constructor(options: StageOptions, opened: OpenedLog, codec: OpenCodec, store: SqlStore) {
    this.clock = options.clock
    this.log = opened.log
    this.codec = codec
    this.store = store
    this.opened = opened
    this.#options = options
    this.#restMs = options.restMs ?? REST_MS
    this.schema = options.schema ?? `sync_${options.seed}`
    this.#random = seededRandom(options.seed)
    const base = { log: this.log, codec, logger: silentLogger, metrics: createMetrics() }
    this.#processor = this.#newProcessor()
    // What was erased is not there for the comparison with what was; erasure has tests of its own.
    const projectorOptions = { erasureAfterMs: null }
    const { clock, schema } = this
    const behindGate = this.#gate.log(this.log)
    this.#projector = createProjector({ ...base, log: behindGate, store, clock, schema, options: projectorOptions })
  }

  static async open(options: StageOptions): Promise<Stage> {
    const opened = options.log ?? (await openEmbeddedLog(PARTITIONS))
    const codec = await openCodec(opened.registry)
    const stage = new Stage(options, opened, codec, options.store ?? (await openPglite({ dataDir: 'memory' })))
    stage.#processor.start()
    stage.#gate.open()
    await stage.#projector.start()
    stage.#gate.shut()
    await stage.start()
    return stage
  }

  /** Mass deletions that wait for a decision, and how every listing stands; none while ingress is dead. */
  get ingress(): IngressLife['ingress'] | undefined {
    return this.isDead ? undefined : this.#life?.ingress
  }

  get isDead(): boolean {
    return this.#life?.activity.isCut !== false
  }

  /** Begins a new life of ingress over the same log; sometimes its cache is lost. */
  async start(keepsCache = true): Promise<void> {
    await this.#life?.end()
    this.#lives++
    const state = await this.opened.openState('ingress')
    if (!keepsCache) await state.clear()
    const { clock, seed, guard, concurrency } = this.#options
    const random = seededRandom(seed * 1000 + this.#lives)
    const { log, codec } = this
    const sources = this.#options.sources()
    this.#life = await IngressLife.begin({ log, codec, state, sources, clock, random, guard, concurrency })
  }

  #newProcessor(options: ProcessorOptions = {}): Processor {
    const base = { log: this.log, codec: this.codec, logger: silentLogger, metrics: createMetrics() }
    return createProcessor(
      { ...base, clock: systemClock, random: this.#random },
      { limits: LIMITS, ...this.#options.processor, ...options },
    )
  }

  /** Nothing is processed until it is begun again. */
  stopProcessor(): Promise<void> {
    return this.#processor.stop()
  }

  startProcessor(options: ProcessorOptions = {}): void {
    this.#processor = this.#newProcessor(options)
    this.#processor.start()
  }

  /** Ends ingress without a word. */
  kill(): void {
    this.#life?.kill()
  }

  /** Ends it so at a call of its log or state to come; see {@link Activity.cutAfter}. */
  killAfter(halves: number): void {
    this.#life?.killAfter(halves)
  }

  /** The status with which a webhook is answered; 503 while ingress is dead. */
  async receive(webhook: Webhook): Promise<number> {
    return this.isDead ? 503 : ((await this.#life?.receive(webhook)) ?? 503)
  }

  /** Appends a command; returns its id, which is also that of the runs it begins. */
  async command(kind: string, integrationId: string, payload: object | null = null): Promise<string> {
    const id = `command-${++this.#commands}`
    const atMs = this.clock.tick()
    const value = this.codec.encode('Command', {
      ...{ id, integration_id: integrationId, kind, at: atMs, actor: 'the test' },
      payload: payload === null ? null : JSON.stringify(payload),
    })
    const partition = partitionOf(integrationId, PARTITIONS)
    await this.log.append([{ topic: COMMANDS_TOPIC, partition, key: null, value, timestampMs: atMs }])
    return id
  }

  /** Resolves when nothing happens any more unless time goes by: all that was asked for is fetched, or waits; all of it is processed. */
  async drain(): Promise<void> {
    const { work } = this.#options
    const limit = performance.now() + this.#restMs
    for (let still = 0, busySince: number | null = null; still < STILL_TURNS; ) {
      await work.settled?.()
      const before = this.#life?.activity.count
      const isBusy = work.busy > 0 || (!this.isDead && (this.#life?.activity.busy ?? 0) > 0)
      busySince = isBusy ? (busySince ?? performance.now()) : null
      // An answer may be late at the provider, who waits for the same clock.
      const isStalled = busySince !== null && performance.now() - busySince > STALLED_MS
      if ((isStalled || !isBusy) && work.moveOn?.()) [still, busySince] = [0, null]
      if (isBusy) await systemClock.sleep(1)
      else await nextTurn()
      const isStill = !isBusy && (this.isDead || this.#life?.activity.count === before) && (await this.#isRead())
      still = isStill ? still + 1 : 0
      if (performance.now() > limit) throw new Error(`not at rest after ${this.#restMs} ms: ${await this.#describe()}`)
    }
  }

  /** As {@link drain}, until the tables show it too. */
  async settle(): Promise<void> {
    await this.drain()
    this.#gate.open()
    const limit = performance.now() + this.#restMs
    for (;;) {
      const lags = await projectionLag(this.log, this.store, this.schema)
      if (lags.every(({ lag }) => lag === 0)) break
      if (performance.now() > limit) throw new Error(`not projected: ${JSON.stringify(this.#projector.status())}`)
      await systemClock.sleep(1)
    }
    this.#gate.shut()
  }

  /** Resolves when ingress is done with every webhook and command, and has noted so; throws when it does not come to that. */
  async done(): Promise<void> {
    const limit = performance.now() + this.#restMs
    for (;;) {
      const left: string[] = []
      for (const topic of READ_TOPICS) {
        const positions = await this.log.positions(INGRESS_GROUP, topic)
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const { end } = await this.log.bounds(topic, partition)
          const position = positions.get(partition) ?? 0
          if (position < end) left.push(`${topic}/${partition} from ${position} to ${end}`)
        }
      }
      if (left.length === 0) return
      if (performance.now() > limit) throw new Error(`ingress is never done with ${left.join(', ')}`)
      await systemClock.sleep(50)
    }
  }

  /** Lets time go by in small steps. */
  async pass(ms: number, stepMs = 30_000): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.tick(Math.min(left, stepMs))
      await this.drain()
    }
  }

  async close(): Promise<void> {
    await this.#life?.end()
    this.#gate.open()
    await this.#projector.stop()
    await this.#processor.stop()
    if (this.#options.store === undefined) await this.store.close()
    if (this.#options.log === undefined) await this.opened.close()
  }

  async #isRead(): Promise<boolean> {
    const ends = (topic: string) =>
      Promise.all(Array.from({ length: PARTITIONS }, async (_, n) => (await this.log.bounds(topic, n)).end))
    const [processed, observed, ...read] = await Promise.all([
      this.log.positions(PROCESSOR_GROUP, OBSERVED_TOPIC),
      ends(OBSERVED_TOPIC),
      ...READ_TOPICS.map(ends),
    ])
    if (observed.some((end, partition) => (processed.get(partition) ?? 0) < end)) return false
    return this.isDead || READ_TOPICS.every((topic, i) => this.#hasRead(topic, read[i] ?? []))
  }

  #hasRead(topic: string, ends: readonly number[]): boolean {
    return ends.every((end, partition) => this.#life?.activity.hasRead(topic, partition, end) === true)
  }

  async #describe(): Promise<string> {
    const { busy, hanging } = this.#options.work
    const streams = this.ingress
      ?.status()
      .flatMap(({ streams: all }) => all.map(({ stream, state }) => [stream, state]))
    const processor = this.#processor.status()
    return JSON.stringify({ busy, hanging, calls: this.#life?.activity.busy, streams, processor })
  }
}
