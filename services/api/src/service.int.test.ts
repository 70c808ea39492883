import { request as httpRequest } from 'node:http'
import { TidemarkError } from '@tidemark/base'
import { COMMANDS_TOPIC } from '@tidemark/model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ACME, makeCompany } from './testing/company.ts'
import { noStatus, openWorld, type Served, type World, withMethods } from './testing/harness.ts'

let world: World
let api: Served
const keys = [
  { name: 'all', key: 'all-key', write: true },
  { name: 'reader', key: 'reader-key', integrations: [ACME], models: ['jobs' as const] },
]
const all = { authorization: 'Bearer all-key' }
const reader = { authorization: 'Bearer reader-key' }

beforeAll(async () => {
  world = await openWorld()
  await world.fill(makeCompany(world.maker).changes)
  await world.fill([world.maker.make('traffit:other', 'jobs', '1', { name: 'Elsewhere' })])
  api = await world.serve({ apiKeys: keys })
})
afterAll(() => world.close())

/** A request with headers that fetch does not let one set. */
function rawGet(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.on('error', reject)
    request.end()
  })
}

const post = (path: string, headers: Record<string, string>, body?: string) =>
  fetch(api.url + path, { method: 'POST', headers, ...(body === undefined ? {} : { body }) })

describe('authorization', () => {
  test.each([
    ['no key', {}],
    ['a wrong key', { authorization: 'Bearer nope' }],
    ['another scheme', { authorization: 'Basic all-key' }],
  ])('refuses %s with 401 in the envelope', async (_name, headers) => {
    const { status, body, headers: answered } = await api.get('/v1/status', headers as Record<string, string>)
    expect(status).toBe(401)
    expect(body.error).toMatchObject({ code: 'PLATFORM.AUTHENTICATION_INVALID', log_url: null })
    expect(answered.get('www-authenticate')).toBe('Bearer')
  })

  test('covers metrics and feeds, but not health', async () => {
    const open = await Promise.all(['/healthz', '/readyz'].map((path) => api.get(path)))
    expect(open.map(({ status }) => status)).toEqual([200, 200])
    const closed = await Promise.all(['/metrics', '/v1/changes'].map((path) => api.get(path)))
    expect(closed.map(({ status }) => status)).toEqual([401, 401])
    expect((await api.get('/metrics', all)).body).toContain('tidemark_projected_total')
  })

  test('hides integrations out of scope as if they did not exist', async () => {
    const other = { ...reader, 'x-integration-id': 'traffit:other' }
    expect((await api.get('/v1/ats/jobs', other)).body.error.code).toBe('PLATFORM.INTEGRATION_NOT_FOUND')
    const { body } = await api.get('/v1/status', reader)
    expect(body.data.integrations.map((item: { integration_id: string }) => item.integration_id)).toEqual([ACME])
    expect(body.data.integrations[0].models.map((item: { model: string }) => item.model)).toEqual(['jobs'])
    expect((await api.get('/v1/changes?integration_id=traffit:other', reader)).status).toBe(404)
    expect((await api.get('/v1/changes?model=candidates', reader)).status).toBe(403)
  })

  test('without keys serves this machine, directly and as localhost only', async () => {
    const local = await world.serve()
    expect((await local.get('/v1/status')).status).toBe(200)
    expect(await rawGet(`${local.url}/v1/status`, { host: 'localhost:1' })).toBe(200)
    expect(await rawGet(`${local.url}/v1/status`, { host: 'evil.example' })).toBe(401)
    expect(await rawGet(`${local.url}/v1/status`, { 'x-forwarded-for': '203.0.113.9' })).toBe(401)
  })
})

describe('status', () => {
  test('joins what sources say with what the tables hold', async () => {
    const status = {
      ...noStatus,
      integrations: () => [
        {
          integrationId: ACME,
          source: 'main',
          state: 'ACTIVE',
          streams: [{ stream: 'jobs', models: ['jobs'], state: 'SUCCEEDED', watermark: 1000, details: { pages: 3 } }],
        },
      ],
      services: () => ({ projector: { lag: 0 } }),
    }
    const { body } = await (await world.serve({ status })).get('/v1/status')
    expect(body.data.services).toEqual({ projector: { lag: 0 } })
    const [acme, other] = body.data.integrations
    expect(acme.streams).toEqual([
      { stream: 'jobs', models: ['jobs'], state: 'SUCCEEDED', watermark: '1970-01-01T00:00:01.000Z', pages: 3 },
    ])
    expect(acme.models.find((item: { model: string }) => item.model === 'candidates')).toEqual({
      model: 'candidates',
      records: 2,
      deleted: 0,
      present: 2,
      changes: 2,
      last_changed_at: expect.stringMatching(/Z$/),
    })
    expect(other).toMatchObject({ integration_id: 'traffit:other', source: null, streams: [] })
    expect(body.data.totals.records).toBe(body.data.totals.changes)
  })
})

describe('health', () => {
  test('is not ready while a service says so, and says why', async () => {
    const starting = await world.serve({ status: { ...noStatus, notReady: () => ['the first sync runs'] } })
    const { status, body } = await starting.get('/readyz')
    expect([status, body.error.message]).toEqual([503, 'the first sync runs'])
    expect((await starting.get('/healthz')).status).toBe(200)
  })

  test('is not ready without its database, whose failures are answered with 503', async () => {
    const query = () => Promise.reject(new TidemarkError('STORE_FAILED', 'connection refused to db.internal'))
    const broken = await world.serve({ store: withMethods(world.store, { query }) })
    const answers = await Promise.all(['/readyz', '/v1/status'].map((path) => broken.get(path)))
    for (const { status, body } of answers) {
      expect(status).toBe(503)
      expect(JSON.stringify(body)).not.toContain('db.internal')
    }
  })
})

