import { seededRandom } from '@tidemark/base'
import type { PassthroughRequest } from '@tidemark/connector'
import {
  type ApiRequest,
  type PassthroughStandIn,
  passthroughContract,
  RATE_LIMIT_SECONDS,
  type Scripted,
  startScriptedServer,
} from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { describe, expect, it } from 'vitest'
import { connector } from './index.ts'

/** What a passthrough request to Knit holds. */
interface Wanted {
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly params?: Record<string, string>
  readonly body?: string
}

interface FakeKnit extends PassthroughStandIn {
  readonly received: Wanted[]
  /** What Knit answers instead of sending a request on. */
  instead: Scripted | null
}

/** A Knit that sends requests on to the stand-in, and tells status and headers beside the body. */
async function start(): Promise<FakeKnit> {
  const seen: ApiRequest[] = []
  const received: Wanted[] = []
  const rateLimited: Scripted = {
    ...{ status: 429, headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } },
    body: { success: false, error: { msg: 'slow down' } },
  }
  const standIn = {
    instead: null as Scripted | null,
    answer: (_request: ApiRequest, _count: number): Scripted => ({ body: {} }),
  }
  const { origin, close } = await startScriptedServer((request) => {
    if (request.headers['x-knit-integration-id'] !== 'int-1' || request.url.pathname !== '/v1.0/passthrough')
      return { status: 404, body: {} }
    const wanted = JSON.parse(request.body) as Wanted
    received.push(wanted)
    if (standIn.instead) return standIn.instead
    const api = seenBy(wanted)
    seen.push(api)
    const answer = standIn.answer(api, seen.length - 1)
    return answer === rateLimited ? answer : { ...wrapped(answer), cut: answer.cut ?? false }
  })
  return Object.assign(standIn, {
    options: { base_url: `${origin}/v1.0`, api_key: 'the-api-key', integrations: ['int-1'] },
    ...{ integrationId: 'int-1', tool: 'knit', api: 'default', secrets: ['the-api-key'] },
    ...{ seen, received, rateLimited, close },
  })
}

function seenBy({ method, path, headers = {}, params = {}, body = '' }: Wanted): ApiRequest {
  const query = String(new URLSearchParams(params))
  return { method, path: query === '' ? path : `${path}?${query}`, headers, body }
}

function wrapped({ status = 200, headers = {}, body = '' }: Scripted): Scripted {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const all = { 'content-type': 'application/json', ...headers }
  return { body: { success: true, data: { response: { status, headers: all, body: text } } } }
}

passthroughContract(connector, start)

async function send(request: Partial<PassthroughRequest>, instead: Scripted | null = null) {
  const fake = await start()
  fake.instead = instead
  const deps = { clock: new ManualClock(), random: seededRandom(1) }
  const source = connector.create(connector.parseOptions(fake.options), deps)
  const { integrationId, tool, api, received } = fake
  const own = { method: 'POST', path: '/x', headers: {}, params: {}, responseAsBase64: false, apiOptions: {} } as const
  const { signal } = new AbortController()
  const sent = source.passthrough?.send({ integrationId, tool, api, signal, request: { ...own, ...request } })
  const settled = await Promise.resolve(sent).then(
    (answer) => ({ answer, error: undefined }),
    (error: unknown) => ({ answer: undefined, error }),
  )
  await source.close()
  await fake.close()
  return { ...settled, received }
}

const documented = (body: string): Scripted => ({ body: { data: { response: { body } } } })

describe("Knit's passthrough", () => {
  it('gets a text for a body, and parameters of the path where it has a place for them', async () => {
    const { received } = await send({ path: '/x?a=1', params: { b: '2' }, data: { c: 3 } })
    expect(received).toEqual([{ method: 'POST', path: '/x', params: { a: '1', b: '2' }, body: '{"c":3}' }])
    const repeated = await send({ method: 'GET', path: '/x?a=1&a=2' })
    expect(repeated.received).toEqual([{ method: 'GET', path: '/x?a=1&a=2', params: {} }])
  })

  it.each([
    ['{"id":7}', { id: 7 }],
    ['[1]', [1]],
    ['<xml/>', '<xml/>'],
    ['17', '17'],
    ['{broken', '{broken'],
  ])('that answers as documented with the text %j gives %j, and says what Knit does not tell', async (body, data) => {
    const { answer } = await send({ path: '/x?a=1' }, documented(body))
    expect(answer).toEqual({
      url: '/x?a=1',
      status: 200,
      headers: {},
      data,
      warnings: [expect.stringContaining('200')],
    })
  })

  it('that tells what the ATS said under a status of its own gives that status', async () => {
    const { answer } = await send({}, { ...documented('{"error":"no"}'), status: 422 })
    expect(answer).toMatchObject({ status: 422, data: { error: 'no' }, warnings: [] })
  })

  it.each([
    [{ status: 401, body: { error: { msg: 'bad key' } } }, 'PROVIDER_AUTHENTICATION', 'bad key'],
    [{ status: 400, body: { error: { msg: 'no app' } } }, 'PROVIDER_REFUSED', 'no app'],
    [{ body: { success: false, error: { msg: 'not enabled' } } }, 'PROVIDER_REFUSED', 'not enabled'],
    [{ status: 502, body: '<html>' }, 'PROVIDER_UNAVAILABLE', 'not known'],
    [{ body: '<html>' }, 'PROVIDER_ANSWER_INVALID', 'not known'],
  ])('that answers %j is %s, and a write is not sent again', async (instead, code, text) => {
    const { error, received } = await send({}, instead)
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) })
    expect(received).toHaveLength(1)
  })

  it.each([
    [{ parts: [{ name: 'a', value: 'b' }] }, 'multipart_form_data'],
    [{ apiOptions: { a: 'b' } }, 'api_options'],
    [{ headers: { 'X-Knit-Integration-Id': 'int-2' } }, 'x-knit-integration-id'],
  ])('is not given %j', async (request, text) => {
    const { error, received } = await send(request)
    expect(error).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining(text) })
    expect(received).toEqual([])
  })
})
