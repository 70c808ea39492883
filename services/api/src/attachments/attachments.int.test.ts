import { request as httpRequest } from 'node:http'
import { type ErrorCode, TidemarkError } from '@tidemark/base'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { IntegrationStatus, LiveSource } from '../deps.ts'
import { CV, type FakeAttachments, fakeAttachments, LETTER } from '../testing/attachments.ts'
import { ACME, type Company, makeCompany } from '../testing/company.ts'
import { noStatus, openWorld, type Served, type World } from '../testing/harness.ts'

const apiKeys = [
  { name: 'all', key: 'all', write: true },
  { name: 'candidates', key: 'candidates', models: ['candidates' as const] },
  { name: 'applications', key: 'applications', models: ['applications' as const] },
  { name: 'other', key: 'other', integrations: ['mute:x'] },
]
const integration = (
  integrationId: string,
  source: string,
  more: Partial<IntegrationStatus> = {},
): IntegrationStatus => ({
  ...{ integrationId, source, state: null, streams: [] },
  ...more,
})
const OTHER = 'traffit:other'
const integrations = [
  integration(ACME, 'traffit'),
  integration(OTHER, 'traffit'),
  integration('mute:x', 'mute'),
  integration('away:x', 'elsewhere'),
  integration('new:x', 'traffit', { setup: 'SETUP_SYNC_PENDING' }),
]

let world: World
let api: Served
let id: Company['id']
let fake: FakeAttachments
let deleted: string

/** The source of each test. */
const traffit: LiveSource = {
  connector: 'traffit',
  passthrough: { apis: ['v2'], send: async () => ({ url: '/', status: 200, headers: {}, data: null, warnings: [] }) },
  get attachments() {
    return fake.source.attachments
  },
}
const sources = new Map<string, LiveSource>([
  ['traffit', traffit],
  ['mute', { connector: 'mute', passthrough: undefined }],
])
const status = { ...noStatus, integrations: () => integrations }

beforeAll(async () => {
  world = await openWorld()
  const company = makeCompany(world.maker)
  id = company.id
  const gone = { first_name: 'Boromir', remote_deleted_at: Date.parse('2025-06-02T10:00:00.000Z') }
  const make = world.maker.make.bind(world.maker)
  deleted = world.maker.idOf(ACME, 'candidates', 'gone')
  const others = [
    make(ACME, 'candidates', 'gone', gone),
    make(OTHER, 'candidates', 'c9', { first_name: 'Merry' }),
    ...['mute:x', 'away:x', 'new:x'].map((each) => make(each, 'candidates', 'c1', { first_name: 'Pippin' })),
  ]
  await world.fill([...company.changes, ...others], 0)
  api = await world.serve({ apiKeys, sources, status })
})
afterAll(() => world.close())
beforeEach(() => {
  fake = fakeAttachments()
})

interface Asked {
  readonly key?: string
  readonly integrationId?: string | null
  readonly url?: string
}

function ask(path: string, { key = 'all', integrationId = ACME, url = api.url }: Asked = {}) {
  const own = integrationId === null ? {} : { 'x-integration-id': integrationId }
  return get(`${url}/v1/ats/${path}`, { authorization: `Bearer ${key}`, ...own })
}

async function get(url: string, headers: Record<string, string>) {
  const response = await fetch(url, { headers })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json')
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
}

const path = (model: 'candidates' | 'applications' = 'candidates', remote = model === 'candidates' ? 'c1' : 'a1') =>
  `${model}/${id(model, remote)}/attachments`

