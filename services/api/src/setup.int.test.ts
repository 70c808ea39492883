import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENDPOINTS } from './ats/endpoints.ts'
import type { IntegrationStatus } from './deps.ts'
import { ACME, makeCompany } from './testing/company.ts'
import { noStatus, openWorld, type Served, type World } from './testing/harness.ts'

let world: World
let id: string
const headers = { 'x-integration-id': ACME }
const known: IntegrationStatus = { integrationId: ACME, source: 'main', state: 'ACTIVE', streams: [] }
const SETUPS = ['SETUP_SYNC_PENDING', 'SETUP_INCOMPLETE', 'QA_FAILED', 'INACTIVE'] as const

beforeAll(async () => {
  world = await openWorld()
  const company = makeCompany(world.maker)
  id = company.id('jobs', 'j1')
  await world.fill(company.changes)
})
afterAll(() => world.close())

const serve = (state: Partial<IntegrationStatus>): Promise<Served> =>
  world.serve({ status: { ...noStatus, integrations: () => [{ ...known, ...state }] } })

describe.each(SETUPS)('an integration that is %s', (setup) => {
  test('refuses every listing with 409, what to do and where to look', async () => {
    const api = await serve({ setup })
    for (const path of Object.keys(ENDPOINTS)) {
      const { status, body } = await api.get(`/v1/ats/${path}`, headers)
      expect(status).toBe(409)
      expect(body).toEqual({
        status: 'error',
        error: {
          code: `INTEGRATION.${setup}`,
          title: expect.any(String),
          message: expect.stringMatching(/"traffit:acme" .*\. .*\/v1\/status/),
          log_url: null,
        },
      })
    }
  })

  test('shows its records, history and status all the same', async () => {
    const api = await serve({ setup })
    expect((await api.get(`/v1/records/jobs/${id}`)).status).toBe(200)
    expect((await api.get(`/v1/records/jobs/${id}/history`)).status).toBe(200)
    const { body } = await api.get('/v1/status')
    const connection = setup === 'INACTIVE' ? 'INACTIVE' : 'ACTIVE'
    expect(body.data.integrations[0]).toMatchObject({ integration_id: ACME, setup, connection })
  })
})

describe('an integration that is ready', () => {
  test.each(['ACTIVE', 'INVALID', 'INACTIVE'] as const)('is read while its connection is %s', async (connection) => {
    const failing = { stream: 'jobs', models: ['jobs'], state: 'FAILED', watermark: 1 }
    const api = await serve({ setup: 'READY', connection, state: 'FAILED', streams: [failing] })
    const { status, body } = await api.get('/v1/ats/jobs', headers)
    expect([status, body.data.results.length]).toEqual([200, 2])
    const { body: shown } = await api.get('/v1/status')
    expect(shown.data.integrations[0]).toMatchObject({ setup: 'READY', connection })
  })

  test('is what one is of which nothing is said', async () => {
    const api = await serve({})
    expect((await api.get('/v1/ats/jobs', headers)).status).toBe(200)
    const { body } = await api.get('/v1/status')
    expect(body.data.integrations[0]).toMatchObject({ setup: 'READY', connection: 'ACTIVE' })
  })

  test('can be read when no source tells of it any more', async () => {
    const api = await world.serve()
    expect((await api.get('/v1/ats/jobs', headers)).status).toBe(200)
    const { body } = await api.get('/v1/status')
    expect(body.data.integrations[0]).toMatchObject({ source: null, setup: 'READY', connection: 'INACTIVE' })
  })
})

test('whether an integration is ready is told only to those who may see it', async () => {
  const status = { ...noStatus, integrations: () => [{ ...known, setup: 'QA_FAILED' as const }] }
  const api = await world.serve({ status, apiKeys: [{ name: 'other', key: 'k', integrations: ['x:y'] }] })
  const { status: code, body } = await api.get('/v1/ats/jobs', { ...headers, authorization: 'Bearer k' })
  expect([code, body.error.code]).toEqual([404, 'PLATFORM.INTEGRATION_NOT_FOUND'])
})

test('a sync can be asked for before an integration is ready', async () => {
  const api = await serve({ setup: 'SETUP_SYNC_PENDING' })
  const response = await fetch(`${api.url}/v1/force-sync`, { method: 'POST', headers })
  expect(response.status).toBe(200)
})
