import { readFileSync } from 'node:fs'
import { type Answer, HTML, RATE_LIMIT_SECONDS, type StandIn, type TokenAnswer } from '@tidemark/connector/contract'
import { reference } from '@tidemark/connector/mapping'
import { sign } from '../src/webhook.ts'
import { failure, page, type Scripted, type Seen, startFakeHrworks, tokenUntil } from './fakeHrworks.ts'

type Row = Readonly<Record<string, unknown>>

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'))

const applicant = fixture('applicant') as Row
const application = fixture('job-application') as Row
const post = fixture('post') as Row

const OWN = 'hrworks:acme'
const NEIGHBOUR = 'hrworks:umbrella'
const secretOf = (integrationId: string): string => `secret-access-key-of-${integrationId}`
const TOKEN = tokenUntil(4_102_444_800)

const SECRETS = [`access-key-of-${OWN}`, secretOf(OWN), TOKEN]

const numbered = (number: number): Row => ({ ...applicant, uuid: `${String(applicant['uuid']).slice(0, -1)}${number}` })

const ANSWERS: Readonly<Record<Answer, (page: number) => Scripted>> = {
  page: (number) => page('applicants', [numbered(number)], { page: number, last: number + 1 }),
  last_page: (number) => page('applicants', [numbered(number)], { page: number, last: number }),
  same_page: (number) => page('applicants', [applicant], { page: number, last: 99 }),
  no_list: () => ({ body: { something: 'else' } }),
  null: () => ({ body: 'null' }),
  record: () => ({ body: applicant }),
  absent: () => failure(404),
  unavailable: () => ({ status: 502, body: '<html>Bad Gateway</html>' }),
  cut: () => ({ ...page('applicants', [applicant]), cut: true }),
  html: () => HTML,
  html_404: () => ({ ...HTML, status: 404 }),
  rate_limited: () => ({ ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } }),
  authentication: () => failure(401),
  refused: () => failure(400, `refused with ${SECRETS.join(' and ')}`),
  not_ready: () => failure(409),
  not_offered: () => failure(403),
}

const TOKENS: Readonly<Record<TokenAnswer, Scripted>> = {
  granted: { body: { token: TOKEN } },
  refused: failure(403),
  html: HTML,
}

/** What the tenant holds, by path and the listing whose permission opens it. */
const RESOURCES: readonly (readonly [path: string, stream: string, answer: () => Scripted])[] = [
  ['/persons/master-data', 'others', () => page('persons', [fixture('master-data')])],
  ['/persons', 'users', () => ({ body: fixture('persons') })],
  ['/applicant-management/posts', 'jobs', () => page('posts', [post])],
  ['/applicant-management/applicants/', 'candidates', () => ({ body: applicant })],
  ['/applicant-management/applicants', 'candidates', () => page('applicants', [applicant])],
  ['/applicant-management/job-applications', 'applications', () => page('jobApplications', [application])],
  ['/organization-units', 'others', () => page('organizationUnits', [])],
]

function held({ path }: Seen, forbidden: readonly string[]): Scripted {
  const [, stream = '', answer = () => failure(404)] = RESOURCES.find(([prefix]) => path.startsWith(prefix)) ?? []
  return forbidden.includes(stream) ? failure(403) : answer()
}

/** A scripted HR WORKS. Two tenants stand behind it, one at a time, and both have these very records. */
export async function startStandIn(): Promise<StandIn> {
  const fake = await startFakeHrworks()
  let sinceToken = 0
  const account = (integration: string) => ({
    integrationId: integration,
    options: {
      base_url: fake.baseUrl,
      access_key: `access-key-of-${integration}`,
      secret_access_key: secretOf(integration),
      integration,
    },
  })
  return {
    ...account(OWN),
    neighbour: account(NEIGHBOUR),
    stream: 'candidates',
    row: applicant,
    secrets: SECRETS,
    pointRead: { model: 'candidates', remoteKey: String(applicant['uuid']) },
    forbiddable: {
      users: 'read persons',
      jobs: 'read posts (applicant management)',
      candidates: 'read applicants (applicant management)',
    },
    referring: {
      stream: 'applications',
      model: 'applications',
      names: {
        candidate_id: reference(OWN, 'candidates', String(applicant['uuid'])),
        job_id: reference(OWN, 'jobs', String(application['postOfferId'])),
      },
    },
    script: (answers) => {
      fake.seen.length = 0
      fake.answer = ({ path }, count) => {
        const answer = answers[Math.min(count, answers.length - 1)] ?? 'last_page'
        return ANSWERS[answer](Number(new URLSearchParams(path.split('?')[1]).get('page') ?? '1'))
      }
    },
    forbid: (streams) => {
      fake.answer = (request) => held(request, streams)
    },
    serve: (rows) => {
      fake.answer = () => page('applicants', rows)
    },
    requests: () => fake.seen.length,
    tokens: {
      script: (answers) => {
        sinceToken = fake.minted()
        fake.authenticate = () =>
          TOKENS[answers[Math.min(fake.minted() - sinceToken - 1, answers.length - 1)] ?? 'granted']
      },
      requests: () => fake.minted() - sinceToken,
    },
    webhooks: (integrationId) =>
      (fixture('webhooks') as Row[]).map((event) => {
        const timestamp = String(Date.parse('2026-03-01T09:00:00Z') / 1000)
        const signature = sign(secretOf(integrationId), String(event['jobId']), timestamp)
        return {
          ...{ headers: { 'x-hrworks-timestamp': timestamp, 'x-hrworks-signature': signature }, query: {} },
          rawBody: Buffer.from(JSON.stringify(event)),
        }
      }),
    close: () => fake.close(),
  }
}
