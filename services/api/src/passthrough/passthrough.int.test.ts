import { request as httpRequest } from 'node:http'
import { TidemarkError } from '@tidemark/base'
import type { Passthrough, PassthroughAnswer, PassthroughOptions } from '@tidemark/connector'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { IntegrationStatus, LiveSource } from '../deps.ts'
import { noStatus, openWorld, type Served, type World } from '../testing/harness.ts'

const ACME = 'traffit:acme'
const apiKeys = [
  { name: 'all', key: 'all', write: true },
  { name: 'reader', key: 'reader' },
  { name: 'jobs', key: 'jobs', write: true, models: ['jobs' as const] },
  { name: 'other', key: 'other', write: true, integrations: ['int-1'] },
]
const integration = (integrationId: string, source: string): IntegrationStatus => ({
  ...{ integrationId, source, state: null, streams: [] },
})
const integrations = [
  integration(ACME, 'traffit'),
  integration('int-1', 'knit'),
  integration('join:abc', 'kombo'),
  integration('greenhouse:x', 'elsewhere'),
  integration('lever:x', 'mute'),
]

let world: World
let api: Served
let sent: PassthroughOptions[]
let send: Passthrough['send']

const passing = (connector: string, apis: Passthrough['apis']): LiveSource => ({
  connector,
  passthrough: {
    apis,
    send: (options) => {
      sent.push(options)
      return send(options)
    },
  },
})
const sources = new Map<string, LiveSource>([
  ['traffit', passing('traffit', ['v2'])],
  ['knit', passing('knit', ['default'])],
  ['kombo', passing('kombo', null)],
  ['mute', { connector: 'mute', passthrough: undefined }],
])
const ANSWER: PassthroughAnswer = {
  url: 'https://acme/x',
  status: 404,
  headers: { a: 'b' },
  data: [1],
  warnings: ['w'],
}

beforeAll(async () => {
  world = await openWorld()
  api = await world.serve({ apiKeys, sources, status: { ...noStatus, integrations: () => integrations } })
})
afterAll(() => world.close())
beforeEach(() => {
  sent = []
  send = async () => ANSWER
})

interface Asked {
  readonly to?: string
  readonly key?: string
  readonly integrationId?: string | null
  readonly url?: string
}

async function ask(body: unknown, { to = 'traffit/v2', key = 'all', integrationId = ACME, url = api.url }: Asked = {}) {
  const headers: Record<string, string> = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  if (integrationId !== null) headers['x-integration-id'] = integrationId
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(`${url}/v1/passthrough/${to}`, { method: 'POST', headers, body: text })
  const json = (await response.json()) as { data: unknown; error: { code: string | null; message: string } }
  return { status: response.status, body: json }
}

const GET = { method: 'GET', path: '/x' }