describe('attachments of a record', () => {
  test("are a candidate's, in Kombo's words", async () => {
    const { status, headers, body } = await ask(path())
    expect(status).toBe(200)
    const c1 = id('candidates', 'c1')
    const content = `${api.url}/v1/ats/candidates/${c1}/attachments/${CV.id}/content?integration_id=traffit%3Aacme`
    expect(body).toEqual({
      status: 'success',
      data: {
        results: [
          {
            ...{
              id: CV.id,
              application_id: null,
              candidate_id: c1,
              type: 'CV',
              remote_id: '145698',
              data_url: content,
            },
            ...{
              file_name: 'cv.pdf',
              content_type: 'application/pdf',
              remote_created_at: null,
              remote_updated_at: null,
            },
          },
          {
            ...{ id: LETTER.id, application_id: 'some-application', candidate_id: c1, type: 'COVER_LETTER' },
            ...{ remote_id: '145699', data_url: 'https://files.example/1?a=b', file_name: 'letter.txt' },
            ...{ content_type: 'text/plain', remote_created_at: '2025-06-01T10:00:00.123Z' },
            remote_updated_at: '1970-01-01T00:00:00.000Z',
          },
        ],
      },
      warnings: [{ message: 'careful' }],
    })
    expect([headers.get('concurrency-limit'), headers.get('concurrency-remaining')]).toEqual(['10', '9'])
    expect(fake.asked).toMatchObject([{ integrationId: ACME, model: 'candidates', id: c1, remoteKey: 'c1' }])
  })

  test("are an application's, without what says whose", async () => {
    const { body } = await ask(path('applications'))
    expect(Object.keys(body.data.results[0])).not.toContain('candidate_id')
    expect(Object.keys(body.data.results[0])).not.toContain('application_id')
    expect(body.data.results[0].data_url).toContain(`/v1/ats/${path('applications')}/${CV.id}/content`)
    expect(fake.asked).toMatchObject([{ model: 'applications', remoteKey: 'a1' }])
  })

  test('are had under the public address, where one is configured', async () => {
    const behind = await world.serve({
      apiKeys,
      sources,
      status,
      options: { publicUrl: 'https://ats.example/tidemark/' },
    })
    const { body } = await ask(path(), { url: behind.url })
    expect(body.data.results[0].data_url).toMatch(/^https:\/\/ats\.example\/tidemark\/v1\/ats\/candidates\//)
  })

  test('of what is unknown, deleted, of another integration or gone at the provider are refused alike', async () => {
    const refused = async (record: string) => {
      const { status, body } = await ask(`candidates/${record}/attachments`)
      return [status, body.error.code, body.error.message.replace(record, '<id>')]
    }
    const unknown = await refused('2'.repeat(24))
    expect(unknown.slice(0, 2)).toEqual([404, 'PLATFORM.INPUT_INVALID'])
    expect(await refused(deleted)).toEqual(unknown)
    expect(await refused(world.maker.idOf(OTHER, 'candidates', 'c9'))).toEqual(unknown)
    expect(await refused(id('applications', 'a1'))).toEqual(unknown)
    expect(fake.asked).toEqual([])
    fake.list = async () => null
    expect(await refused(id('candidates', 'c1'))).toEqual(unknown)
  })

  test.each([
    ['wrong', ACME, 401, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['other', ACME, 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['all', 'traffit:nobody', 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['all', null, 400, 'PLATFORM.INPUT_INVALID'],
    ['applications', ACME, 403, 'INTEGRATION.MODEL_DISABLED'],
    ['all', 'new:x', 409, 'INTEGRATION.SETUP_SYNC_PENDING'],
    ['all', 'mute:x', 400, 'INTEGRATION.MODEL_NOT_AVAILABLE'],
    ['all', 'away:x', 501, 'PLATFORM.UNKNOWN_ERROR'],
  ])('are refused for the key %s and the integration %s', async (key, integrationId, status, code) => {
    const record = world.maker.idOf(integrationId ?? ACME, 'candidates', 'c1')
    for (const below of ['', `/${CV.id}/content`]) {
      const answer = await ask(`candidates/${record}/attachments${below}`, { key, integrationId })
      expect([answer.status, answer.body.error.code]).toEqual([status, code])
    }
    expect(fake.asked).toEqual([])
  })

  test('go by the model of the key', async () => {
    expect((await ask(path(), { key: 'candidates' })).status).toBe(200)
    expect((await ask(path('applications'), { key: 'candidates' })).status).toBe(403)
    expect((await ask(path('applications'), { key: 'applications' })).status).toBe(200)
  })

  test.each([
    ['REQUEST_INVALID', {}, 400, 'PLATFORM.INPUT_INVALID'],
    ['PROVIDER_AUTHENTICATION', { status: 401 }, 409, 'INTEGRATION.AUTHENTICATION_INVALID'],
    ['PROVIDER_REFUSED', { status: 403 }, 403, 'INTEGRATION.PERMISSION_MISSING'],
    ['PROVIDER_REFUSED', { status: 400 }, 502, 'REMOTE.UNKNOWN_HTTP_ERROR'],
    ['PROVIDER_RATE_LIMITED', {}, 429, 'REMOTE.RATE_LIMIT_EXCEEDED'],
    ['PROVIDER_UNAVAILABLE', {}, 502, 'REMOTE.SERVICE_UNAVAILABLE'],
    ['PROVIDER_NOT_READY', {}, 502, 'REMOTE.SERVICE_UNAVAILABLE'],
    ['PROVIDER_ANSWER_INVALID', {}, 502, 'REMOTE.UNKNOWN_HTTP_ERROR'],
  ] as const)('tell of %s %j what the source says', async (thrown: ErrorCode, fields, status, code) => {
    fake.list = async () => {
      throw new TidemarkError(thrown, 'what happened', { fields })
    }
    const { status: told, body } = await ask(path())
    expect([told, body.error.code, body.error.message]).toEqual([status, code, 'what happened'])
  })

  test('keep what nobody foresaw to themselves', async () => {
    fake.list = async () => {
      throw new RangeError('internals')
    }
    const { status, body } = await ask(path())
    expect([status, JSON.stringify(body).includes('internals')]).toEqual([500, false])
  })

  test('are given up after their time, and when the client is gone', async () => {
    let aborted = 0
    const begun = Promise.withResolvers<void>()
    fake.list = ({ signal }) => {
      begun.resolve()
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted++
          reject(signal.reason)
        })
      })
    }
    const quick = await world.serve({ apiKeys, sources, status, options: { providerMs: 50 } })
    const late = await ask(path(), { url: quick.url })
    expect([late.status, late.body.error.code, aborted]).toEqual([504, 'PLATFORM.TASK_TIMED_OUT', 1])
    const headers = { authorization: 'Bearer all', 'x-integration-id': ACME }
    const client = httpRequest(`${api.url}/v1/ats/${path()}`, { headers })
    client.on('error', () => undefined)
    client.end()
    await expect.poll(() => fake.asked.length).toBe(2)
    client.destroy()
    await expect.poll(() => aborted).toBe(2)
  })

  test('share the slots of an integration with passthrough, and give them back', async () => {
    const gate = Promise.withResolvers<void>()
    fake.list = async () => {
      await gate.promise
      return { attachments: [], warnings: [] }
    }
    const running = Array.from({ length: 10 }, () => ask(path()))
    await expect.poll(() => fake.asked.length).toBe(10)
    const more = await ask(path())
    expect([more.status, more.body.error.code]).toEqual([429, 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED'])
    expect(more.headers.get('concurrency-remaining')).toBe('0')
    const pass = async (integrationId: string): Promise<number> => {
      const headers = {
        authorization: 'Bearer all',
        'x-integration-id': integrationId,
        'content-type': 'application/json',
      }
      const body = JSON.stringify({ method: 'GET', path: '/' })
      return (await fetch(`${api.url}/v1/passthrough/traffit/v2`, { method: 'POST', headers, body })).status
    }
    expect([await pass(ACME), await pass(OTHER)]).toEqual([429, 200])
    gate.resolve()
    expect((await Promise.all(running)).map((answer) => answer.status)).toEqual(Array(10).fill(200))
    await expect.poll(async () => (await ask(path())).headers.get('concurrency-remaining')).toBe('9')
    expect(await pass(ACME)).toBe(200)
  })

  test('take no query and no other method', async () => {
    expect((await ask(`${path()}?page_size=1`)).status).toBe(400)
    const response = await fetch(`${api.url}/v1/ats/${path()}`, {
      method: 'POST',
      headers: { authorization: 'Bearer all' },
    })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET'])
  })
})

describe('restrictions of attachments', () => {
  const CREATE = 'actions/ats_create_candidate'

  test('are what the source knows', async () => {
    const types = {
      CV: { is_supported: false },
      COVER_LETTER: { is_supported: false },
      OTHER: { is_supported: false },
    } as const
    fake.restrictions = async ({ action }) =>
      action === 'ats_create_candidate' ? { total_size_bytes: 7, types } : null
    const { status, body } = await ask(CREATE)
    expect([status, body]).toEqual([
      200,
      { status: 'success', data: { attachment_restrictions: { total_size_bytes: 7, types } }, warnings: [] },
    ])
    expect((await ask('actions/ats_add_candidate_attachment')).body.data).toEqual({ attachment_restrictions: null })
  })

  test('are null where the source knows none, and refused where nobody can be asked', async () => {
    expect((await ask(CREATE, { integrationId: 'mute:x' })).body.data).toEqual({ attachment_restrictions: null })
    expect((await ask(CREATE, { integrationId: 'away:x' })).status).toBe(501)
    expect((await ask(CREATE, { integrationId: 'new:x' })).status).toBe(409)
    expect((await ask(CREATE, { key: 'other' })).status).toBe(404)
    const { status, body } = await ask('actions/ats_reject_application')
    expect([status, body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    expect(body.error.message).toContain('ats_create_application')
  })
})
