import { createServer } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createManualClock, type ManualClock } from '../manual-clock.ts'
import { World } from '../world/world.ts'
import { createTraffitSimulator, EVENT_TYPES, type TraffitSimulator } from './index.ts'

const ID = 'traffit:shire'
const SECRET = { client_id: 'sandbox_tidemark', client_secret: 'sandbox-client-secret' }

let clock: ManualClock
let world: World
let simulator: TraffitSimulator
let origin: string
let token: string

beforeEach(async () => {
  clock = createManualClock()
  world = new World({ seed: 1, now: clock.now, onMutation: (mutation) => simulator?.onMutation(mutation) })
  const company = world.found({ jobs: 12, candidates: 130, applications: 120 }, 'traffit', ID)
  simulator = createTraffitSimulator({ company, clock, rateLimit: null })
  origin = (await simulator.start()).origin
  token = ((await mint({ ...SECRET, grant_type: 'client_credentials', scope: ALL })).body as { access_token: string })
    .access_token
})

afterEach(() => simulator.stop())

const ALL = 'employee recruitment workflow user source dictionary webhook'

interface Got {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
  readonly body: any
}

async function ask(path: string, headers: Record<string, string> = {}, method = 'GET', json?: object): Promise<Got> {
  const response = await fetch(`${origin}${path}`, {
    ...{ method, redirect: 'manual', headers: { authorization: `Bearer ${token}`, ...headers } },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
}
const api = (path: string, ...rest: [Record<string, string>?, string?, object?]): Promise<Got> =>
  ask(`/api/integration/v2${path}`, ...rest)
const mint = (fields: object): Promise<Got> =>
  ask('/oauth2/token', { 'content-type': 'application/json' }, 'POST', fields)

describe('tokens', () => {
  it('are granted for 30 days to the client that is known, by JSON and in parts', async () => {
    expect((await mint({ ...SECRET, grant_type: 'client_credentials', scope: ALL })).body).toMatchObject({
      access_token: expect.stringMatching(/^[0-9a-f]{40}$/) as string,
      expires_in: 2_592_000,
      token_type: 'Bearer',
    })
    const form = new FormData()
    for (const [name, value] of Object.entries({ ...SECRET, grant_type: 'client_credentials', scope: 'user' }))
      form.set(name, value)
    const response = await fetch(`${origin}/oauth2/token`, { method: 'POST', body: form })
    expect(await response.json()).toMatchObject({ scope: 'user' })
    expect((await mint({ ...SECRET, client_secret: 'wrong', grant_type: 'client_credentials' })).status).toBe(400)
  })

  it('expire, are revoked, and open what their scopes say', async () => {
    simulator.setScopes(['user'])
    expect((await api('/users/')).status).toBe(200)
    expect((await api('/employees/')).status).toBe(403)
    await clock.advance(30 * 86_400_000)
    expect((await api('/users/')).status).toBe(401)
  })
})

describe('listings', () => {
  const page = (number: number, more: Record<string, string> = {}) => ({
    'x-request-page-size': '100',
    'x-request-current-page': String(number),
    ...more,
  })

  it('are bare lists with five headers', async () => {
    const { headers, body } = await api('/employees/', page(2))
    expect(body).toHaveLength(30)
    const names = ['count', 'current-page', 'page-size', 'total-count', 'total-pages']
    expect(names.map((name) => headers.get(`x-result-${name}`))).toEqual(['30', '2', '100', '130', '2'])
  })

  it('have at most 100 rows a page: employees refuse more, others give 100', async () => {
    expect((await api('/employees/', { 'x-request-page-size': '101' })).status).toBe(400)
    const { headers } = await api('/sources', { 'x-request-page-size': '500' })
    expect(headers.get('x-result-page-size')).toBe('100')
  })

  it('can have a short page in between, and lose nothing by it', async () => {
    simulator.setShortPage(1)
    const pages = [await api('/employees/', page(1)), await api('/employees/', page(2))]
    expect(pages.map(({ body }) => body.length)).toEqual([99, 31])
    expect(new Set(pages.flatMap(({ body }) => body.map(({ id }: { id: number }) => id))).size).toBe(130)
  })

  it.each(['{"sort_by":"id","direction":"DESC"}', '{"id":"DESC"}'])('are sorted by %s', async (sort) => {
    expect((await api('/employees/', page(1, { 'x-request-sort': sort }))).body[0].id).toBe(130)
  })

  it('are filtered; an unknown field is refused', async () => {
    const filtered = (filter: object) => api('/employees/', page(1, { 'x-request-filter': JSON.stringify(filter) }))
    expect((await filtered({ id: { value: 7, comparison: '=' } })).body).toHaveLength(1)
    expect((await filtered({ id: { value: [1, 2], comparison: 'in' } })).body).toHaveLength(2)
    expect((await filtered({ id: { value: 3, comparison: '<=' } })).body).toHaveLength(3)
    expect((await filtered({ email: { value: '@example.com', comparison: 'like' } })).body.length).toBeGreaterThan(0)
    expect((await filtered({ shoe_size: { value: 1, comparison: '=' } })).status).toBe(400)
  })

  it('say their fields instead of their rows', async () => {
    const { body } = await api('/users/', { 'x-response-metadata': 'true' })
    expect(body.fields.id).toEqual({ type: 'integer', required: false, structure: [] })
  })

  it('redirect from a slash that they do not know', async () => {
    const { status, headers } = await api('/workflows/')
    expect([status, headers.get('location')]).toEqual([301, '/api/integration/v2/workflows'])
  })
})

describe('recruitments', () => {
  it('show workflow, status and team in the detail only', async () => {
    const { body: rows } = await api('/recruitments/')
    expect(rows[0]).not.toHaveProperty('workflow_id')
    const { body } = await api(`/recruitments/${rows[0].id}`)
    expect(body).toMatchObject({ status: expect.any(String) as string, responsible_person: expect.any(Array) as [] })
    expect(body).not.toHaveProperty('is_confidential')
    const { body: states } = await api(`/recruitments/${rows[0].id}/states`)
    const { body: workflows } = await api('/workflows/details', { 'x-request-page-size': '100' })
    expect(workflows.find(({ id }: { id: number }) => id === body.workflow_id).states).toEqual(states)
    expect((await api('/recruitments/999')).status).toBe(404)
  })

  it('are published only while they are open', async () => {
    const job = world.createJob(ID, { visibility: 'PUBLIC' })
    const ids = async () =>
      (await ask('/public/job_posts/published', { 'x-request-page-size': '100' })).body.map(
        (row: { advert: { recruitment: { id: number } } }) => row.advert.recruitment.id,
      )
    const number = Number(world.company(ID).find('jobs', job).remoteId)
    expect(await ids()).toContain(number)
    world.closeJob(ID, job)
    expect(await ids()).not.toContain(number)
  })
})

it('the history closes a stay when it opens another, and can survive its application', async () => {
  const job = world.createJob(ID)
  const candidate = world.createCandidate(ID)
  const application = world.apply(ID, candidate, job)
  const [, second = ''] = world.company(ID).find('jobs', job).links.stages ?? []
  world.moveApplication(ID, application, second)
  const rows = async () => {
    const filter = '{"id":{"value":1,"comparison":">="}}'
    const headers = { 'x-request-page-size': '100', 'x-request-filter': filter, 'x-request-sort': '{"id":"DESC"}' }
    return (await api('/employees/recruitment_history', headers)).body.slice(0, 2)
  }
  const [current, ended] = await rows()
  expect(current).not.toHaveProperty('end_date')
  expect(ended).toHaveProperty('end_date')
  world.remove(ID, 'applications', application)
  expect((await rows())[0]).toHaveProperty('end_date')
  const number = world.company(ID).find('candidates', candidate).remoteId
  expect((await api(`/employees/${number}/recruitments`)).body).toEqual([])
})

describe('webhooks', () => {
  it('are sent to those who subscribed, tried again, and can be repeated or spoiled', async () => {
    const received: string[] = []
    let status = 500
    const server = createServer((request, response) => {
      received.push(request.url ?? '')
      response.writeHead(status).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const url = `http://127.0.0.1:${port}/hook?secret=s3cr3t`
    expect((await api('/webhooks/', {}, 'POST', { type: 'candidate_created', url })).status).toBe(201)
    expect((await api('/webhooks/types')).body.map(({ name }: { name: string }) => name)).toEqual([...EVENT_TYPES])
    world.createCandidate(ID)
    await simulator.settled()
    expect(received).toEqual(['/hook?secret=s3cr3t'])
    status = 200
    await clock.advance(10_000)
    await simulator.settled()
    expect(simulator.webhooks).toMatchObject({ sent: 1, delivered: 1, retried: 1 })
    simulator.faults.add({ kind: 'duplicate_webhook' })
    simulator.setWebhookSecrets('missing')
    world.createCandidate(ID)
    await simulator.settled()
    expect(received.slice(-2)).toEqual(['/hook', '/hook'])
    expect((await api('/webhooks/1', {}, 'DELETE')).status).toBe(204)
    expect(simulator.subscriptions()).toEqual([])
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('are not waited for while more of them wait for their next try than are sent at a time', async () => {
    const url = 'http://127.0.0.1:1/nobody'
    expect((await api('/webhooks/', {}, 'POST', { type: 'candidate_created', url })).status).toBe(201)
    for (let n = 0; n < 20; n++) world.createCandidate(ID)
    await simulator.settled()
    expect(simulator.webhooks).toMatchObject({ sent: 20, delivered: 0, lost: 0 })
  })
})

describe('faults', () => {
  it.each([
    ['rate_limited', 429],
    ['server_error', 500],
    ['html_bad_gateway', 502],
  ] as const)('%s', async (kind, status) => {
    simulator.faults.add({ kind, endpoint: 'sources', page: 1 })
    const response = await fetch(`${origin}/api/integration/v2/sources`, {
      headers: { authorization: `Bearer ${token}`, 'x-request-current-page': '1' },
    })
    expect(response.status).toBe(status)
    expect((await api('/sources')).status).toBe(200)
  })

  it('limit ten requests a second unless told otherwise', async () => {
    const other = createTraffitSimulator({ company: world.company(ID), clock })
    const { origin: limited } = await other.start()
    const statuses: number[] = []
    for (let i = 0; i < 11; i++) statuses.push((await fetch(`${limited}/public/job_posts/published`)).status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(10)
    expect(statuses[10]).toBe(429)
    await other.stop()
  })
})
