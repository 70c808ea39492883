import { readFileSync } from 'node:fs'
import { seededRandom, systemClock, TidemarkError } from '@tidemark/base'
import type { EventLog } from '@tidemark/log'
import { RAW_TOPIC, topicPlans } from '@tidemark/model'
import { createMetrics } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FakeSource, fakeConnector } from '../test/fakeSource.ts'
import { aWhile, codec, PARTITIONS, until } from '../test/harness.ts'
import { MemoryLog, MemoryStateStore } from '../test/memoryLog.ts'
import { asideOf, SpoolScene, segmentsOf } from '../test/spoolScene.ts'
import { createWebhookReceiver, type WebhookReceiver } from './receiver.ts'
import { createIngress } from './service.ts'
import type { Spool, SpoolOptions } from './spool/spool.ts'

const WARN = 40
const ERROR = 50

/** A receiver over a spool on disk, and a log that can be down. */
class Receiving extends SpoolScene {
  readonly memory = new MemoryLog(topicPlans({ partitions: PARTITIONS }))
  readonly log: EventLog = this.memory.connect().log
  readonly metrics = createMetrics()
  readonly directory = this.folder()
  readonly #senders = new Map<string, number>()
  receiver!: WebhookReceiver
  spool!: Spool
  app!: FastifyInstance

  async start(options: Partial<SpoolOptions> & { readonly ackWithinMs?: number } = {}): Promise<void> {
    const { ackWithinMs = 200, ...spoolOptions } = options
    this.spool = await this.open(this.directory, spoolOptions)
    const { logger, metrics, spool } = this
    const sources = [
      { name: 'main', connector: fakeConnector, source: new FakeSource(systemClock.now, ['acme:1']) },
      { name: 'other', connector: fakeConnector, source: new FakeSource(systemClock.now, ['acme:1']) },
    ]
    const random = seededRandom(1)
    this.receiver = createWebhookReceiver({ sources, clock: systemClock, random, logger, metrics, spool, ackWithinMs })
    this.app = fastify()
    this.receiver.registerRoutes(this.app)
  }

  connect(): void {
    this.receiver.connect({ log: this.log, codec, partitions: PARTITIONS })
  }

  down(code: 'LOG_UNAVAILABLE' | 'OVERLOADED' = 'LOG_UNAVAILABLE'): void {
    this.memory.beforeAppend = () => {
      throw new TidemarkError(code, 'No broker answers.')
    }
  }

  up(): void {
    this.memory.beforeAppend = () => undefined
  }

  post(body: string, source = 'main') {
    const headers = { 'x-signature': 'good', 'x-api-token': 'hidden', 'content-type': 'text/plain; x=ä' }
    return this.app.inject({ method: 'POST', url: `/webhooks/${source}`, payload: body, headers })
  }

  /** The next webhook of a sender, who waits for each answer. */
  async send(sender: string): Promise<number> {
    const number = this.#senders.get(sender) ?? 0
    this.#senders.set(sender, number + 1)
    return (await this.post(JSON.stringify({ type: 'x', integration: sender, number }))).statusCode
  }

  raws() {
    return this.memory.read(RAW_TOPIC).map(({ record }) => codec.decode('Raw', record.value as Buffer))
  }

  bodies(): string[] {
    return this.raws().map(({ body }) => Buffer.from(body).toString())
  }

  /** Numbers of a sender's webhooks as they stand in the log. */
  numbers(sender: string): number[] {
    return this.bodies()
      .map((body) => JSON.parse(body) as { integration: string; number: number })
      .filter(({ integration }) => integration === sender)
      .map(({ number }) => number)
  }

  /** Waits until all is in the log and the files are gone. */
  drained(): Promise<void> {
    return until(
      () => this.spool.isEmpty && this.receiver.status().bytes === 0 && this.receiver.status().error === null,
    )
  }

  async counted(outcome: string): Promise<number> {
    const { values } = await this.metrics.spooled.get()
    return values.filter(({ labels }) => labels.outcome === outcome).reduce((sum, { value }) => sum + value, 0)
  }

  override async close(): Promise<void> {
    await this.app.close()
    await this.receiver.stop()
    await super.close()
  }
}

let at: Receiving
beforeEach(() => {
  at = new Receiving()
})
afterEach(() => at.close())

