import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Random, seededRandom, systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createProcessor, PROCESSOR_GROUP, type Processor, type ProcessorOptions } from '@tidemark/diff-processor'
import { INGRESS_GROUP, type SweepGuard } from '@tidemark/ingress'
import type { EventLog } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { COMMANDS_TOPIC, OBSERVED_TOPIC, partitionOf, RAW_TOPIC, topicPlans } from '@tidemark/model'
import { createProjector, type Projector, projectionLag } from '@tidemark/projector'
import type { SqlStore } from '@tidemark/store'
import { openPglite } from '@tidemark/store-embedded'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import type { SimClock } from './clock.ts'
import { Gate } from './gate.ts'
import { IngressLife } from './life.ts'
import type { Provider } from './provider.ts'
import type { WebhookBody } from './webhooks.ts'

export const PARTITIONS = 3
/** Real time in which anything has to come to rest. */
const REST_MS = 20_000
/** Turns of the event loop without anything happening, after which nothing will. */
const STILL_TURNS = 4
/** Small, so that a sweep takes several transactions. */
const LIMITS = { outputsMax: 12, bytesMax: 1 << 20 } as const

export interface StageOptions {
  readonly provider: Provider
  readonly clock: SimClock
  readonly seed: number
  readonly guard?: SweepGuard
  /** Fetches in flight. */
  readonly concurrency?: number
  /** Tables of several runs, each in a schema of its own; stays open. Default: its own, in memory. */
  readonly store?: SqlStore
}

/** The whole pipeline: ingress, which can be killed, and behind it the real processor, projector and tables. */
export class Stage {
  readonly clock: SimClock
  readonly provider: Provider
  readonly log: EventLog
  readonly codec: OpenCodec
  readonly store: SqlStore
  readonly embedded: Embedded
  /** PostgreSQL schema of the projection. */
  readonly schema: string
  readonly #path: string
  readonly #options: StageOptions
  readonly #random: Random
  #processor: Processor
  readonly #projector: Projector
  /** Open while everything is to come to rest. */
  readonly #gate = new Gate()
  #life: IngressLife | undefined
  #lives = 0
  #commands = 0

  private constructor(options: StageOptions, path: string, embedded: Embedded, codec: OpenCodec, store: SqlStore) {
    this.clock = options.clock
    this.provider = options.provider
    this.log = embedded.log
    this.codec = codec
    this.store = store
    this.embedded = embedded
    this.#path = path
    this.#options = options
    this.schema = `sync_${options.seed}`
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
    const path = mkdtempSync(join(tmpdir(), 'tidemark-sync-'))
    const embedded = await openEmbedded({ path, clock: systemClock })
    await embedded.log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
    const codec = await openCodec(embedded.registry)
    const stage = new Stage(options, path, embedded, codec, options.store ?? (await openPglite({ dataDir: 'memory' })))
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
    const state = await this.embedded.openState('ingress')
    if (!keepsCache) await state.clear()
    const { provider, clock, seed, guard, concurrency } = this.#options
    const random = seededRandom(seed * 1000 + this.#lives)
    const { log, codec } = this
    this.#life = await IngressLife.begin({ log, codec, state, provider, clock, random, guard, concurrency })
  }

  #newProcessor(options: ProcessorOptions = {}): Processor {
    const base = { log: this.log, codec: this.codec, logger: silentLogger, metrics: createMetrics() }
    return createProcessor({ ...base, clock: systemClock, random: this.#random }, { limits: LIMITS, ...options })
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

  /** True when the webhook was acknowledged. */
  async post(body: WebhookBody): Promise<boolean> {
    return !this.isDead && ((await this.#life?.post(body)) ?? false)
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
    const limit = performance.now() + REST_MS
    for (let still = 0; still < STILL_TURNS; ) {
      const before = this.#life?.activity.count
      const isBusy = this.provider.busy > 0 || (!this.isDead && (this.#life?.activity.busy ?? 0) > 0)
      if (isBusy) await systemClock.sleep(1)
      else await nextTurn()
      const isStill = !isBusy && (this.isDead || this.#life?.activity.count === before) && (await this.#isRead())
      still = isStill ? still + 1 : 0
      if (performance.now() > limit) throw new Error(`not at rest after ${REST_MS} ms: ${await this.#describe()}`)
    }
  }

  /** As {@link drain}, until the tables show it too. */
  async settle(): Promise<void> {
    await this.drain()
    this.#gate.open()
    const limit = performance.now() + REST_MS
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
    const limit = performance.now() + REST_MS
    for (;;) {
      const left: string[] = []
      for (const topic of [RAW_TOPIC, COMMANDS_TOPIC]) {
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
    await this.embedded.close()
    rmSync(this.#path, { recursive: true, force: true })
  }

  async #isRead(): Promise<boolean> {
    const processed = await this.log.positions(PROCESSOR_GROUP, OBSERVED_TOPIC)
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { end } = await this.log.bounds(OBSERVED_TOPIC, partition)
      if ((processed.get(partition) ?? 0) < end) return false
      for (const topic of this.isDead ? [] : [RAW_TOPIC, COMMANDS_TOPIC]) {
        const bounds = await this.log.bounds(topic, partition)
        if (!this.#life?.activity.hasRead(topic, partition, bounds.end)) return false
      }
    }
    return true
  }

  async #describe(): Promise<string> {
    const { busy, hanging } = this.provider
    const streams = this.ingress
      ?.status()
      .flatMap(({ streams: all }) => all.map(({ stream, state }) => [stream, state]))
    const processor = this.#processor.status()
    return JSON.stringify({ busy, hanging, calls: this.#life?.activity.busy, streams, processor })
  }
}