describe('passthrough', () => {
  test('answers 200 with what the provider answered, whatever that is', async () => {
    const { status, body } = await ask(GET)
    expect(status).toBe(200)
    expect(body).toEqual({
      status: 'success',
      data: { url: 'https://acme/x', status: 404, headers: { a: 'b' }, data: [1] },
      warnings: [{ message: 'w' }],
    })
  })

  test('hands the whole request to the source of the integration', async () => {
    const file = { name: 'cv.pdf', content_type: 'application/pdf', data: 'aGk=' }
    await ask({
      ...{ method: 'POST', path: '/x?y=z', headers: { A: 'b' }, params: { p: 'q' }, response_as_base64: true },
      multipart_form_data: [
        { name: 'id', value: '7' },
        { name: 'cv', value: file },
      ],
    })
    await ask({ method: 'PATCH', path: '/y', data: { a: [null] }, api_options: { v: '1' } })
    expect(sent).toHaveLength(2)
    expect(sent[0]).toMatchObject({ integrationId: ACME, tool: 'traffit', api: 'v2' })
    expect(sent[0]?.request).toEqual({
      ...{ method: 'POST', path: '/x?y=z', headers: { A: 'b' }, params: { p: 'q' }, apiOptions: {} },
      responseAsBase64: true,
      parts: [
        { name: 'id', value: '7' },
        { name: 'cv', value: { name: 'cv.pdf', contentType: 'application/pdf', data: 'aGk=' } },
      ],
    })
    expect(sent[1]?.request).toEqual({
      ...{ method: 'PATCH', path: '/y', headers: {}, params: {}, data: { a: [null] }, apiOptions: { v: '1' } },
      responseAsBase64: false,
    })
  })

  test.each([
    ['reader', ACME, 403, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['jobs', ACME, 403, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['wrong', ACME, 401, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['other', ACME, 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['all', 'traffit:nobody', 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['all', null, 400, 'PLATFORM.INPUT_INVALID'],
  ])('is refused for the key %s and the integration %s', async (key, integrationId, status, code) => {
    const answer = await ask(GET, { key, integrationId })
    expect([answer.status, answer.body.error.code]).toEqual([status, code])
    expect(sent).toEqual([])
  })

  test.each([
    ['greenhouse/v2', ACME, 400, 'integration of traffit'],
    ['traffit/v3', ACME, 400, 'traffit/v2'],
    ['greenhouse/x', 'greenhouse:x', 501, '"elsewhere"'],
    ['lever/x', 'lever:x', 400, 'no passthrough'],
    ['int-1/default', 'int-1', 400, 'integration of knit'],
  ])('to %s of %s is refused and says why', async (to, integrationId, status, text) => {
    const answer = await ask(GET, { to, integrationId })
    expect(answer.status).toBe(status)
    expect(answer.body.error.code).toMatch(/^PLATFORM\./)
    expect(answer.body.error.message).toContain(text)
    expect(sent).toEqual([])
  })

  test.each([
    ['knit/default', 'int-1'],
    ['join/whatever', 'join:abc'],
  ])('to %s of %s goes to whoever knows it', async (to, integrationId) => {
    expect((await ask(GET, { to, integrationId })).status).toBe(200)
    expect(sent[0]).toMatchObject({ integrationId, tool: to.split('/')[0], api: to.split('/')[1] })
  })

  test.each([
    ['', 'object'],
    [[], 'object'],
    [{ path: '/x' }, 'method'],
    [{ method: 'HEAD', path: '/x' }, 'method'],
    [{ method: 'get', path: '/x' }, 'method'],
    [{ method: 'GET' }, 'path'],
    [{ ...GET, header: {} }, 'Did you mean headers'],
    [{ ...GET, headers: { a: 1 } }, 'headers'],
    [{ ...GET, params: ['a'] }, 'params'],
    [{ ...GET, response_as_base64: 'yes' }, 'response_as_base64'],
    [{ ...GET, data: 'x', multipart_form_data: [{ name: 'a', value: 'b' }] }, 'not both'],
    [{ ...GET, multipart_form_data: [] }, 'multipart_form_data'],
    [{ ...GET, multipart_form_data: [{ name: 'a', value: {} }] }, 'multipart_form_data[0].value.name'],
    [{ ...GET, multipart_form_data: [{ name: 'a', value: { name: 'b', data: 'eA==' } }] }, 'content_type'],
    [{ ...GET, multipart_form_data: [{ name: 'a', value: { name: 'b' } }] }, 'data_url'],
    ['{"method":"GET"', ''],
  ])('refuses the body %j', async (body, text) => {
    const answer = await ask(body)
    expect([answer.status, answer.body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    expect(answer.body.error.message).toContain(text)
    expect(sent).toEqual([])
  })

  test('takes files, and no more than it promises', async () => {
    const large = { ...GET, method: 'POST', data: 'x'.repeat(13_000_000) }
    expect((await ask(large)).status).toBe(200)
    const tooLarge = await ask({ ...large, data: 'x'.repeat(14_000_000) })
    expect([tooLarge.status, tooLarge.body.error.code]).toEqual([413, 'PLATFORM.INPUT_INVALID'])
    expect(sent).toHaveLength(1)
  })

  test.each([
    ['REQUEST_INVALID', 400, 'PLATFORM.INPUT_INVALID'],
    ['PROVIDER_AUTHENTICATION', 502, 'PLATFORM.UNKNOWN_ERROR'],
    ['PROVIDER_REFUSED', 502, 'PLATFORM.UNKNOWN_ERROR'],
    ['PROVIDER_UNAVAILABLE', 502, 'PLATFORM.UNKNOWN_ERROR'],
    ['PROVIDER_ANSWER_INVALID', 502, 'PLATFORM.UNKNOWN_ERROR'],
    ['PROVIDER_RATE_LIMITED', 429, 'PLATFORM.RATE_LIMIT_EXCEEDED'],
  ] as const)('tells of %s what the source says', async (thrown, status, code) => {
    send = async () => {
      throw new TidemarkError(thrown, 'what happened')
    }
    const { status: told, body } = await ask(GET)
    expect([told, body.error.code, body.error.message]).toEqual([status, code, 'what happened'])
  })

  test('keeps what nobody foresaw to itself', async () => {
    send = async () => {
      throw new RangeError('internals')
    }
    const { status, body } = await ask(GET)
    expect([status, body.error.code]).toEqual([500, 'PLATFORM.UNKNOWN_ERROR'])
    expect(body.error.message).not.toContain('internals')
  })

  test('cannot hand on what is nested without end, and says so', async () => {
    send = async () => ({ ...ANSWER, data: JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) })
    const { status, body } = await ask(GET)
    expect([status, body.error.code]).toEqual([502, 'PLATFORM.UNKNOWN_ERROR'])
    expect(body.error.message).toContain('response_as_base64')
  })

  test('ends after its time, and says of a write that it may have happened', async () => {
    let aborted = 0
    send = ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted++
          reject(signal.reason)
        })
      })
    const status = { ...noStatus, integrations: () => integrations }
    const quick = await world.serve({ apiKeys, sources, status, options: { providerMs: 50 } })
    const read = await ask(GET, { url: quick.url })
    const write = await ask({ method: 'POST', path: '/x' }, { url: quick.url })
    expect([read.status, read.body.error.code]).toEqual([504, 'PLATFORM.TASK_TIMED_OUT'])
    expect(read.body.error.message).not.toContain('not known')
    expect(write.body.error.message).toContain('not known')
    expect(aborted).toBe(2)
  })

  test('is given up when the client is gone', async () => {
    const begun = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<void>()
    send = ({ signal }) => {
      begun.resolve()
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.resolve()
          reject(signal.reason)
        })
      })
    }
    const headers = { authorization: 'Bearer all', 'x-integration-id': ACME, 'content-type': 'application/json' }
    const client = httpRequest(`${api.url}/v1/passthrough/traffit/v2`, { method: 'POST', headers })
    client.on('error', () => undefined)
    client.end(JSON.stringify(GET))
    await begun.promise
    client.destroy()
    await aborted.promise
  })

  test('goes ten at a time to an integration, and to others meanwhile', async () => {
    const gate = Promise.withResolvers<void>()
    send = async ({ integrationId }) => {
      if (integrationId === ACME) await gate.promise
      return ANSWER
    }
    const running = Array.from({ length: 10 }, () => ask(GET))
    await expect.poll(() => sent.length).toBe(10)
    const more = await ask(GET)
    expect([more.status, more.body.error.code]).toEqual([429, 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED'])
    expect((await ask(GET, { to: 'knit/default', integrationId: 'int-1' })).status).toBe(200)
    gate.resolve()
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect((await ask(GET)).status).toBe(200)
  })

  test('is a POST, and takes no query', async () => {
    expect((await api.get('/v1/passthrough/traffit/v2', { authorization: 'Bearer all' })).status).toBe(405)
    expect((await ask(GET, { to: 'traffit/v2?x=1' })).status).toBe(400)
  })

  test('is a feature of the tools that have it', async () => {
    const { body } = await api.get('/v1/tools/ats', { authorization: 'Bearer all' })
    const features = Object.fromEntries(
      body.data.tools.map((tool: { id: string; coverage: { features: { coverage_status: string }[] } }) => [
        tool.id,
        tool.coverage.features.map(({ coverage_status }) => coverage_status),
      ]),
    )
    expect(features).toMatchObject({
      traffit: ['SUPPORTED'],
      join: ['SUPPORTED'],
      lever: ['UNKNOWN'],
      hrworks: ['UNKNOWN'],
    })
  })
})
