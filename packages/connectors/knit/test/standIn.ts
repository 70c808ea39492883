import { readFileSync } from 'node:fs'
import { type Answer, HTML, RATE_LIMIT_SECONDS, type StandIn } from '@tidemark/connector/contract'
import { reference } from '@tidemark/connector/mapping'
import { sign } from '../src/auth.ts'
import { DATA_TYPES, isKnitStream } from '../src/streams.ts'
import { failure, type Scripted, type Seen, startFakeKnit, success } from './fakeKnit.ts'

const OWN = 'int-1'
const NEIGHBOUR = 'int-2'

type Event = Readonly<Record<string, unknown>>

const fixture = (name: string): Event =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')) as Event

/** An event of each data type. The source systems of both integrations number their records alike. */
const EVENTS: Readonly<Record<string, Event>> = { jobs: fixture('job'), applications: fixture('application') }

const SECRETS = ['the-api-key', 'the-next-key']

const started = success({ syncJobId: 'sj_1' })
const app = (integrationId: string) => ({ id: 'workable', category: 'ATS', integrationId, isActive: true })
const apps = success({ apps: [app(OWN), app(NEIGHBOUR)] })

/** What a call that is answered well is answered. */
const answered = ({ path }: Seen): Scripted => (path.endsWith('/integration.details') ? apps : started)

const ANSWERS: Readonly<Record<Answer, Scripted | ((request: Seen) => Scripted)>> = {
  page: answered,
  last_page: answered,
  same_page: answered,
  record: answered,
  no_list: success({}),
  null: { body: 'null' },
  absent: failure(404),
  // A start that succeeds is a stream that is not listed.
  not_offered: started,
  unavailable: { status: 502, body: '<html>Bad Gateway</html>' },
  cut: { ...started, cut: true },
  html: HTML,
  html_404: { ...HTML, status: 404 },
  rate_limited: { ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } },
  authentication: failure(401),
  refused: failure(400, `refused with ${SECRETS.join(' and ')}`),
  not_ready: failure(409),
}

const dataTypeOf = ({ body }: Seen): unknown => (body as { readonly dataType?: unknown } | undefined)?.dataType

/** A scripted Knit account with two integrations. */
export async function startStandIn(): Promise<StandIn> {
  const fake = await startFakeKnit()
  let since = 0
  const options = {
    base_url: fake.baseUrl,
    api_key: 'the-api-key',
    second_api_key: 'the-next-key',
    integrations: [OWN, NEIGHBOUR],
  }
  const signed = (integrationId: string, event: Event) => {
    const rawBody = Buffer.from(JSON.stringify(event))
    const signature = sign('the-api-key', rawBody)
    return { headers: { 'x-knit-signature': signature, 'x-knit-integration-id': integrationId }, query: {}, rawBody }
  }
  return {
    options,
    integrationId: OWN,
    neighbour: { options, integrationId: NEIGHBOUR },
    stream: 'jobs',
    row: EVENTS['jobs']?.['eventData'] as Event,
    secrets: SECRETS,
    pointRead: null,
    // Knit has no permissions of its own: what it says is why it refuses to start.
    forbiddable: { jobs: 'Knit answered 403 (no syncs of ats_jobs)' },
    referring: {
      stream: 'applications',
      model: 'applications',
      names: { job_id: reference(OWN, 'jobs', 'J-100'), candidate_id: reference(OWN, 'candidates', 'C-3') },
    },
    script: (answers) => {
      since = fake.seen.length
      fake.answer = (request, count) => {
        const answer = ANSWERS[answers[Math.min(count - since, answers.length - 1)] ?? 'last_page']
        return typeof answer === 'function' ? answer(request) : answer
      }
    },
    forbid: (streams) => {
      const types = streams.map((stream) => (isKnitStream(stream) ? DATA_TYPES[stream] : stream)) as unknown[]
      fake.answer = (request) => {
        const dataType = dataTypeOf(request)
        return types.includes(dataType) ? failure(403, `no syncs of ${String(dataType)}`) : answered(request)
      }
    },
    requests: () => fake.seen.length - since,
    webhooks: (integrationId) =>
      [...Object.values(fixture('events')), ...Object.values(EVENTS)].map((event) =>
        signed(integrationId, event as Event),
      ),
    // A row that is given says itself which record it is.
    recordWebhook: (integrationId, stream, row) => {
      const event = EVENTS[stream] ?? {}
      return signed(integrationId, row === undefined ? event : { ...event, recordId: undefined, eventData: row })
    },
    close: () => fake.close(),
  }
}