describe('errors', () => {
  const envelope = {
    status: 'error',
    error: { code: null, title: expect.any(String), message: expect.any(String), log_url: null },
  }

  test('unknown routes are answered in the envelope', async () => {
    for (const path of ['/', '/v1/ats/applications/x/stage', '/v2']) {
      const { status, body } = await api.get(path, all)
      expect([status, body]).toEqual([404, envelope])
    }
  })

  test('other methods are answered with 405 and the one allowed', async () => {
    const response = await post('/v1/ats/jobs', { ...all, 'content-type': 'text/plain' }, 'x')
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET'])
    expect(await response.json()).toEqual(envelope)
    const other = await api.get('/v1/force-sync', all)
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('unexpected failures tell nothing but a request id', async () => {
    const query = () => Promise.reject(new RangeError('secret detail'))
    const broken = await world.serve({ store: withMethods(world.store, { query }) })
    const { status, body } = await broken.get('/v1/status')
    expect([status, body.error.code]).toEqual([500, 'PLATFORM.UNKNOWN_ERROR'])
    expect(body.error.message).not.toContain('secret')
  })
})

describe('force-sync', () => {
  const acme = { ...all, 'x-integration-id': ACME }
  const json = { 'content-type': 'application/json' }
  const commands = async () => {
    const topics = await world.log.listTopics()
    const count = topics.find((topic) => topic.name === COMMANDS_TOPIC)?.partitions ?? 0
    const found = []
    for (let partition = 0; partition < count; partition++) {
      const { records } = await world.log.fetch({ topic: COMMANDS_TOPIC, partition, offset: 0 })
      for (const { value } of records) if (value) found.push(world.deps.codec.decode('Command', value))
    }
    return found
  }

  test('appends one command per kind, with the name of the key', async () => {
    // biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely
    const answers: any[] = []
    for (const body of ['{"type":"FULL"}', '{}', '']) {
      answers.push(await (await post('/v1/force-sync', { ...acme, ...json }, body)).json())
    }
    answers.push(await (await post('/v1/force-sync', { ...acme, ...json }, '{"type":"DELTA"}')).json())
    expect(answers.map(({ data }) => [data.type, data.already_queued])).toEqual([
      ['FULL', false],
      ['FULL', true],
      ['FULL', true],
      ['DELTA', false],
    ])
    const found = await commands()
    expect(found.map(({ kind, actor, integration_id }) => [kind, actor, integration_id])).toEqual([
      ['sync_full', 'all', ACME],
      ['sync_delta', 'all', ACME],
    ])
    expect(found.map(({ id }) => id)).toEqual([answers[0].data.sync_id, answers[3].data.sync_id])
  })

  test('tells how a sync goes, only of integrations that the key may see', async () => {
    const run = {
      syncId: 's1',
      integrationId: ACME,
      kind: 'full',
      state: 'SUCCEEDED',
      startedAt: 0,
      finishedAt: 1000,
      observed: 7,
      failed: 0,
      message: null,
    } as const
    const runs = [run, { ...run, integrationId: 'somebody:else' }]
    const status = { ...noStatus, syncRuns: (id: string) => runs.filter((r) => r.syncId === id) }
    const keys = [{ name: 'one', key: 'only-acme-0123456789', integrations: [ACME] }]
    const served = await world.serve({ status, apiKeys: keys })
    const ask = (id: string) =>
      fetch(`${served.url}/v1/syncs/${id}`, { headers: { authorization: 'Bearer only-acme-0123456789' } })
    expect(await (await ask('s1')).json()).toEqual({
      status: 'success',
      data: {
        results: [
          {
            sync_id: 's1',
            integration_id: ACME,
            kind: 'full',
            state: 'SUCCEEDED',
            observed: 7,
            failed: 0,
            message: null,
            started_at: '1970-01-01T00:00:00.000Z',
            finished_at: '1970-01-01T00:00:01.000Z',
          },
        ],
      },
    })
    const unknown = await ask('s2')
    expect(unknown.status).toBe(404)
    expect(await unknown.json()).toMatchObject({ status: 'error', error: { code: 'TIDEMARK.SYNC_NOT_FOUND' } })
  })

  test('joins the sync that is known to run', async () => {
    const status = { ...noStatus, queuedSync: () => 'run-7' }
    const busy = await world.serve({ status })
    const response = await fetch(`${busy.url}/v1/force-sync`, { method: 'POST', headers: { 'x-integration-id': ACME } })
    expect(await response.json()).toEqual({
      status: 'success',
      data: { already_queued: true, sync_id: 'run-7', type: 'FULL' },
    })
  })

  test.each([
    ['a key that may only read', { ...reader, 'x-integration-id': ACME }, '{}', 403],
    ['no integration', all, '{}', 400],
    ['an unknown integration', { ...all, 'x-integration-id': 'x:y' }, '{}', 404],
    ['another type', acme, '{"type":"SOME"}', 400],
    ['no object', acme, '[1', 400],
  ])('refuses %s', async (_name, headers, body, status) => {
    const before = (await commands()).length
    const response = await post('/v1/force-sync', { ...headers, ...json }, body)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ status: 'error', error: { message: expect.any(String) } })
    expect(await commands()).toHaveLength(before)
  })
})
