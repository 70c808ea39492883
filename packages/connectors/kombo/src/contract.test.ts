import { readFileSync } from 'node:fs'
import { type Answer, connectorContract, RATE_LIMIT_SECONDS, type StandIn } from '@tidemark/connector/contract'
import { failure, page, type Scripted, startFakeKombo } from '../test/fakeKombo.ts'
import { connector } from './index.ts'
import { sign } from './webhook.ts'

const job = JSON.parse(readFileSync(new URL('../fixtures/job-nested.json', import.meta.url), 'utf8')) as object

const ANSWERS: Readonly<Record<Answer, (count: number) => Scripted>> = {
  page: (count) => page([job], `cursor-${count}`),
  last_page: () => page([job]),
  unavailable: () => ({ status: 502, body: '<html>Bad Gateway</html>' }),
  cut: () => ({ ...page([job]), cut: true }),
  garbage: () => ({ body: '<html>maintenance</html>' }),
  rate_limited: () => ({
    ...failure(429, 'PLATFORM.RATE_LIMIT_EXCEEDED'),
    headers: { 'ratelimit-reset': String(RATE_LIMIT_SECONDS) },
  }),
  authentication: () => failure(401, 'PLATFORM.AUTHENTICATION_INVALID'),
  not_ready: () => failure(409, 'INTEGRATION.SETUP_SYNC_PENDING'),
  not_offered: () => failure(400, 'INTEGRATION.MODEL_NOT_AVAILABLE'),
}

async function start(): Promise<StandIn> {
  const fake = await startFakeKombo()
  const webhookSecret = 'the-webhook-secret'
  const rawBody = Buffer.from('{"id":"e","type":"data-changed","data":{"integration_id":"a:b","changed_models":[]}}')
  let since = 0
  return {
    options: {
      base_url: fake.baseUrl,
      api_key: 'the-api-key',
      webhook_secret: webhookSecret,
      integrations: ['join:abc'],
    },
    integrationId: 'join:abc',
    stream: 'jobs',
    secrets: ['the-api-key', webhookSecret],
    script: (answers) => {
      since = fake.seen.length
      fake.answer = (_request, count) =>
        ANSWERS[answers[Math.min(count - since, answers.length - 1)] ?? 'last_page'](count)
    },
    requests: () => fake.seen.length - since,
    webhook: () => ({ headers: { 'x-kombo-signature': sign(webhookSecret, rawBody) }, query: {}, rawBody }),
    close: () => fake.close(),
  }
}

connectorContract(connector, start)
