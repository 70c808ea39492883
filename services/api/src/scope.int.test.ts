import fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashApiKey } from './auth.ts'
import type { IntegrationStatus, SyncRun } from './deps.ts'
import { registerApi } from './index.ts'
import { ACME, type Company, makeCompany } from './testing/company.ts'
import { openFeed } from './testing/events.ts'
import { noStatus, openWorld, type Served, type World } from './testing/harness.ts'

const OTHER = 'greenhouse:other'
const NOBODY = 'nobody:knows'
const narrow = { authorization: 'Bearer narrow' }
const jobsOnly = { authorization: 'Bearer jobs' }
const keys = [
  { name: 'narrow', key: 'narrow', integrations: [ACME], write: true },
  { name: 'jobs', key: 'jobs', integrations: [ACME], models: ['jobs' as const] },
  { name: 'models', key: 'models', models: [] },
]

const streams = ['jobs', 'candidates'].map((model) => ({ stream: model, models: [model], state: 'IDLE', watermark: 1 }))
const integration = (integrationId: string): IntegrationStatus => ({ integrationId, source: 's', state: 'x', streams })
const run = (syncId: string, integrationId: string): SyncRun => ({
  syncId,
  integrationId,
  kind: 'full',
  state: 'SUCCEEDED',
  startedAt: 0,
  finishedAt: 1,
  observed: 1,
  failed: 0,
  message: null,
})
const runs = [run('ours', ACME), run('theirs', OTHER), run('both', ACME), run('both', OTHER)]
const row = (integration_id: string) => ({ integration_id, sync_id: 'x' })
const status = {
  ...noStatus,
  integrations: () => [integration(ACME), integration(OTHER)],
  syncRuns: (id: string) => runs.filter(({ syncId }) => syncId === id),
  services: () => ({
    syncs: { runs: [row(ACME), row(OTHER)] },
    'diff-processor': { lag: 7, partitions: [{ partition: 0, lag: 7, error: `${OTHER}/jobs/1 is broken` }] },
    projector: { state: 'failed', lag: 1, error: { code: 'INTERNAL', message: `${OTHER}/jobs/1` } },
  }),
}

let world: World
let api: Served
let ours: Company
let theirs: Company

beforeAll(async () => {
  world = await openWorld()
  ours = makeCompany(world.maker)
  theirs = makeCompany(world.maker, OTHER)
  await world.append(...ours.changes, ...theirs.changes)
  await world.fill([...ours.changes, ...theirs.changes])
  api = await world.serve({ apiKeys: keys, status })
})
afterAll(() => world.close())

describe('what is out of scope is answered as what does not exist:', () => {
  const same = async (path: (id: string) => string, headers: (id: string) => Record<string, string>) => {
    const answers = await Promise.all(
      [OTHER, NOBODY].map(async (id) => {
        const answer = await api.get(path(id), { ...narrow, ...headers(id) })
        return { status: answer.status, text: JSON.stringify(answer.body).replaceAll(id, 'X') }
      }),
    )
    expect(answers[0]?.status).toBe(404)
    expect(answers[0]).toEqual(answers[1])
  }
  const none = (): Record<string, string> => ({})
  const header = (id: string): Record<string, string> => ({ 'x-integration-id': id })

  test('a listing', () => same(() => '/v1/ats/jobs', header))
  test('the details of an integration', () => same((id) => `/v1/integrations/${id}`, none))
  test('a feed', () => same((id) => `/v1/changes?integration_id=${id}`, none))
  test('a record with its integration', () => same(() => `/v1/records/jobs/${theirs.id('jobs', 'j1')}`, header))

  test.each(['', '/history'])('a record by its id%s', async (suffix) => {
    const answers = await Promise.all(
      [theirs.id('jobs', 'j1'), 'j'.repeat(24)].map(async (id) => {
        const answer = await api.get(`/v1/records/jobs/${id}${suffix}`, narrow)
        return { status: answer.status, text: JSON.stringify(answer.body).replaceAll(id, 'X') }
      }),
    )
    expect(answers[0]?.status).toBe(404)
    expect(answers[0]).toEqual(answers[1])
  })

  test('a sync', async () => {
    const answers = await Promise.all(['theirs', 'unknown'].map((id) => api.get(`/v1/syncs/${id}`, narrow)))
    expect(answers.map((answer) => answer.status)).toEqual([404, 404])
    const [text, unknown] = answers.map(({ body }) => JSON.stringify(body))
    expect(text?.replace('theirs', 'X')).toBe(unknown?.replace('unknown', 'X'))
    const { body } = await api.get('/v1/syncs/both', narrow)
    expect(body.data.results.map((found: { integration_id: string }) => found.integration_id)).toEqual([ACME])
  })

  test('a sync that is asked for', async () => {
    const answers = await Promise.all(
      [OTHER, NOBODY].map(async (id) => {
        const headers = { ...narrow, 'x-integration-id': id }
        const response = await fetch(`${api.url}/v1/force-sync`, { method: 'POST', headers })
        return { status: response.status, text: (await response.text()).replaceAll(id, 'X') }
      }),
    )
    expect(answers[0]?.status).toBe(404)
    expect(answers[0]).toEqual(answers[1])
  })
})

