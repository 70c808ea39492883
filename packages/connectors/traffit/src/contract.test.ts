import { readFileSync } from 'node:fs'
import { type Answer, connectorContract, RATE_LIMIT_SECONDS, type StandIn } from '@tidemark/connector/contract'
import { failure, granted, page, type Scripted, startFakeTraffit } from '../test/fakeTraffit.ts'
import { connector } from './index.ts'

const user = JSON.parse(readFileSync(new URL('../fixtures/user.json', import.meta.url), 'utf8')) as object

const ANSWERS: Readonly<Record<Exclude<Answer, 'authentication'>, (number: number) => Scripted>> = {
  page: (number) => page([{ ...user, id: number }], number, 99, 9900),
  last_page: (number) => page([{ ...user, id: number }], number, number, 100),
  unavailable: () => ({ status: 502, body: '<html>Bad Gateway</html>' }),
  cut: (number) => ({ ...page([user], number, 99), cut: true }),
  garbage: () => ({ body: '<html>maintenance</html>' }),
  rate_limited: () => ({ ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } }),
  not_ready: () => failure(423),
  not_offered: () => failure(403),
}

/** Credentials are refused where a token is asked for: the stand-in counts and scripts these requests only then. */
async function start(): Promise<StandIn> {
  const fake = await startFakeTraffit()
  const webhookSecret = 'the-webhook-secret'
  const rawBody = Buffer.from('{"type":"candidate_created","employee":{"id":6708}}')
  let since = 0
  let refused = 0
  return {
    options: {
      base_url: fake.baseUrl,
      client_id: 'acme_tidemark',
      client_secret: 'the-client-secret',
      webhook_secret: webhookSecret,
      integration: 'traffit:acme',
    },
    integrationId: 'traffit:acme',
    stream: 'users',
    secrets: ['the-client-secret', webhookSecret, 'token-1'],
    script: (answers) => {
      since = fake.seen.length
      fake.token = () => {
        if (answers[0] !== 'authentication') return granted()
        refused++
        return { status: 400, body: { error: 'invalid_client', error_description: 'unknown client' } }
      }
      fake.answer = ({ headers }, count) => {
        const answer = answers[Math.min(count - since, answers.length - 1)] ?? 'last_page'
        return answer === 'authentication' ? failure(401) : ANSWERS[answer](Number(headers['x-request-current-page']))
      }
    },
    requests: () => fake.seen.length - since + refused,
    webhook: () => ({ headers: {}, query: { secret: webhookSecret }, rawBody }),
    close: () => fake.close(),
  }
}

connectorContract(connector, start, { hasTokens: true })
