import { readFileSync } from 'node:fs'
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
}

const OWN = 'join:abc'
const NEIGHBOUR = 'join:xyz'
const WEBHOOK_SECRET = 'the-webhook-secret'

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

const rowsOf = (stream: string, request: Seen): Row[] => {
  const row = rowOf(stream, request)
  return row ? [row] : []
}

const streamOf = ({ path }: Seen): string => path.split('/').at(-1) ?? ''

const ANSWERS: Readonly<Record<Answer, (request: Seen, count: number) => Scripted>> = {
  page: (request, count) => page(rowsOf(streamOf(request), request), `cursor-${count}`),
  last_page: (request) => page(rowsOf(streamOf(request), request)),
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
  not_ready: () => failure(409, 'INTEGRATION.SETUP_SYNC_PENDING'),
  not_offered: () => failure(400, 'INTEGRATION.MODEL_NOT_AVAILABLE'),
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
    secrets: ['the-api-key', WEBHOOK_SECRET],
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
    requests: () => fake.seen.length - since,
    webhook: (integrationId) => {
      const data = { integration_id: integrationId, changed_models: [{ name: 'ats_jobs' }] }
      const rawBody = Buffer.from(JSON.stringify({ id: 'e', type: 'data-changed', data }))
      return { headers: { 'x-kombo-signature': sign(WEBHOOK_SECRET, rawBody) }, query: {}, rawBody }
    },
    close: () => fake.close(),
  }
}
