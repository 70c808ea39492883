/**
 * A process with a webhook receiver, to be killed: `node killedReceiver.ts <spool folder> [<log folder> <ms before the log is opened>]`.
 * Prints its URL, then `connected`.
 */
import { seededRandom, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import type { AppendRecord, EventLog } from '@tidemark/log'
import { openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify from 'fastify'
import { createWebhookReceiver } from '../src/receiver.ts'
import { openSpool } from '../src/spool/spool.ts'
import { FakeSource, fakeConnector } from './fakeSource.ts'

const PARTITIONS = 3
const SLOW_MS = 30

const [directory, logPath, afterMs] = process.argv.slice(2) as [string, string | undefined, string | undefined]
const clock = systemClock
const spool = await openSpool({ directory, logger: silentLogger, segmentBytes: 4000 })
const source = new FakeSource(() => clock.now(), [])
const receiver = createWebhookReceiver({
  sources: [{ name: 'main', connector: fakeConnector, source }],
  random: seededRandom(1),
  logger: silentLogger,
  metrics: createMetrics(),
  ...{ clock, spool },
})
const app = fastify({ forceCloseConnections: true })
receiver.registerRoutes(app)
const url = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${url}\n`)
if (logPath !== undefined) {
  await clock.sleep(Number(afterMs))
  const { log, registry } = await openEmbedded({ path: logPath, clock })
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  // Slow, so that kills often come while webhooks are on their way from the spool to the log.
  const slow: EventLog = Object.assign(Object.create(log) as EventLog, {
    append: async (records: readonly AppendRecord[]) => {
      await clock.sleep(SLOW_MS)
      return await log.append(records)
    },
  })
  receiver.connect({ log: slow, codec: await openCodec(registry), partitions: PARTITIONS })
  process.stdout.write('connected\n')
}
