import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { IntegrationStatus } from '../deps.ts'
import { ACME, makeCompany } from '../testing/company.ts'
import { noStatus, openWorld, type Served, type World } from '../testing/harness.ts'

let world: World
let api: Served
const stream = (name: string, models: readonly string[]) => ({ stream: name, models, state: 'IDLE', watermark: null })
const integrations: IntegrationStatus[] = [
  {
    integrationId: ACME,
    source: 'main',
    state: 'ACTIVE',
    streams: [stream('jobs', ['jobs', 'job-postings', 'job-stages']), stream('candidates', ['candidates'])],
  },
  { integrationId: 'greenhouse:b', source: 'main', state: 'ACTIVE', streams: [stream('jobs', ['jobs'])] },
]
const all = { authorization: 'Bearer all-key' }
const reader = { authorization: 'Bearer reader-key' }

beforeAll(async () => {
  world = await openWorld()
  await world.fill(makeCompany(world.maker).changes)
  await world.fill([world.maker.make('lever:left', 'jobs', '1', { name: 'Nobody reads it any more' })])
  const apiKeys = [
    { name: 'all', key: 'all-key' },
    { name: 'reader', key: 'reader-key', integrations: [ACME], models: ['jobs' as const] },
  ]
  api = await world.serve({ apiKeys, status: { ...noStatus, integrations: () => integrations } })
})
afterAll(() => world.close())

interface Model {
  readonly id: string
  readonly is_available: boolean
  readonly fields: readonly { readonly id: string }[]
}

describe('check-api-key', () => {
  test('names the key', async () => {
    const { body } = await api.get('/v1/check-api-key', reader)
    expect(body).toEqual({ status: 'success', data: { environment_id: 'reader' } })
  })

  test('refuses a key that is not known', async () => {
    const { status, body } = await api.get('/v1/check-api-key', { authorization: 'Bearer other' })
    expect([status, body.error.code]).toEqual([401, 'PLATFORM.AUTHENTICATION_INVALID'])
  })

  test('answers this machine where no keys are configured', async () => {
    const { body } = await (await world.serve()).get('/v1/check-api-key')
    expect(body.data).toEqual({ environment_id: 'local' })
  })
})

describe('an integration', () => {
  test("has every key of Kombo's answer", async () => {
    const { body } = await api.get(`/v1/integrations/${encodeURIComponent(ACME)}`, all)
    const { read_models, tool, ...rest } = body.data
    expect(rest).toEqual({
      id: ACME,
      category: 'ATS',
      status: 'ACTIVE',
      setup_status: 'COMPLETED',
      end_user: { organization_name: 'acme', creator_email: null, origin_id: null },
      scope_config: { id: 'all', name: 'all' },
      data_expired_at: null,
      created_at: expect.stringMatching(/^2026-03-01T09:00:\d\d\.000Z$/),
      beta: false,
      write_actions: [],
    })
    expect(tool).toEqual({
      id: 'traffit',
      label: 'TRAFFIT',
      internal_label: null,
      logo_url: expect.stringMatching(/^data:image\/svg\+xml,/),
      icon_url: expect.stringMatching(/^data:image\/svg\+xml,/),
    })
    expect(read_models.map((model: Model) => [model.id, model.is_available]).slice(0, 4)).toEqual([
      ['ats_jobs', true],
      ['ats_job_postings', true],
      ['ats_candidates', true],
      ['ats_applications', false],
    ])
    expect(read_models[0]).toMatchObject({
      label: 'Jobs',
      coverage_status: 'SUPPORTED',
      scope_config_setting: 'ENABLED',
      opted_out_by_customer: false,
    })
    const field = { is_available: true, coverage_status: 'UNKNOWN', scope_config_setting: 'ENABLED' }
    expect(read_models[0].fields).toContainEqual({ id: 'salary_amount', ...field, opted_out_by_customer: false })
  })

  test('shows a restricted key only the models it may read', async () => {
    const { body } = await api.get(`/v1/integrations/${ACME}`, reader)
    expect(body.data.read_models.map((model: Model) => model.id)).toEqual(['ats_jobs'])
  })

  test('that nobody reads any more is inactive', async () => {
    const { body } = await api.get('/v1/integrations/lever:left', all)
    expect(body.data).toMatchObject({ status: 'INACTIVE', setup_status: 'COMPLETED', tool: { label: 'Lever' } })
    expect(body.data.read_models.every((model: Model) => !model.is_available)).toBe(true)
  })

  test('out of scope is answered as one that does not exist', async () => {
    const [foreign, unknown] = await Promise.all(
      ['greenhouse:b', 'nobody:knows'].map((id) => api.get(`/v1/integrations/${id}`, reader)),
    )
    expect(foreign?.status).toBe(404)
    expect(foreign?.body.error.code).toBe('PLATFORM.INTEGRATION_NOT_FOUND')
    const text = (answer: typeof foreign): string => JSON.stringify([answer?.status, answer?.body])
    expect(text(foreign).replace('greenhouse:b', 'X')).toBe(text(unknown).replace('nobody:knows', 'X'))
  })

  test.each([
    [{ setup: 'SETUP_SYNC_PENDING' }, 'ACTIVE', 'FINAL_SYNC_PENDING'],
    [{ setup: 'SETUP_INCOMPLETE' }, 'ACTIVE', 'INCOMPLETE'],
    [{ setup: 'QA_FAILED' }, 'ACTIVE', 'INCOMPLETE'],
    [{ setup: 'INACTIVE' }, 'INACTIVE', 'COMPLETED'],
    [{ connection: 'INVALID' }, 'INVALID', 'COMPLETED'],
    [{ connection: 'INACTIVE' }, 'INACTIVE', 'COMPLETED'],
    [{ setup: 'SETUP_SYNC_PENDING', connection: 'INVALID' }, 'INVALID', 'FINAL_SYNC_PENDING'],
  ] as const)('%j is status %s and setup_status %s', async (state, status, setup) => {
    const known = integrations.map((integration) => ({ ...integration, ...state }))
    const served = await world.serve({ status: { ...noStatus, integrations: () => known } })
    const { body } = await served.get(`/v1/integrations/${ACME}`)
    expect([body.data.status, body.data.setup_status]).toEqual([status, setup])
    await served.close()
  })

  test('without a record was created now, as far as anybody knows', async () => {
    const { body } = await api.get('/v1/integrations/greenhouse:b', all)
    expect(Math.abs(Date.parse(body.data.created_at) - Date.now())).toBeLessThan(60_000)
  })
})