describe('a model out of scope', () => {
  test.each(['/v1/ats/candidates', '/v1/records/candidates/x', '/v1/records/candidates/x/history'])(
    'is refused with 403, whatever is asked: %s',
    async (path) => {
      const answer = await api.get(path, { ...jobsOnly, 'x-integration-id': ACME })
      expect([answer.status, answer.body.error.code]).toEqual([403, 'INTEGRATION.MODEL_DISABLED'])
      const existing = path.replace('/x', `/${ours.id('candidates', 'c1')}`)
      const other = await api.get(existing, { ...jobsOnly, 'x-integration-id': ACME })
      expect(other.body).toEqual(answer.body)
    },
  )

  test('is as if it had no records to the filters of others, now and in the past', async () => {
    const all = ['applications', 'jobs', 'candidates'] as const
    const apiKeys = [
      { name: 'all', key: 'all', models: [...all] },
      { name: 'own', key: 'own', models: ['applications' as const] },
    ]
    const moved = world.maker.make(ACME, 'candidates', 'c1', { first_name: 'Frodo', last_name: 'of the Nine Fingers' })
    await world.fill([moved])
    const at = (ms: number): string => new Date(moved.change.changed_at + ms).toISOString()
    const served = await world.serve({ apiKeys })
    const count = async (key: string, query: string): Promise<number> => {
      const headers = { authorization: `Bearer ${key}`, 'x-integration-id': ACME }
      const { status, body } = await served.get(`/v1/ats/applications?${query}`, headers)
      expect([status, body]).toEqual([200, expect.anything()])
      return body.data.results.length
    }
    const asOf = `&as_of=${at(1)}`
    for (const past of ['', asOf]) {
      const byJob = `job_remote_ids=j1${past}`
      expect([await count('all', byJob), await count('own', byJob)]).toEqual([1, 0])
    }
    const since = `updated_after=${at(0)}${asOf}`
    expect([await count('all', since), await count('own', since)]).toEqual([1, 0])
  })

  test('gives no names to the feed either', async () => {
    const apiKeys = [{ name: 'a', key: 'a', models: ['applications' as const] }]
    const served = await world.serve({ apiKeys })
    const url = `${served.url}/v1/changes?from=earliest&display=true&integration_id=${ACME}`
    const restricted = await openFeed(url, { authorization: 'Bearer a' })
    const shown = (await restricted.read(2)).map(({ data }) => data.display)
    restricted.close()
    expect(JSON.stringify(shown)).not.toMatch(/Frodo|Backend/)
    const ids = `${ours.id('candidates', 'c1')} / ${ours.id('jobs', 'j1')}`
    expect(shown.map(({ title }) => title)).toContain(ids)
    const unrestricted = await world.serve({ apiKeys: [{ name: 'all', key: 'all' }] })
    const open = await openFeed(`${unrestricted.url}/v1/changes?from=earliest&display=true&model=applications`, {
      authorization: 'Bearer all',
    })
    const events = await open.read(2)
    open.close()
    expect(events.map(({ data }) => data.display.title)).toContain('Frodo Baggins / Backend Engineer')
  })
})

describe('the status', () => {
  test('of a restricted key tells of its integrations and models, and figures of the services', async () => {
    const { body } = await api.get('/v1/status', jobsOnly)
    expect(body.data.integrations.map((item: { integration_id: string }) => item.integration_id)).toEqual([ACME])
    const [acme] = body.data.integrations
    expect(acme.streams.map((found: { stream: string }) => found.stream)).toEqual(['jobs'])
    expect(acme.models.map((found: { model: string }) => found.model)).toEqual(['jobs'])
    expect(body.data.totals.records).toBe(2)
    expect(body.data.services).toEqual({
      syncs: { runs: [row(ACME)] },
      'diff-processor': { lag: 7, partitions: [] },
      projector: { state: 'failed', lag: 1 },
    })
    expect(JSON.stringify(body)).not.toContain(OTHER)
  })

  test('of a key for every integration tells all of the services', async () => {
    const { body } = await api.get('/v1/status', { authorization: 'Bearer models' })
    expect(body.data.services).toEqual(status.services())
    expect(body.data.totals.records).toBe(0)
  })
})

describe('what concerns everything', () => {
  test('is refused to a key for some integrations: metrics', async () => {
    const refused = await api.get('/metrics', narrow)
    expect([refused.status, refused.body.error.code]).toEqual([403, 'PLATFORM.AUTHENTICATION_INVALID'])
    expect((await api.get('/metrics', { authorization: 'Bearer models' })).status).toBe(200)
  })

  test('is refused to any restricted key: what the composition adds', async () => {
    const app = fastify()
    const all = { name: 'all', key: 'all' }
    const apiKeys = [all, ...keys].map(({ key, ...rest }) => ({ ...rest, hash: hashApiKey(key) }))
    registerApi(app, { ...world.deps, apiKeys }, (more) => more.post('/v1/everything', () => ({ done: true })))
    const ask = async (key: string): Promise<number> => {
      const headers = { authorization: `Bearer ${key}` }
      return (await app.inject({ method: 'POST', url: '/v1/everything', headers })).statusCode
    }
    expect([await ask('all'), await ask('narrow'), await ask('models'), await ask('x')]).toEqual([200, 403, 403, 401])
    await app.close()
  })
})
