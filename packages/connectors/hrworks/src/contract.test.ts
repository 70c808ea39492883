import { readFileSync } from 'node:fs'
import { type Answer, connectorContract, RATE_LIMIT_SECONDS, type StandIn } from '@tidemark/connector/contract'
import { failure, page, type Scripted, startFakeHrworks, tokenUntil } from '../test/fakeHrworks.ts'
import { connector } from './index.ts'
import { sign } from './webhook.ts'

const applicant = JSON.parse(readFileSync(new URL('../fixtures/applicant.json', import.meta.url), 'utf8')) as object

const ANSWERS: Readonly<Record<Exclude<Answer, 'authentication'>, (page: number) => Scripted>> = {
  page: (number) => page('applicants', [applicant], { page: number, last: number + 1 }),
  last_page: (number) => page('applicants', [applicant], { page: number, last: number }),
  unavailable: () => ({ status: 502, body: '<html>Bad Gateway</html>' }),
  cut: () => ({ ...page('applicants', [applicant]), cut: true }),
  garbage: () => ({ body: '<html>maintenance</html>' }),
  rate_limited: () => ({ ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } }),
  not_ready: () => failure(409),
  not_offered: () => failure(403),
}

const SECRET = 'the-secret-access-key'

async function start(): Promise<StandIn> {
  const fake = await startFakeHrworks()
  const token = tokenUntil(4_102_444_800)
  let script: readonly Answer[] = []
  let refused = 0
  fake.authenticate = () => {
    if (script[0] !== 'authentication') return { body: { token } }
    refused++
    return failure(403)
  }
  fake.answer = ({ path }, count) => {
    const answer = script[Math.min(count, script.length - 1)] ?? 'last_page'
    const number = Number(new URLSearchParams(path.split('?')[1]).get('page') ?? '1')
    return answer === 'authentication' ? failure(401) : ANSWERS[answer](number)
  }
  return {
    options: {
      base_url: fake.baseUrl,
      access_key: 'the-access-key',
      secret_access_key: SECRET,
      integration: 'hrworks:acme',
    },
    integrationId: 'hrworks:acme',
    stream: 'candidates',
    secrets: ['the-access-key', SECRET, token],
    script: (answers) => {
      script = answers
      fake.seen.length = 0
      refused = 0
    },
    requests: () => fake.seen.length + refused,
    webhook: () => {
      const timestamp = String(Date.parse('2026-03-01T09:00:00Z') / 1000)
      const headers = { 'x-hrworks-timestamp': timestamp, 'x-hrworks-signature': sign(SECRET, 'abc-123', timestamp) }
      return { headers, query: {}, rawBody: Buffer.from('{"resourceLocation":"https://x/v2/y","jobId":"abc-123"}') }
    },
    close: () => fake.close(),
  }
}

connectorContract(connector, start, { hasTokens: true })
