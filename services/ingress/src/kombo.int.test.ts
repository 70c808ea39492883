import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, systemClock } from '@tidemark/base'
import { type Codec, type Observed, openCodec } from '@tidemark/codec'
import { connector } from '@tidemark/connector-kombo'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { DEAD_LETTERS_TOPIC, OBSERVED_TOPIC, RAW_TOPIC, SYNCS_TOPIC, type SyncEvent, topicPlans } from '@tidemark/model'
import { createSandbox, type Sandbox, type SandboxOptions } from '@tidemark/sandbox'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../test/harness.ts'
import { createIngress, type Ingress } from './service.ts'

const PARTITIONS = 3

/** Ingress with the Kombo connector over the embedded log, fed by the sandbox over HTTP. */
class Whole {
  readonly path = mkdtempSync(join(tmpdir(), 'tidemark-ingress-'))
  readonly sandbox: Sandbox
  ingress!: Ingress
  #app!: FastifyInstance
  #data!: Embedded
  #codec!: Codec
  #url = ''

  constructor(options: SandboxOptions = {}) {
    this.sandbox = createSandbox({
      integrations: 1,
      sizes: { jobs: 10, candidates: 40, applications: 80 },
      webhooks: { debounceMs: 0, retryMs: 20 },
      rateLimit: null,
      ...options,
    })
  }