describe('a receiver without a log', () => {
  it('acknowledges into the spool, and hands all over as it came once there is one', async () => {
    await at.start()
    const before = Date.now()
    for (const body of ['{"type":"x", "integration":"acme:1"}', 'no json', '']) {
      expect((await at.post(body)).statusCode).toBe(200)
    }
    const after = Date.now()
    expect(at.receiver.status()).toMatchObject({ state: 'no_log', spooled: 3, setAside: 0, error: null })
    expect(at.receiver.status().oldestMs).toBeGreaterThanOrEqual(before)
    await aWhile()
    const connectedAt = Date.now()
    at.connect()
    await at.drained()
    expect(at.bodies().sort()).toEqual(['', 'no json', '{"type":"x", "integration":"acme:1"}'].sort())
    for (const raw of at.raws()) {
      expect(raw).toMatchObject({ source: 'main', kind: 'webhook', route: '/webhooks/main', sync_id: null })
      expect(raw.headers).toMatchObject({ 'x-signature': 'good', 'content-type': 'text/plain; x=ä' })
      expect(JSON.stringify(raw.headers)).not.toContain('hidden')
      expect(raw.received_at).toBeGreaterThanOrEqual(before)
      expect(raw.received_at).toBeLessThanOrEqual(after)
    }
    // The log keeps its own time, so that retention does not count the time in the spool.
    const times = at.memory.read(RAW_TOPIC).map(({ record }) => record.timestampMs)
    expect(Math.min(...times)).toBeGreaterThanOrEqual(connectedAt)
    expect(at.receiver.status()).toEqual({
      ...{ state: 'direct', spooled: 0, bytes: 0, bytesMax: 256 * 1024 * 1024 },
      ...{ oldestMs: null, setAside: 0, error: null },
    })
    await vi.waitFor(() => expect(segmentsOf(at.directory)).toEqual([]))
  })

  it('proves webhooks all the same, and spools none that fails', async () => {
    await at.start()
    const refused = await at.app.inject({ method: 'POST', url: '/webhooks/main', payload: 'x' })
    expect(refused.statusCode).toBe(401)
    expect(at.spool.isEmpty).toBe(true)
  })

  it('goes on with what an earlier process left', async () => {
    await at.start()
    for (let i = 0; i < 3; i++) await at.send('a')
    await at.app.close()
    await at.spool.close()
    await at.start()
    expect(at.receiver.status()).toMatchObject({ state: 'no_log', spooled: 3 })
    expect(await at.send('a')).toBe(200)
    at.connect()
    await at.drained()
    expect(at.numbers('a')).toEqual([0, 1, 2, 3])
  })
})

describe('a log that goes down', () => {
  it('and comes back, again and again, gets every acknowledged webhook in the order of its sender', async () => {
    await at.start({ segmentBytes: 2000 })
    at.connect()
    const senders = Array.from({ length: 8 }, (_, i) => `acme:${i}`)
    let over = false
    const acknowledged = senders.map(async (sender) => {
      let count = 0
      for (; !over; count++) expect(await at.send(sender)).toBe(200)
      return count
    })
    for (const code of ['LOG_UNAVAILABLE', 'OVERLOADED', 'LOG_UNAVAILABLE'] as const) {
      await aWhile()
      at.down(code)
      await until(() => at.receiver.status().state === 'spooling' && at.spool.status().records > 30)
      at.up()
      await at.drained()
    }
    over = true
    const counts = await Promise.all(acknowledged)
    await at.drained()
    for (const [i, sender] of senders.entries())
      expect(at.numbers(sender)).toEqual(Array.from({ length: counts[i] ?? 0 }, (_, number) => number))
    expect(await at.counted('spooled')).toBeGreaterThan(90)
    await vi.waitFor(async () => expect(await at.counted('drained')).toBe(await at.counted('spooled')))
    // One line per spell, not per webhook.
    expect(at.messages(WARN).filter((line) => line.startsWith('webhooks go to the spool'))).toHaveLength(3)
    expect(at.messages(30).filter((line) => line.startsWith('webhook spool is drained'))).toHaveLength(3)
  })

  it('without saying a word: what it may have taken is spooled too, and may stand there twice, but is never missing', async () => {
    const gate = Promise.withResolvers<void>()
    await at.start({ ackWithinMs: 50 })
    at.connect()
    at.memory.beforeAppend = () => gate.promise
    expect(await at.send('a')).toBe(200)
    expect(await at.send('a')).toBe(200)
    expect(at.receiver.status()).toMatchObject({ state: 'spooling', spooled: 2 })
    expect(at.numbers('a')).toEqual([])
    gate.resolve()
    await at.drained()
    const numbers = at.numbers('a')
    expect([...new Set(numbers)]).toEqual([0, 1])
    expect(numbers.filter((number) => number === 0)).toHaveLength(2)
  })

  it('holds nobody back: while something is spooled, nothing waits for the log and nothing overtakes', async () => {
    await at.start({ ackWithinMs: 60_000 })
    await at.send('a')
    const gate = Promise.withResolvers<void>()
    at.memory.beforeAppend = () => gate.promise
    at.connect()
    for (let i = 0; i < 5; i++) expect(await at.send('a')).toBe(200)
    expect(at.receiver.status()).toMatchObject({ spooled: 6 })
    gate.resolve()
    await at.drained()
    expect(at.numbers('a')).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('under a crowd: those beyond what may wait for the log are spooled, not refused', async () => {
    const gate = Promise.withResolvers<void>()
    await at.start({ ackWithinMs: 60_000 })
    at.connect()
    at.memory.beforeAppend = () => gate.promise
    const senders = Array.from({ length: 230 }, (_, i) => `acme:${i}`)
    const answers = senders.map((sender) => at.send(sender))
    await until(() => at.spool.status().records === 30)
    gate.resolve()
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]))
    await at.drained()
    for (const sender of senders) expect(at.numbers(sender)).toEqual([0])
  })
})

