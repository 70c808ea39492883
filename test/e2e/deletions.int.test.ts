import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, systemClock } from '@tidemark/base'
import { type Change, type OpenCodec, openCodec } from '@tidemark/codec'
import { connector } from '@tidemark/connector-kombo'
import { createProcessor, type Processor } from '@tidemark/diff-processor'
import { createIngress, type Ingress } from '@tidemark/ingress'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import {
  COMMANDS_TOPIC,
  changesTopic,
  type ModelName,
  OBSERVED_TOPIC,
  partitionOf,
  SYNCS_TOPIC,
  type SyncEvent,
  topicPlans,
} from '@tidemark/model'
import {
  createManualClock,
  createSandbox,
  type ManualClock,
  type Sandbox,
  type SandboxOptions,
} from '@tidemark/sandbox'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const PARTITIONS = 3
const DAY = 86_400_000

/** Ingress and processor over the embedded log, reading the simulated Kombo over HTTP; days pass in one step. */
class Pipeline {
  readonly path = mkdtempSync(join(tmpdir(), 'tidemark-deletions-'))
  readonly clock: ManualClock = createManualClock()
  readonly sandbox: Sandbox
  readonly integration: string
  codec!: OpenCodec
  #embedded!: Embedded
  #ingress!: Ingress
  #processor!: Processor
  #app!: FastifyInstance
  #url = ''
  #commands = 0

  constructor(options: SandboxOptions) {
    this.sandbox = createSandbox({
      clock: this.clock,
      integrations: 1,
      sizes: { jobs: 12, candidates: 600, applications: 300 },
      webhooks: { debounceMs: 0 },
      rateLimit: null,
      ...options,
    })
    this.integration = this.sandbox.integrations[0] as string
  }

