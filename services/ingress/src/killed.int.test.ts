import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { openEmbedded } from '@tidemark/log-embedded'
import { RAW_TOPIC, topicPlans } from '@tidemark/model'
import { createMetrics } from '@tidemark/telemetry'
import { afterEach, expect, it } from 'vitest'
import { until } from '../test/harness.ts'
import { SpoolScene } from '../test/spoolScene.ts'
import { createWebhookReceiver } from './receiver.ts'

const PARTITIONS = 3
const SENDERS = Array.from({ length: 6 }, (_, i) => `acme:${i}`)
const ROUNDS = 8

const scene = new SpoolScene()
afterEach(() => scene.close())

/** Sends numbered webhooks one after another until the receiver is gone; those that were answered 200 are acknowledged. */
class Sender {
  readonly acknowledged: number[] = []
  readonly name: string
  #next = 0

  constructor(name: string) {
    this.name = name
  }

  async run(url: string): Promise<void> {
    for (;;) {
      const number = this.#next++
      const body = JSON.stringify({
        type: 'x',
        integration: this.name,
        number,
        filling: 'x'.repeat((number * 37) % 900),
      })
      try {
        const answer = await fetch(`${url}/webhooks/main`, { method: 'POST', headers: { 'x-signature': 'good' }, body })
        await answer.arrayBuffer()
        if (answer.status === 200) this.acknowledged.push(number)
      } catch {
        return
      }
    }
  }
}

const total = (senders: readonly Sender[]): number =>
  senders.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)

interface Moment {
  /** Webhooks acknowledged before it. */
  readonly acknowledged: number
  /** Whether the log takes webhooks by then. */
  readonly isConnected: boolean
  readonly afterMs: number
}

async function receiveAndKill(senders: readonly Sender[], args: readonly string[], moment: Moment): Promise<void> {
  const script = join(import.meta.dirname, '../test/killedReceiver.ts')
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'close')
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await until(() => output.includes('\n'), 60_000)
  const [url] = output.split('\n') as [string]
  const sending = senders.map((sender) => sender.run(url))
  const goal = total(senders) + moment.acknowledged
  await until(() => total(senders) >= goal && (!moment.isConnected || output.includes('connected')), 60_000)
  await sleep(moment.afterMs)
  child.kill('SIGKILL')
  const [code] = (await exited) as [number | null]
  expect(code).toBeNull()
  await Promise.all(sending)
}

/** Bodies of ats.raw, partition by partition. */
async function drain(directory: string, logPath: string): Promise<string[]> {
  const spool = await scene.open(directory)
  const embedded = await openEmbedded({ path: logPath, clock: systemClock })
  const { log, registry } = embedded
  try {
    await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
    const codec = await openCodec(registry)
    const { logger } = scene
    const random = seededRandom(1)
    const receiver = createWebhookReceiver({
      ...{ sources: [], clock: systemClock, random, logger, metrics: createMetrics(), spool },
    })
    receiver.connect({ log, codec, partitions: PARTITIONS })
    await until(() => spool.isEmpty, 20_000)
    await receiver.stop()
    const bodies: string[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { end } = await log.bounds(RAW_TOPIC, partition)
      for (let offset = 0; offset < end; ) {
        const { records, nextOffset } = await log.fetch({ topic: RAW_TOPIC, partition, offset })
        for (const { value } of records) bodies.push(Buffer.from(codec.decode('Raw', value as Buffer).body).toString())
        offset = nextOffset
      }
    }
    return bodies
  } finally {
    await embedded.close()
  }
}

function check(senders: readonly Sender[], bodies: readonly string[]): void {
  const sent = bodies.map((body) => JSON.parse(body) as { integration: string; number: number; filling: string })
  expect(sent.every(({ number, filling }) => filling.length === (number * 37) % 900)).toBe(true)
  for (const { name, acknowledged } of senders) {
    const found = [...new Set(sent.filter(({ integration }) => integration === name).map(({ number }) => number))]
    expect(acknowledged.filter((number) => !found.includes(number))).toEqual([])
    expect(found).toEqual(found.toSorted((a, b) => a - b))
  }
}

it.each([
  ['without any log', false],
  ['while a log opens, drains and takes webhooks directly', true],
])(
  'a receiver killed at random moments, %s, loses nothing that it acknowledged',
  async (_what, withLog) => {
    const [directory, logPath] = [scene.folder(), scene.folder()]
    const random = seededRandom(withLog ? 11 : 7)
    const senders = SENDERS.map((name) => new Sender(name))
    for (let round = 0; round < ROUNDS; round++) {
      const args = withLog ? [directory, logPath, String(random.int(150))] : [directory]
      const acknowledged = 1 + random.int(150)
      await receiveAndKill(senders, args, { acknowledged, isConnected: withLog, afterMs: random.int(120) })
    }
    check(senders, await drain(directory, logPath))
    expect(scene.messages(50)).toEqual([])
  },
  120_000,
)