  async start(): Promise<void> {
    if (this.#url === '') this.#url = (await this.sandbox.start()).url
    const clock = systemClock
    const random = seededRandom(Date.now())
    this.#data = await openEmbedded({ path: this.path, clock })
    const { log, registry } = this.#data
    await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
    this.#codec = await openCodec(registry)
    const options = connector.parseOptions({
      base_url: this.#url,
      api_key: this.sandbox.apiKey,
      webhook_secret: this.sandbox.webhookSecret,
      integrations: this.sandbox.integrations.slice(0, 1),
    })
    const source = connector.create(options, { clock, random })
    const state = await this.#data.openState('ingress')
    const sources = [{ name: 'sandbox', connector, source }]
    const shared = { log, state, codec: this.#codec, clock, random, logger: silentLogger, metrics: createMetrics() }
    this.ingress = createIngress({ ...shared, sources, partitions: PARTITIONS })
    this.#app = fastify()
    this.ingress.registerRoutes(this.#app)
    const origin = await this.#app.listen({ host: '127.0.0.1', port: 0 })
    this.sandbox.setWebhookTarget(`${origin}/webhooks/sandbox`)
    await this.ingress.start()
  }

  async stop(): Promise<void> {
    await this.#app.close()
    await this.ingress.stop()
    await this.#data.close()
  }

  async close(): Promise<void> {
    await this.sandbox.stop()
    await this.stop()
    rmSync(this.path, { recursive: true })
  }

  /** Waits until no fetch is wanted or in flight. */
  async settled(): Promise<void> {
    await this.sandbox.settled()
    await until(() => this.ingress.status().every(({ streams }) => streams.every(({ state }) => state === 'idle')))
  }

  async values(topic: string): Promise<Buffer[]> {
    const values: Buffer[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { start, end } = await this.#data.log.bounds(topic, partition)
      for (let offset = start; offset < end; ) {
        const { records, nextOffset } = await this.#data.log.fetch({ topic, partition, offset })
        values.push(...records.flatMap(({ value }) => (value === null ? [] : [Buffer.from(value)])))
        offset = nextOffset
      }
    }
    return values
  }

  async observed(): Promise<Observed[]> {
    return (await this.values(OBSERVED_TOPIC)).map((value) => this.#codec.decodeObserved(value))
  }

  async events(): Promise<SyncEvent[]> {
    return (await this.values(SYNCS_TOPIC)).map((value) => this.#codec.decode('SyncEvent', value))
  }

  /** The `finished` events, once there are as many. */
  async finished(count: number): Promise<SyncEvent[]> {
    for (;;) {
      const found = (await this.events()).filter(({ event }) => event === 'finished')
      if (found.length >= count) return found
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  async letters() {
    return (await this.values(DEAD_LETTERS_TOPIC)).map((value) => this.#codec.decode('DeadLetter', value))
  }

  async raws() {
    return (await this.values(RAW_TOPIC)).map((value) => this.#codec.decode('Raw', value))
  }
}

let whole: Whole

afterEach(() => whole.close())

const ofModel = (observed: readonly Observed[], model: string) =>
  observed.flatMap((one) => (one.kind === 'observation' && one.model === model ? [one.observation] : []))

describe('Kombo to ats.observed', () => {
  it('observes every record of the first sync, and a change after its webhook', async () => {
    whole = new Whole()
    await whole.start()
    await whole.settled()
    const first = await whole.observed()
    const company = whole.sandbox.integrations[0] as string
    expect(new Set(ofModel(first, 'candidates').map(({ record }) => record.id)).size).toBeGreaterThanOrEqual(40)
    expect(ofModel(first, 'jobs').length).toBeGreaterThanOrEqual(10)
    for (const model of ['applications', 'job-stages', 'users', 'tags', 'application-stages', 'job-postings'])
      expect(ofModel(first, model).length).toBeGreaterThan(0)
    expect(await whole.letters()).toEqual([])
    expect(await whole.finished(1)).toMatchObject([{ state: 'SUCCEEDED', kind: 'full' }])

    const id = ofModel(first, 'candidates')[0]?.record.id as string
    whole.sandbox.world.editCandidate(company, id, { first_name: 'Frodo' })
    await until(() => whole.sandbox.deliveries.length > 0)
    await whole.settled()
    const edited = ofModel(await whole.observed(), 'candidates').filter(
      ({ cause, record }) => cause.kind === 'webhook' && record.id === id,
    )
    expect(edited.at(-1)).toMatchObject({
      record: { first_name: 'Frodo' },
      cause: { event_name: 'data-changed', event_id: expect.any(String) as string },
    })
  })

  it.each(['conflict', 'legacy-503'] as const)('waits for a first sync that is refused by %s', async (setupErrors) => {
    whole = new Whole({ initial: 'connecting', setupErrors, sync: { firstMs: 4_000 } })
    await whole.start()
    await until(() => whole.ingress.status()[0]?.isWaitingForProvider === true, 15_000)
    await until(() => whole.ingress.status()[0]?.isWaitingForProvider === false, 15_000)
    await whole.settled()
    expect(ofModel(await whole.observed(), 'candidates').length).toBeGreaterThanOrEqual(40)
    const events = await whole.events()
    expect(events.filter(({ state }) => state === 'PENDING').length).toBeGreaterThan(0)
    expect(events.filter(({ event }) => event === 'provider_sync_finished').length).toBeGreaterThan(0)
  })

  it('reads an integration that appears, and lets go of one that is deleted', async () => {
    whole = new Whole({ sync: { firstMs: 50 } })
    await whole.start()
    await whole.settled()
    const id = whole.sandbox.createIntegration({ tool: 'personio', jobs: 2, candidates: 5, applications: 5 })
    await until(() => {
      const status = whole.ingress.status().find(({ integrationId }) => integrationId === id)
      return status?.streams.every(({ watermarkMs }) => watermarkMs !== null) === true
    })
    whole.sandbox.deleteIntegration(id)
    await until(() => whole.ingress.status().length === 1)
    expect(
      (await whole.observed()).some((one) => one.kind === 'observation' && one.observation.integration_id === id),
    ).toBe(true)
  })

  it('sets one broken record aside, survives faults of every kind, and misses nothing after a restart', async () => {
    whole = new Whole()
    for (const kind of ['html_bad_gateway', 'cut_mid_body', 'malformed_json', 'empty_body'] as const)
      whole.sandbox.faults.add({ kind, endpoint: 'candidates', count: 1 })
    whole.sandbox.faults.add({ kind: 'unmappable_record', endpoint: 'tags', count: 1 })
    await whole.start()
    // Four tries of one page, with the connector's own waits between them.
    const isSynced = () => whole.ingress.status()[0]?.streams.every(({ watermarkMs }) => watermarkMs !== null) === true
    await until(isSynced, 20_000)
    expect(await whole.letters()).toMatchObject([{ stage: 'mapping', code: 'RECORD_INVALID', model: 'tags' }])
    const company = whole.sandbox.integrations[0] as string
    const candidates = ofModel(await whole.observed(), 'candidates')
    expect(new Set(candidates.map(({ record }) => record.id)).size).toBeGreaterThanOrEqual(40)

    await whole.stop()
    const id = candidates[0]?.record.id as string
    whole.sandbox.world.editCandidate(company, id, { last_name: 'Baggins' })
    await whole.start()
    await whole.settled()
    const seen = ofModel(await whole.observed(), 'candidates').filter(({ record }) => record.id === id)
    expect(seen.at(-1)).toMatchObject({ record: { last_name: 'Baggins' }, cause: { kind: 'delta_sync' } })
    const pages = (await whole.raws()).filter(({ kind }) => kind === 'page')
    expect(pages.every(({ headers }) => !('authorization' in headers))).toBe(true)
  })
})
