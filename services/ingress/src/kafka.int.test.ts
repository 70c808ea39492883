import { classify, seededRandom, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { type KafkaLog, openKafka } from '@tidemark/log-kafka'
import { RAW_TOPIC, topicPlans } from '@tidemark/model'
import { createMetrics } from '@tidemark/telemetry'
import { memoryRegistry } from '@tidemark/testing'
import fastify from 'fastify'
import { afterAll, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { FakeSource, fakeConnector } from '../test/fakeSource.ts'
import { until } from '../test/harness.ts'
import { SpoolScene } from '../test/spoolScene.ts'
import { createWebhookReceiver, type WebhookReceiver } from './receiver.ts'
import type { Spool } from './spool/spool.ts'

const { kafka, skipped } = await findKafka({ own: true })
const scene = new SpoolScene()
afterAll(async () => {
  await scene.close()
  await kafka?.stop()
})

const PARTITIONS = 3
const WAIT_MS = 90_000
const codec = await openCodec(memoryRegistry())
const folder = scene.folder()
const stateDir = scene.folder()
const open = (): Promise<KafkaLog> =>
  openKafka({ brokers: kafka!.brokers, clientId: 'ingress', clock: systemClock, stateDir, operationTimeoutMs: 4000 })

/** A receiver with a listening server and senders that count what was acknowledged. */
class Receiving {
  readonly app = fastify({ forceCloseConnections: true })
  readonly spool: Spool
  readonly receiver: WebhookReceiver
  #url = ''

  constructor(spool: Spool) {
    this.spool = spool
    const source = new FakeSource(() => systemClock.now(), [])
    this.receiver = createWebhookReceiver({
      sources: [{ name: 'main', connector: fakeConnector, source }],
      ...{ clock: systemClock, random: seededRandom(1), logger: scene.logger, metrics: createMetrics(), spool },
    })
    this.receiver.registerRoutes(this.app)
  }

  static async start(): Promise<Receiving> {
    const receiving = new Receiving(await scene.open(folder))
    receiving.#url = await receiving.app.listen({ host: '127.0.0.1', port: 0 })
    return receiving
  }

  connect(kafkaLog: KafkaLog): void {
    this.receiver.connect({ log: kafkaLog.log, codec, partitions: PARTITIONS })
  }

  async post(sender: string, number: number): Promise<number> {
    const body = JSON.stringify({ type: 'x', integration: sender, number })
    const answer = await fetch(`${this.#url}/webhooks/main`, {
      method: 'POST',
      headers: { 'x-signature': 'good' },
      body,
    })
    await answer.arrayBuffer()
    return answer.status
  }

  async stop(): Promise<void> {
    await this.app.close()
    await this.receiver.stop()
    await this.spool.close()
  }
}

/** Numbers per sender as they stand in ats.raw; a repetition counts once, where it stands first. */
async function stored({ log }: KafkaLog): Promise<Record<string, number[]>> {
  const found: Record<string, Set<number>> = {}
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { end } = await log.bounds(RAW_TOPIC, partition)
    for (let offset = 0; offset < end; ) {
      const { records, nextOffset } = await log.fetch({ topic: RAW_TOPIC, partition, offset })
      for (const { value } of records) {
        const body = Buffer.from(codec.decode('Raw', value as Buffer).body).toString()
        const { integration, number } = JSON.parse(body) as { integration: string; number: number }
        found[integration] ??= new Set()
        found[integration].add(number)
      }
      offset = nextOffset
    }
  }
  return Object.fromEntries(Object.entries(found).map(([sender, numbers]) => [sender, [...numbers]]))
}

describe.skipIf(skipped !== undefined)(`a broker${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  it('may be killed under webhooks, or not run when ingress starts: each is acknowledged, and in the log in its order', async () => {
    const local = kafka!.local!
    const sent: Record<string, number> = { 'acme:1': 0, 'acme:2': 0, 'acme:3': 0, 'acme:4': 0 }
    let log = await open()
    await log.log.ensureTopics(topicPlans({ partitions: PARTITIONS }).filter(({ name }) => name === RAW_TOPIC))
    let receiving = await Receiving.start()
    receiving.connect(log)
    let over = false
    const sending = Object.keys(sent).map(async (sender) => {
      while (!over) {
        expect(await receiving.post(sender, sent[sender] as number)).toBe(200)
        sent[sender] = (sent[sender] as number) + 1
        await systemClock.sleep(5)
      }
    })
    await systemClock.sleep(200)
    expect(receiving.receiver.status().state).toBe('direct')
    await local.kill(0)
    await until(() => receiving.receiver.status().spooled > 50, WAIT_MS)
    await local.restart(0)
    await until(() => receiving.receiver.status().state === 'direct', WAIT_MS)
    over = true
    await Promise.all(sending)
    await until(() => receiving.spool.isEmpty, WAIT_MS)
    const counts = () => Object.fromEntries(Object.entries(sent).map(([key, n]) => [key, [...Array(n).keys()]]))
    expect(await stored(log)).toEqual(counts())

    await receiving.stop()
    await log.close()
    await local.kill(0)
    receiving = await Receiving.start()
    const opening = await open().catch((error: unknown) => classify(error).code)
    expect(opening).toBe('LOG_UNAVAILABLE')
    for (const sender of Object.keys(sent))
      for (let i = 0; i < 10; i++) {
        expect(await receiving.post(sender, sent[sender] as number)).toBe(200)
        sent[sender] = (sent[sender] as number) + 1
      }
    expect(receiving.receiver.status()).toMatchObject({ state: 'no_log', spooled: 40 })
    await local.restart(0)
    log = await open()
    receiving.connect(log)
    await until(() => receiving.spool.isEmpty, WAIT_MS)
    expect(await stored(log)).toEqual(counts())
    expect(receiving.receiver.status()).toMatchObject({ state: 'direct', error: null, setAside: 0 })
    await receiving.stop()
    await log.close()
  }, 240_000)
})
