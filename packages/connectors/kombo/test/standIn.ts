import { readFileSync } from 'node:fs'
import type { WebhookRequest } from '@tidemark/connector'
import { type Answer, HTML, RATE_LIMIT_SECONDS, type StandIn } from '@tidemark/connector/contract'
import { sign } from '../src/webhook.ts'
import { failure, page, type Scripted, type Seen, startFakeKombo } from './fakeKombo.ts'

type Row = Readonly<Record<string, unknown>>

const fixture = (name: string): Row =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')) as Row

const ROWS: Readonly<Record<string, Row>> = {
  jobs: fixture('job-nested'),
  candidates: fixture('candidate'),
  applications: fixture('application'),
  interviews: fixture('interview'),
  users: fixture('user'),
  notes: fixture('note'),
  offers: { id: 'o1', remote_id: '71', application_id: 'H77fDF8uvEzGNPRubiz5DvQ7', status: 'SENT', changed_at: null },
  'application-stages': { id: 's1', remote_id: '32', name: 'Interview', changed_at: null },
  'rejection-reasons': { id: 'r1', remote_id: '5', name: 'Withdrawn', changed_at: null },
  tags: { id: 't1', remote_id: '9', name: 'barefoot', changed_at: null },
  roles: { id: 'l1', remote_id: '3', remote_label: 'Recruiter', scope: 'JOB', changed_at: null },
}

const OWN = 'join:abc'
const NEIGHBOUR = 'join:xyz'
const WEBHOOK_SECRET = 'the-webhook-secret'
const SECRETS = ['the-api-key', WEBHOOK_SECRET]

/** Kombo numbers the rows of each integration anew; what stays is the ATS's own `remote_id`. */
function rowOf(stream: string, { headers }: Seen): Row | undefined {
  const row = ROWS[stream]
  if (row === undefined || headers['x-integration-id'] === OWN) return row
  const isKomboId = (name: string): boolean => name === 'id' || (name.endsWith('_id') && !name.endsWith('remote_id'))
  const renumbered = JSON.stringify(row, (name, value: unknown) =>
    isKomboId(name) && typeof value === 'string' ? `${value}z` : value,
  )
  return JSON.parse(renumbered) as Row
}

/** Rows of another page are others. */
const rowsOfPage = (request: Seen): Row[] =>
  rowsOf(streamOf(request), request).map((row) => ({
    ...row,
    id: `${String(row['id'])}${request.query['cursor'] ?? ''}`,
  }))

const rowsOf = (stream: string, request: Seen): Row[] => {
  const row = rowOf(stream, request)
  return row ? [row] : []
}

const streamOf = ({ path }: Seen): string => path.split('/').at(-1) ?? ''

const ANSWERS: Readonly<Record<Answer, (request: Seen, count: number) => Scripted>> = {
  page: (request, count) => page(rowsOfPage(request), `cursor-${count}`),
  last_page: (request) => page(rowsOfPage(request)),
  same_page: (request) => page(rowsOf(streamOf(request), request), 'the-same-cursor'),
  no_list: () => ({ body: { status: 'success', data: { next: null } } }),
  null: () => ({ body: 'null' }),
  record: (request) => page(rowsOf(streamOf(request), request)),
  absent: () => page([]),
  unavailable: () => ({ status: 502, body: '<html>Bad Gateway</html>' }),
  cut: () => ({ ...page([ROWS['jobs']]), cut: true }),
  html: () => HTML,
  html_404: () => ({ ...HTML, status: 404 }),
  rate_limited: () => ({
    ...failure(429, 'PLATFORM.RATE_LIMIT_EXCEEDED'),
    headers: { 'ratelimit-reset': String(RATE_LIMIT_SECONDS) },
  }),
  authentication: () => failure(401, 'PLATFORM.AUTHENTICATION_INVALID'),
  refused: () => failure(400, 'PLATFORM.INPUT_INVALID', `refused with ${SECRETS.join(' and ')}`),
  not_ready: () => failure(409, 'INTEGRATION.SETUP_SYNC_PENDING'),
  not_offered: () => failure(400, 'INTEGRATION.MODEL_NOT_AVAILABLE'),
}

const EVENTS = fixture('webhooks') as unknown as readonly (Row & { readonly data: Row })[]

/** An event of Kombo's, about this integration. */
function eventOf({ data, ...event }: (typeof EVENTS)[number], integrationId: string): Row {
  const name = 'integration_id' in data ? 'integration_id' : 'id'
  return { ...event, data: { ...data, [name]: integrationId } }
}

function signed(event: Row): WebhookRequest {
  const rawBody = Buffer.from(JSON.stringify(event))
  return { headers: { 'x-kombo-signature': sign(WEBHOOK_SECRET, rawBody) }, query: {}, rawBody }
}

/** A scripted Kombo with two integrations of one environment. */
export async function startStandIn(): Promise<StandIn> {
  const fake = await startFakeKombo()
  let since = 0
  const options = {
    base_url: fake.baseUrl,
    api_key: 'the-api-key',
    webhook_secret: WEBHOOK_SECRET,
    integrations: [OWN, NEIGHBOUR],
  }
  return {
    options,
    integrationId: OWN,
    neighbour: { options, integrationId: NEIGHBOUR },
    stream: 'jobs',
    row: ROWS['jobs'] as Row,
    secrets: SECRETS,
    pointRead: { model: 'candidates', remoteKey: String(ROWS['candidates']?.['id']) },
    forbiddable: { jobs: 'INTEGRATION.PERMISSION_MISSING', candidates: 'INTEGRATION.PERMISSION_MISSING' },
    referring: {
      stream: 'applications',
      model: 'applications',
      names: { candidate_id: '26vafvWSRmbhNcxJYqjCzuJg', job_id: 'H5daSm8e85Dmvmne3wLeCPhX' },
    },
    script: (answers) => {
      since = fake.seen.length
      fake.answer = (request, count) =>
        ANSWERS[answers[Math.min(count - since, answers.length - 1)] ?? 'last_page'](request, count)
    },
    forbid: (streams) => {
      fake.answer = (request) =>
        streams.includes(streamOf(request))
          ? failure(403, 'INTEGRATION.PERMISSION_MISSING')
          : page(rowsOf(streamOf(request), request))
    },
    serve: (rows) => {
      fake.answer = () => page(rows)
    },
    requests: () => fake.seen.length - since,
    webhooks: (integrationId) => EVENTS.map((event) => signed(eventOf(event, integrationId))),
    close: () => fake.close(),
  }
}
