import { type Clock, seededRandom } from '@tidemark/base'
import { type Codec, type Observed, openCodec } from '@tidemark/codec'
import type { StateStore } from '@tidemark/log'
import {
  COMMANDS_TOPIC,
  type Control,
  DEAD_LETTERS_TOPIC,
  type DeadLetter,
  OBSERVED_TOPIC,
  partitionOf,
  RAW_TOPIC,
  type Raw,
  SYNCS_TOPIC,
  type SyncEvent,
  topicPlans,
} from '@tidemark/model'
import { createMetrics, type Metrics, silentLogger } from '@tidemark/telemetry'
import { ManualClock, memoryRegistry } from '@tidemark/testing'
import fastify, { type FastifyInstance } from 'fastify'
import type { NamedSource } from '../src/fetchStream.ts'
import { createIngress, type Ingress } from '../src/service.ts'
import { FakeSource, fakeConnector } from './fakeSource.ts'
import { MemoryLog, MemoryStateStore } from './memoryLog.ts'

export const PARTITIONS = 3
export const codec: Codec = await openCodec(memoryRegistry())

/** Ingress over a log that outlives it, so that it can be killed and begun again. */
export class Harness {
  readonly log = new MemoryLog(topicPlans({ partitions: PARTITIONS }))
  readonly clock: ManualClock
  source: FakeSource
  state: StateStore = new MemoryStateStore()
  metrics: Metrics = createMetrics()
  ingress!: Ingress
  app!: FastifyInstance
  readonly #started: { readonly ingress: Ingress; readonly app: FastifyInstance; readonly kill: () => void }[] = []

  constructor(integrations: readonly string[] = ['acme:1'], streams?: readonly string[]) {
    this.clock = new ManualClock()
    this.source = new FakeSource(() => this.clock.now(), integrations, streams)
  }

  /** Begins a new process over the same log. */
  async start(sources?: readonly NamedSource[], clock: Clock = this.clock): Promise<void> {
    const { log, kill } = this.log.connect()
    this.metrics = createMetrics()
    const { state, metrics } = this
    this.ingress = createIngress({
      ...{ log, state, codec, clock, metrics, partitions: PARTITIONS },
      random: seededRandom(this.#started.length + 1),
      logger: silentLogger,
      sources: sources ?? [{ name: 'main', connector: fakeConnector, source: this.source }],
    })
    this.app = fastify()
    this.ingress.registerRoutes(this.app)
    this.#started.push({ ingress: this.ingress, app: this.app, kill })
    await this.ingress.start()
  }

  /** Ends the process without a word: nothing more is written. */
  kill(): void {
    this.#started.at(-1)?.kill()
  }

  async close(): Promise<void> {
    for (const { ingress, app } of this.#started) {
      await ingress.stop()
      await app.close()
    }
  }

  post(body: unknown, headers: Record<string, string> = { 'x-signature': 'good' }, source = 'main') {
    const payload = Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body)
    return this.app.inject({ method: 'POST', url: `/webhooks/${source}`, payload, headers })
  }

  async command(kind: string, integrationId: string | null, id = 'cmd-1'): Promise<void> {
    const { log } = this.log.connect()
    const value = codec.encode('Command', {
      id,
      integration_id: integrationId,
      kind,
      at: this.clock.now(),
      actor: null,
      payload: null,
    })
    const partition = partitionOf(integrationId ?? id, PARTITIONS)
    await log.append([{ topic: COMMANDS_TOPIC, partition, key: null, value, timestampMs: this.clock.now() }])
  }

  raws(): (Raw & { readonly partition: number; readonly offset: number })[] {
    return this.log.read(RAW_TOPIC).map(({ partition, record }) => ({
      ...codec.decode('Raw', record.value as Buffer),
      partition,
      offset: record.offset,
    }))
  }

  /** Observations and child lists; sweeps are in {@link sweeps}. */
  observed(): { readonly key: string; readonly partition: number; readonly value: Observed }[] {
    return this.#all().filter(({ value }) => value.kind !== 'control' || value.control.kind === 'child_sweep')
  }

  /** Control records of sweeps. */
  sweeps(...kinds: readonly string[]): (Control & { readonly partition: number })[] {
    return this.#all().flatMap(({ partition, value }) =>
      value.kind === 'control' && kinds.includes(value.control.kind) ? [{ partition, ...value.control }] : [],
    )
  }

  #all(): { readonly key: string; readonly partition: number; readonly value: Observed }[] {
    return this.log.read(OBSERVED_TOPIC).map(({ partition, record }) => ({
      key: String(record.key),
      partition,
      value: codec.decodeObserved(record.value as Buffer),
    }))
  }

  events(...names: readonly string[]): SyncEvent[] {
    const events = this.log.read(SYNCS_TOPIC).map(({ record }) => codec.decode('SyncEvent', record.value as Buffer))
    return names.length === 0 ? events : events.filter(({ event }) => names.includes(event))
  }

  letters(): DeadLetter[] {
    return this.log.read(DEAD_LETTERS_TOPIC).map(({ record }) => codec.decode('DeadLetter', record.value as Buffer))
  }

  /** True when no fetch is wanted or in flight. */
  isQuiet(): boolean {
    return this.ingress.status().every(({ streams }) => streams.every(({ state }) => state === 'idle'))
  }

  /** Waits until everything received was read and no fetch is wanted or in flight. */
  async settle(): Promise<void> {
    await until(() => this.isQuiet() && this.isRead())
  }

  isRead(): boolean {
    const committed = this.log.committed('ingress', RAW_TOPIC)
    const ends = new Map<number, number>()
    for (const { partition, record } of this.log.read(RAW_TOPIC)) ends.set(partition, record.offset + 1)
    return [...ends].every(([partition, end]) => (committed.get(partition) ?? 0) >= end)
  }
}

/** Waits for a condition in real time, at most five seconds unless told otherwise. */
export async function until(condition: () => boolean, limitMs = 5000): Promise<void> {
  const limit = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`never became true: ${condition.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** A little real time, for what must not happen. */
export const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40))