describe('tools', () => {
  // biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely
  const tools = async (headers: Record<string, string>): Promise<any[]> =>
    (await api.get('/v1/tools/ats', headers)).body.data.tools

  test('are the known ones and those of the integrations, with what they read', async () => {
    const list = await tools(all)
    expect(list.map(({ id, label }) => [id, label])).toEqual([
      ['greenhouse', 'Greenhouse'],
      ['hrworks', 'HR WORKS'],
      ['traffit', 'TRAFFIT'],
    ])
    const [greenhouse] = list
    expect(Object.keys(greenhouse).sort()).toEqual([
      'assets',
      'connection_guide_url',
      'coverage',
      'fast_track_details_markdown',
      'id',
      'internal_label',
      'label',
      'paid_api_details_markdown',
      'partner_only_details_markdown',
    ])
    expect(Object.keys(greenhouse.assets).sort()).toEqual(['icon_black_url', 'icon_url', 'logo_url'])
    const [jobs, postings] = greenhouse.coverage.read_models
    expect(jobs).toMatchObject({ id: 'ats_jobs', label: 'Jobs', coverage_status: 'SUPPORTED' })
    expect(jobs.fields).toContainEqual({ id: 'name', coverage_status: 'UNKNOWN' })
    expect(postings).toMatchObject({ id: 'ats_job_postings', coverage_status: 'UNKNOWN' })
  })

  test('do not tell of integrations or models out of scope', async () => {
    const list = await tools(reader)
    expect(list.map(({ id }) => id)).toEqual(['hrworks', 'traffit'])
    for (const { coverage } of list) {
      expect(coverage.read_models.map((model: Model) => model.id)).toEqual(['ats_jobs'])
    }
  })

  test.each(['hris', 'assessment', 'lms'])('of the category %s are none', async (category) => {
    const { status, body } = await api.get(`/v1/tools/${category}`, all)
    expect([status, body]).toEqual([200, { status: 'success', data: { tools: [] } }])
  })

  test('of a category that does not exist are refused with those that do', async () => {
    const { status, body } = await api.get('/v1/tools/crm', all)
    expect([status, body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    expect(body.error.message).toContain('hris, ats, assessment, lms')
  })
})

test("a tool's pictures hold its name, whatever it is", async () => {
  const integration = { integrationId: '<b>&"\u{1F600}\ud800:x', source: 's', state: null, streams: [] }
  const served = await world.serve({ status: { ...noStatus, integrations: () => [integration] } })
  const { body } = await served.get('/v1/tools/ats')
  const [tool] = body.data.tools
  expect(decodeURIComponent(tool.assets.logo_url)).toContain('&#60;b&#62;&#38;&#34;\u{1F600}')
})