  async start(): Promise<void> {
    if (this.#url === '') this.#url = (await this.sandbox.start()).url
    const { clock } = this
    const random = seededRandom(1)
    this.#embedded = await openEmbedded({ path: this.path, clock: systemClock })
    const { log, registry } = this.#embedded
    await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
    this.codec = await openCodec(registry)
    const base = { log, codec: this.codec, random, logger: silentLogger, metrics: createMetrics() }
    this.#processor = createProcessor({ ...base, clock: systemClock })
    this.#processor.start()
    const options = connector.parseOptions({
      ...{ base_url: this.#url, api_key: this.sandbox.apiKey, webhook_secret: this.sandbox.webhookSecret },
      integrations: [this.integration],
    })
    const sources = [{ name: 'kombo', connector, source: connector.create(options, { clock, random }) }]
    const state = await this.#embedded.openState('ingress')
    this.#ingress = createIngress({ ...base, clock, state, sources, partitions: PARTITIONS })
    this.#app = fastify()
    this.#ingress.registerRoutes(this.#app)
    const origin = await this.#app.listen({ host: '127.0.0.1', port: 0 })
    this.sandbox.setWebhookTarget(`${origin}/webhooks/kombo`)
    await this.#ingress.start()
    await this.settled()
  }

  /** Nobody listens to Kombo any more. */
  async stop(): Promise<void> {
    this.sandbox.setWebhookTarget(null)
    await this.#app.close()
    await this.#ingress.stop()
    await this.#processor.stop()
    await this.#embedded.close()
  }

  async close(): Promise<void> {
    await this.sandbox.stop()
    await this.stop()
    rmSync(this.path, { recursive: true })
  }

  /** Nothing is wanted or in flight, and everything observed was processed. */
  async settled(): Promise<void> {
    await this.sandbox.settled()
    await until(async () => {
      const isIdle = this.#ingress.status().every(({ streams }) => streams.every(({ state }) => state === 'idle'))
      return isIdle && (await this.#lag()) === 0
    })
  }

  /** A complete run, and the end of its sweeps. Returns the events that tell how they ended, by model. */
  async fullSync(): Promise<Map<string, SyncEvent>> {
    const { log } = this.#embedded
    const id = `full-${++this.#commands}`
    const at = this.clock.now()
    const command = { id, integration_id: this.integration, kind: 'sync_full', at, actor: null, payload: null }
    const partition = partitionOf(this.integration, PARTITIONS)
    await log.append([
      { topic: COMMANDS_TOPIC, partition, key: null, value: this.codec.encode('Command', command), timestampMs: at },
    ])
    const own = async (): Promise<SyncEvent[]> => (await this.syncEvents()).filter(({ sync_id }) => sync_id === id)
    let swept: readonly string[] = []
    await until(async () => {
      const end = (await own()).find(({ event }) => event === 'finished')
      swept = (JSON.parse(end?.details ?? '{"swept":[]}') as { readonly swept: readonly string[] }).swept
      return end !== undefined
    })
    const ends = new Set(['swept', 'mass_deletion_held'])
    const ended = async (): Promise<SyncEvent[]> => (await own()).filter(({ event }) => ends.has(event))
    await until(async () => (await ended()).length >= swept.length)
    await this.settled()
    return new Map((await ended()).map((event) => [event.model ?? '', event]))
  }

  async syncEvents(): Promise<SyncEvent[]> {
    return await this.#read(SYNCS_TOPIC, (value) => this.codec.decode('SyncEvent', value))
  }

  async changes(model: ModelName): Promise<Change[]> {
    return await this.#read(changesTopic(model), (value) => this.codec.decodeChange(model, value))
  }

  /** Changes of one record, by its id in the ATS. */
  async of(model: ModelName, remoteId: string): Promise<Change[]> {
    return (await this.changes(model)).filter(({ remote_id }) => remote_id === remoteId)
  }

  async #read<T>(topic: string, decode: (value: Buffer) => T): Promise<T[]> {
    const out: T[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { end } = await this.#embedded.log.bounds(topic, partition)
      for (let offset = 0; offset < end; ) {
        const { records, nextOffset } = await this.#embedded.log.fetch({ topic, partition, offset })
        out.push(...records.map(({ value }) => decode(value as Buffer)))
        offset = nextOffset
      }
    }
    return out
  }

  async #lag(): Promise<number> {
    let lag = 0
    for (const { partition, position } of this.#processor.status())
      lag += (await this.#embedded.log.bounds(OBSERVED_TOPIC, partition)).end - position
    return this.#processor.status().length === PARTITIONS ? lag : 1
  }
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3000; i++) {
    if (await isTrue()) return
    await systemClock.sleep(10)
  }
  throw new Error('it did not come to that within 30 s')
}

let pipeline: Pipeline
afterEach(() => pipeline.close())

const live = (candidates: readonly Change[], n: number): string =>
  candidates.filter(({ op }) => op === 'created')[n]?.remote_id as string

describe('what Kombo no longer shows', () => {
  beforeEach(async () => {
    pipeline = new Pipeline({ listing: { ordering: 'numbered' } })
    await pipeline.start()
  })

  it('is deleted by the flag of the row, when a full sync of Kombo has noticed it', async () => {
    const gone = live(await pipeline.changes('candidates'), 5)
    pipeline.sandbox.world.vanishCandidate(pipeline.integration, gone)
    await pipeline.settled()
    expect((await pipeline.of('candidates', gone)).at(-1)?.op).toBe('created')
    pipeline.sandbox.syncNow(pipeline.integration, 'FULL')
    await pipeline.settled()
    const last = (await pipeline.of('candidates', gone)).at(-1)
    expect(last).toMatchObject({ op: 'deleted', cause: { kind: 'webhook', evidence: { kind: 'provider_flag' } } })
  })

  it('is deleted by point reads, when its row came and went while nobody looked', async () => {
    const candidates = await pipeline.changes('candidates')
    const gone = [live(candidates, 3), live(candidates, 300)]
    await pipeline.stop()
    for (const id of gone) pipeline.sandbox.world.deleteCandidate(pipeline.integration, id)
    // Kombo's row is blank after 14 days and no longer there after 28.
    await pipeline.clock.advance(29 * DAY)
    await pipeline.start()
    for (const id of gone) expect((await pipeline.of('candidates', id)).at(-1)?.op).toBe('created')
    const ends = await pipeline.fullSync()
    expect(ends.get('candidates')).toMatchObject({ event: 'swept', state: 'DELETED' })
    for (const id of gone) {
      const last = (await pipeline.of('candidates', id)).at(-1)
      expect(last).toMatchObject({ op: 'deleted', cause: { kind: 'full_sync', evidence: { kind: 'point_read' } } })
      expect(last?.cause.raw).not.toBeNull()
    }
    const deleted = (await pipeline.changes('candidates')).filter(({ op }) => op === 'deleted')
    expect(deleted.map(({ remote_id }) => remote_id).sort()).toEqual([...gone].sort())
    // Small listings come in one page, which cannot have shifted.
    expect(ends.get('tags')).toMatchObject({ state: 'NOTHING' })
  })

  it('is anonymized when its row is blank, and stays deleted when that row goes too', async () => {
    const gone = live(await pipeline.changes('candidates'), 7)
    await pipeline.stop()
    pipeline.sandbox.world.deleteCandidate(pipeline.integration, gone)
    await pipeline.clock.advance(15 * DAY)
    await pipeline.start()
    const blank = (await pipeline.of('candidates', gone)).at(-1)
    expect(blank).toMatchObject({
      op: 'anonymized',
      after: { first_name: null, remote_deleted_at: expect.any(Number) },
    })
    await pipeline.clock.advance(15 * DAY)
    await pipeline.fullSync()
    expect((await pipeline.of('candidates', gone)).at(-1)?.version).toBe(blank?.version)
  })

  it('is restored when it is seen again', async () => {
    const candidates = await pipeline.changes('candidates')
    const [back] = candidates.filter(({ op }) => op === 'created') as [Change]
    pipeline.sandbox.world.deleteCandidate(pipeline.integration, back.remote_id as string)
    await pipeline.settled()
    pipeline.sandbox.world.restore(pipeline.integration, 'candidates', back.id)
    await pipeline.settled()
    const ops = (await pipeline.of('candidates', back.remote_id as string)).map(({ op }) => op)
    expect(ops).toEqual(['created', 'deleted', 'restored'])
  })

  it('is not deleted by a run of which one page failed for good', async () => {
    const gone = live(await pipeline.changes('candidates'), 4)
    await pipeline.stop()
    pipeline.sandbox.world.deleteCandidate(pipeline.integration, gone)
    await pipeline.clock.advance(29 * DAY)
    await pipeline.start()
    const malformed = { kind: 'unmappable_record', endpoint: 'candidates', page: 2, field: 'id', value: 7 } as const
    pipeline.sandbox.faults.add(malformed)
    const ends = await pipeline.fullSync()
    expect(ends.get('candidates')).toMatchObject({ event: 'swept', state: 'SKIPPED' })
    expect((await pipeline.of('candidates', gone)).at(-1)?.op).toBe('created')
    expect((await pipeline.fullSync()).get('candidates')).toMatchObject({ state: 'DELETED', suspects: 1 })
  })
})
