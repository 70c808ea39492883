import { Kombo } from '@kombo-api/sdk'
import { KomboGeneralError } from '@kombo-api/sdk/models/errors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { IntegrationStatus, LiveSource } from '../deps.ts'
import { ACME, makeCompany } from '../testing/company.ts'
import { noStatus, openWorld, type Served, type World } from '../testing/harness.ts'

let world: World
let api: Served
const streams = [{ stream: 'jobs', models: ['jobs'], state: 'IDLE', watermark: null }]
const integrations: IntegrationStatus[] = [
  { integrationId: ACME, source: 's', state: null, streams },
  { integrationId: 'lever:new', source: 's', state: null, streams, setup: 'SETUP_SYNC_PENDING' },
]
/** Answers with what it was asked. */
const passing: LiveSource = {
  connector: 'kombo',
  passthrough: {
    apis: null,
    async send({ tool, api, request: { method, path, data } }) {
      const said = { tool, api, method, data }
      return {
        url: `https://native.example${path}`,
        status: 422,
        headers: { a: 'b' },
        data: said,
        warnings: ['careful'],
      }
    },
  },
}
const apiKeys = [
  { name: 'test', key: 'secret', write: true },
  { name: 'narrow', key: 'narrow', integrations: [ACME] },
]
const client = (key = 'secret', integrationId = ACME, url = api.url) =>
  new Kombo({ api_key: key, integration_id: integrationId, server_url: `${url}/v1` })

beforeAll(async () => {
  world = await openWorld()
  await world.fill(makeCompany(world.maker).changes)
  const sources = new Map([['s', passing]])
  api = await world.serve({ apiKeys, sources, status: { ...noStatus, integrations: () => integrations } })
})
afterAll(() => world.close())

async function refusal(call: Promise<unknown>): Promise<[number, string | null]> {
  const error: unknown = await call.catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(KomboGeneralError)
  const { statusCode, error: told } = error as KomboGeneralError
  expect(told).toMatchObject({ message: expect.any(String), log_url: null })
  return [statusCode, told.code]
}

describe("Kombo's official SDK, pointed here,", () => {
  test('checks a key', async () => {
    expect((await client().general.checkApiKey()).data).toEqual({ environment_id: 'test' })
    const wrong = client('wrong').general.checkApiKey()
    expect(await refusal(wrong)).toEqual([401, 'PLATFORM.AUTHENTICATION_INVALID'])
  })

  test.each([
    ['ats', ['hrworks', 'lever', 'traffit']],
    ['hris', []],
    ['assessment', []],
    ['lms', []],
  ] as const)('lists the tools of %s', async (category, expected) => {
    const { data } = await client().general.getTools({ category })
    expect(data.tools.map(({ id }) => id)).toEqual(expected)
    for (const { coverage } of data.tools) expect(coverage.read_models).not.toEqual([])
    expect(await refusal(client('wrong').general.getTools({ category }))).toEqual([
      401,
      'PLATFORM.AUTHENTICATION_INVALID',
    ])
  })

  test('reads the details of an integration', async () => {
    const { data } = await client().general.getIntegrationDetails({ integration_id: ACME })
    expect(data).toMatchObject({ id: ACME, category: 'ATS', status: 'ACTIVE', setup_status: 'COMPLETED' })
    expect(data.created_at).toBeInstanceOf(Date)
    const pending = await client().general.getIntegrationDetails({ integration_id: 'lever:new' })
    expect(pending.data.setup_status).toBe('FINAL_SYNC_PENDING')
  })

  test.each([
    ['unknown', 'x:y'],
    ['out of scope', 'lever:new'],
  ])('understands that an integration is %s', async (_name, integration_id) => {
    const details = client('narrow').general.getIntegrationDetails({ integration_id })
    expect(await refusal(details)).toEqual([404, 'PLATFORM.INTEGRATION_NOT_FOUND'])
  })

  test('asks for a sync, once, also before the first one is complete', async () => {
    const first = await client().general.triggerSync({ type: 'DELTA' })
    expect(first.data).toMatchObject({ already_queued: false, type: 'DELTA' })
    const again = await client().general.triggerSync({ type: 'DELTA' })
    expect(again.data).toEqual({ ...first.data, already_queued: true })
    const pending = await client('secret', 'lever:new').general.triggerSync({})
    expect(pending.data).toMatchObject({ already_queued: false, type: 'FULL' })
  })

  test.each([
    ['a wrong key', () => client('wrong'), 401, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['a key that may only read', () => client('narrow'), 403, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['an unknown integration', () => client('secret', 'x:y'), 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
  ] as const)('understands that a sync is refused for %s', async (_name, to, status, code) => {
    expect(await refusal(to().general.triggerSync({ type: 'FULL' }))).toEqual([status, code])
  })

  test('sends a request on to the native API, and reads what that answered', async () => {
    const [tool = ''] = ACME.split(':')
    const body = {
      method: 'POST',
      path: '/notes',
      data: { text: 'hi' },
      headers: { a: 'b' },
      params: { c: 'd' },
    } as const
    const { data, warnings } = await client().general.sendPassthroughRequest({ tool, api: 'v1', body })
    expect(data).toEqual({
      ...{ url: 'https://native.example/notes', status: 422, headers: { a: 'b' } },
      data: { tool, api: 'v1', method: 'POST', data: { text: 'hi' } },
    })
    expect(warnings).toEqual([{ message: 'careful' }])
  })

  test.each([
    ['a key that may only read', () => client('narrow'), 'greenhouse', 403, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['an unknown integration', () => client('secret', 'x:y'), 'x', 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['another tool', () => client(), 'x', 400, 'PLATFORM.INPUT_INVALID'],
  ] as const)('understands that a passthrough request is refused for %s', async (_name, to, tool, status, code) => {
    const call = to().general.sendPassthroughRequest({ tool, api: 'v1', body: { method: 'GET', path: '/x' } })
    expect(await refusal(call)).toEqual([status, code])
  })

  test('understands that requests were too many', async () => {
    const limited = await world.serve({ apiKeys, options: { rateLimit: { requests: 1, windowMs: 60_000 } } })
    const own = client('secret', ACME, limited.url)
    await own.general.checkApiKey()
    const tooMany = [429, 'PLATFORM.RATE_LIMIT_EXCEEDED']
    expect(await refusal(own.general.checkApiKey())).toEqual(tooMany)
    expect(await refusal(own.general.getTools({ category: 'ats' }))).toEqual(tooMany)
    expect(await refusal(own.general.getIntegrationDetails({ integration_id: ACME }))).toEqual(tooMany)
    expect(await refusal(own.general.triggerSync({}))).toEqual(tooMany)
  })

  test('understands that what there is not is not there', async () => {
    const remove = client().general.deleteIntegration({ integration_id: ACME, body: {} })
    expect(await refusal(remove)).toEqual([405, null])
    const fields = client().general.getIntegrationFields({ integration_id: ACME })
    expect(await refusal(fields)).toEqual([404, null])
  })
})