describe('what the spool cannot take', () => {
  it('is answered 503 with Retry-After, told once, and taken again when there is room', async () => {
    await at.start({ bytesMax: 2000 })
    const codes: number[] = []
    for (let i = 0; i < 20; i++) codes.push(await at.send('a'))
    const held = codes.filter((code) => code === 200).length
    expect(held).toBeGreaterThan(2)
    expect(codes).toEqual(codes.map((_code, i) => (i < held ? 200 : 503)))
    const refused = await at.post('x')
    expect(refused.headers['retry-after']).toBe('10')
    expect(refused.json()).toMatchObject({ status: 'error', error: { code: 'SPOOL_FULL' } })
    expect(at.receiver.status()).toMatchObject({ spooled: held, error: { code: 'SPOOL_FULL' } })
    expect(at.messages(ERROR)).toHaveLength(1)
    expect(await at.counted('refused')).toBe(21 - held)
    at.connect()
    await at.drained()
    expect(at.receiver.status().error).toBeNull()
    expect(await at.send('b')).toBe(200)
    expect(at.numbers('a')).toEqual(Array.from({ length: held }, (_, i) => i))
  })

  it('is answered 503 when the spool is closed', async () => {
    await at.start()
    await at.spool.close()
    expect((await at.post('x')).statusCode).toBe(503)
  })
})

describe('a webhook that the log refuses', () => {
  const refuseBig = (): void => {
    at.memory.beforeAppend = (records) => {
      if (records.some(({ value }) => Buffer.from(value ?? []).includes('BIG')))
        throw new TidemarkError('RECORD_TOO_LARGE', 'Too large.')
    }
  }

  it('is not acknowledged and not spooled', async () => {
    await at.start()
    at.connect()
    refuseBig()
    const answer = await at.post('BIG')
    expect(answer.statusCode).toBe(503)
    expect(answer.json()).toMatchObject({ error: { code: 'RECORD_TOO_LARGE' } })
    expect(at.spool.isEmpty).toBe(true)
  })

  it('after it was acknowledged is kept aside and told, and stops no other', async () => {
    await at.start()
    for (const body of ['1', '2 BIG', '3']) await at.post(body)
    refuseBig()
    at.connect()
    await until(() => at.receiver.status().state === 'direct')
    expect(at.bodies()).toEqual(['1', '3'])
    expect(at.receiver.status()).toMatchObject({ state: 'direct', setAside: 1 })
    expect(asideOf(at.directory).map((path) => readFileSync(path).includes('2 BIG'))).toEqual([true])
    expect(await at.counted('set_aside')).toBe(1)
    expect(at.messages(ERROR)).toEqual(['acknowledged webhook is refused by the log: set aside'])
  })
})

it('measures what it holds', async () => {
  await at.start()
  const gauge = async (): Promise<Record<string, number>> =>
    Object.fromEntries((await at.metrics.spool.get()).values.map(({ labels, value }) => [String(labels.unit), value]))
  for (let i = 0; i < 4; i++) await at.send('a')
  expect(await gauge()).toEqual({ records: 4, bytes: at.spool.status().bytes })
  at.connect()
  await at.drained()
  await vi.waitFor(async () => expect(await gauge()).toEqual({ records: 0, bytes: 0 }))
})

it('stops while the log is silent, keeping what is spooled', async () => {
  await at.start()
  await at.send('a')
  at.memory.beforeAppend = () => new Promise(() => undefined)
  at.connect()
  await aWhile()
  await at.receiver.stop()
  expect(await at.send('a')).toBe(200)
  expect(at.spool.status().records).toBe(2)
})

it('hands webhooks that came before the log to ingress, which fetches what they hint at', async () => {
  await at.start()
  const body = JSON.stringify({ id: 'e', type: 'changed', integration: 'acme:1', streams: ['tags'] })
  expect((await at.post(body)).statusCode).toBe(200)
  const source = new FakeSource(systemClock.now, ['acme:1'], ['tags'])
  const ingress = createIngress({
    ...{ log: at.log, codec, partitions: PARTITIONS, state: new MemoryStateStore(), receiver: at.receiver },
    ...{ clock: systemClock, random: seededRandom(1), logger: at.logger, metrics: at.metrics },
    sources: [{ name: 'main', connector: fakeConnector, source }],
  })
  await at.drained()
  await ingress.start()
  await until(() => source.fetched.length === 2)
  await ingress.stop()
  // The receiver is its maker's to stop.
  expect((await at.post(body)).statusCode).toBe(200)
  expect(at.raws().filter(({ kind }) => kind === 'webhook')).toHaveLength(2)
})
