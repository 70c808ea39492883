/** Takes Knit's webhooks in a process of its own: bare (the signature is checked, nothing is kept), or as tidemark does over an embedded log. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { seededRandom, systemClock } from '@tidemark/base'
import { openCodec } from '@tidemark/codec'
import { connector } from '@tidemark/connector-knit'
import { createWebhookReceiver } from '@tidemark/ingress'
import { openEmbedded } from '@tidemark/log-embedded'
import { topicPlans } from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import fastify, { type FastifyInstance } from 'fastify'

const [kind = 'bare', key = '', path = ''] = process.argv.slice(2)
const PARTITIONS = 4

function bare(): FastifyInstance {
  const app = fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post('/webhooks/knit', (request, reply) => {
    const expected = Buffer.from(
      createHmac('sha256', key)
        .update(request.body as Buffer)
        .digest('base64url'),
    )
    const given = Buffer.from(String(request.headers['x-knit-signature'] ?? ''))
    const isProved = given.length === expected.length && timingSafeEqual(given, expected)
    return reply.code(isProved ? 200 : 401).send({ status: isProved ? 'success' : 'error' })
  })
  return app
}

async function tidemark(): Promise<FastifyInstance> {
  const { log, registry } = await openEmbedded({ path, clock: systemClock })
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  const codec = await openCodec(registry)
  const random = seededRandom(1)
  const options = connector.parseOptions({ base_url: 'http://127.0.0.1:9/v1.0', api_key: key, integrations: ['bench'] })
  const source = connector.create(options, { clock: systemClock, random })
  const receiver = createWebhookReceiver({
    ...{ sources: [{ name: 'knit', connector, source }], clock: systemClock, random },
    ...{ logger: silentLogger, metrics: createMetrics() },
  })
  receiver.connect({ log, codec, partitions: PARTITIONS })
  const app = fastify()
  receiver.registerRoutes(app)
  return app
}

const app = kind === 'bare' ? bare() : await tidemark()
const url = await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${JSON.stringify({ url })}\n`)
