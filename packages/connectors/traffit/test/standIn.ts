import { readFileSync } from 'node:fs'
import { type Answer, HTML, RATE_LIMIT_SECONDS, type StandIn, type TokenAnswer } from '@tidemark/connector/contract'
import { reference } from '@tidemark/connector/mapping'
import { failure, granted, page, pageOf, type Scripted, type Seen, startFakeTraffit } from './fakeTraffit.ts'

type Row = Readonly<Record<string, unknown>>

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'))

const user = fixture('user') as Row

const OWN = 'traffit:acme'
const NEIGHBOUR = 'traffit:umbrella'
const secretOf = (integrationId: string): string => `webhook-secret-of-${integrationId}`

const TOKEN = 'the-token-of-the-client'
const SECRETS = [`client-secret-of-${OWN}`, secretOf(OWN), TOKEN]

const ANSWERS: Readonly<Record<Answer, (number: number) => Scripted>> = {
  page: (number) => page([{ ...user, id: number }], number, 99, 9900),
  last_page: (number) => page([{ ...user, id: number }], number, number, 100),
  same_page: () => page([user], 1, 99, 9900),
  no_list: () => ({ body: { items: [] } }),
  null: () => ({ body: 'null' }),
  record: () => ({ body: user }),
  absent: () => failure(404),
  unavailable: () => ({ status: 502, body: '<html>Bad Gateway</html>' }),
  cut: (number) => ({ ...page([user], number, 99), cut: true }),
  html: () => HTML,
  html_404: () => ({ ...HTML, status: 404 }),
  rate_limited: () => ({ ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } }),
  authentication: () => failure(401),
  refused: () => failure(400, `refused with ${SECRETS.join(' and ')}`),
  not_ready: () => failure(423),
  not_offered: () => failure(403),
}

const TOKENS: Readonly<Record<TokenAnswer, Scripted>> = {
  granted: granted(TOKEN),
  refused: { status: 400, body: { error: 'invalid_client', error_description: 'unknown client' } },
  html: HTML,
}

/** What the tenant holds, by the path below the API and the scope that opens it. */
const RESOURCES: readonly (readonly [path: RegExp, stream: string, answer: () => Scripted])[] = [
  [/^\/users\/$/, 'users', () => page([user])],
  [/^\/users\/28$/, 'users', () => ({ body: user })],
  [/^\/recruitments\/$/, 'jobs', () => page([fixture('recruitment-row')])],
  [/^\/recruitments\/60$/, 'jobs', () => ({ body: fixture('recruitment-detail') })],
  [/^\/workflows(\/details)?$/, 'application-stages', () => page(fixture('workflows') as Row[])],
  [/^\/employees\/recruitment_history$/, 'applications', () => page(fixture('history') as Row[])],
  [/^\/employees\/\d+\/tags$/, 'tags', () => page([{ id: 5, name: 'barefoot' }])],
  [/^\/employees\/\d+\/recruitments$/, 'applications', () => page([{ recruitment: { id: 52 }, state: { id: 33 } }])],
  [/^\/employees\/1246$/, 'candidates', () => ({ body: fixture('employee') })],
  [/^\/employees\/$/, 'candidates', () => page([fixture('employee')])],
  [/\/published$/, 'published', () => page(fixture('published') as Row[])],
  [/./, 'others', () => page([])],
]

function held({ path }: Seen, forbidden: readonly string[]): Scripted {
  const below = path.replace(/^\/api\/integration\/v2/, '')
  const [, stream, answer] = RESOURCES.find(([pattern]) => pattern.test(below)) as (typeof RESOURCES)[number]
  return forbidden.includes(stream) ? failure(403) : answer()
}

/** A scripted TRAFFIT. Two tenants stand behind it, one at a time, and both have these very records. */
export async function startStandIn(): Promise<StandIn> {
  const fake = await startFakeTraffit()
  let [since, sinceToken] = [0, 0]
  fake.token = () => TOKENS.granted
  const account = (integration: string) => ({
    integrationId: integration,
    options: {
      base_url: fake.baseUrl,
      client_id: `client-of-${integration}`,
      client_secret: `client-secret-of-${integration}`,
      webhook_secret: secretOf(integration),
      integration,
    },
  })
  return {
    ...account(OWN),
    neighbour: account(NEIGHBOUR),
    stream: 'users',
    row: user,
    secrets: SECRETS,
    pointRead: { model: 'users', remoteKey: String(user['id']) },
    forbiddable: { users: 'scope `user`', jobs: 'scope `recruitment`', 'application-stages': 'scope `workflow`' },
    referring: {
      stream: 'applications',
      model: 'applications',
      names: {
        job_id: reference(OWN, 'jobs', '52'),
        candidate_id: reference(OWN, 'candidates', '6708'),
        current_stage_id: reference(OWN, 'application-stages', '33'),
      },
    },
    script: (answers) => {
      since = fake.seen.length
      fake.answer = (request, count) => {
        const answer = answers[Math.min(count - since, answers.length - 1)] ?? 'last_page'
        return ANSWERS[answer](pageOf(request))
      }
    },
    forbid: (streams) => {
      fake.answer = (request) => held(request, streams)
    },
    serve: (rows) => {
      fake.answer = () => page(rows)
    },
    requests: () => fake.seen.length - since,
    tokens: {
      script: (answers) => {
        sinceToken = fake.minted.length
        fake.token = (_request, count) => TOKENS[answers[Math.min(count - sinceToken, answers.length - 1)] ?? 'granted']
      },
      requests: () => fake.minted.length - sinceToken,
    },
    webhooks: (integrationId) =>
      (fixture('webhooks') as Row[]).map((event) => ({
        ...{ headers: {}, query: { secret: secretOf(integrationId) } },
        rawBody: Buffer.from(JSON.stringify(event)),
      })),
    close: () => fake.close(),
  }
}
