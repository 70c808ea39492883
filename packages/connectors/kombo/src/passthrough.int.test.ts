import { seededRandom } from '@tidemark/base'
import type { PassthroughRequest } from '@tidemark/connector'
import {
  type ApiRequest,
  type PassthroughStandIn,
  passthroughContract,
  RATE_LIMIT_SECONDS,
  type Received,
  type Scripted,
  startScriptedServer,
} from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { describe, expect, it } from 'vitest'
import { failure } from '../test/fakeKombo.ts'
import { connector } from './index.ts'

/** What a passthrough request to Kombo holds. */
interface Wanted {
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly params?: Record<string, string>
  readonly data?: unknown
  readonly response_as_base64?: boolean
}

interface FakeKombo extends PassthroughStandIn {
  /** Requests as they came to Kombo. */
  readonly received: readonly Received[]
  /** What Kombo answers instead of sending a request on. */
  instead: Scripted | null
}

/** A Kombo that sends requests on to the stand-in, as Kombo's documentation says. */
async function start(): Promise<FakeKombo> {
  const seen: ApiRequest[] = []
  const received: Received[] = []
  const rateLimited: Scripted = {
    ...failure(429, 'PLATFORM.RATE_LIMIT_EXCEEDED'),
    headers: { 'ratelimit-reset': String(RATE_LIMIT_SECONDS) },
  }
  const standIn = {
    instead: null as Scripted | null,
    answer: (_request: ApiRequest, _count: number): Scripted => ({ body: {} }),
  }
  const { origin, close } = await startScriptedServer((request) => {
    received.push(request)
    if (standIn.instead) return standIn.instead
    if (request.url.pathname !== '/v1/passthrough/join/default') return failure(404, null)
    const wanted = JSON.parse(request.body) as Wanted
    const api = seenBy(wanted)
    seen.push(api)
    const answer = standIn.answer(api, seen.length - 1)
    return answer === rateLimited ? answer : { ...wrapped(answer, wanted, api.path), cut: answer.cut ?? false }
  })
  return Object.assign(standIn, {
    options: {
      base_url: `${origin}/v1`,
      api_key: 'the-api-key',
      webhook_secret: 'the-webhook-secret',
      integrations: ['join:abc'],
    },
    ...{ integrationId: 'join:abc', tool: 'join', api: 'default', secrets: ['the-api-key', 'the-webhook-secret'] },
    ...{ seen, received, rateLimited, close },
  })
}

function seenBy({ method, path, headers = {}, params = {}, data }: Wanted): ApiRequest {
  const query = String(new URLSearchParams(params))
  const whole = query === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`
  const body = data === undefined ? '' : typeof data === 'string' ? data : JSON.stringify(data)
  return { method, path: whole, headers, body }
}

function wrapped({ status = 200, headers = {}, body }: Scripted, wanted: Wanted, path: string): Scripted {
  const text = typeof body === 'string' ? body : undefined
  const data = wanted.response_as_base64 ? Buffer.from(text ?? JSON.stringify(body)).toString('base64') : body
  const url = `https://user:pass@api.join.example${path}${path.includes('?') ? '&' : '?'}api_key=of-the-customer`
  return { body: { status: 'success', data: { url, status, headers, data }, warnings: [{ message: 'careful' }] } }
}

passthroughContract(connector, start)

async function send(request: Partial<PassthroughRequest>, prepare?: (fake: FakeKombo) => void) {
  const fake = await start()
  prepare?.(fake)
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

describe("Kombo's passthrough", () => {
  it('gets what the caller gave, in its own words', async () => {
    const file = { name: 'cv.pdf', contentType: 'application/pdf', dataUrl: 'https://files.example/cv.pdf' }
    const { received } = await send({
      ...{ path: 'candidates', headers: { 'X-A': 'b' }, params: { p: 'q' }, responseAsBase64: true },
      ...{ parts: [{ name: 'cv', value: file }], apiOptions: { version: 'v1' } },
    })
    expect(received).toHaveLength(1)
    expect(received[0]?.headers).toMatchObject({ authorization: 'Bearer the-api-key', 'x-integration-id': 'join:abc' })
    expect(JSON.parse(received[0]?.body ?? '')).toEqual({
      ...{ method: 'POST', path: '/candidates', headers: { 'x-a': 'b' }, params: { p: 'q' }, response_as_base64: true },
      multipart_form_data: [
        {
          name: 'cv',
          value: { name: 'cv.pdf', content_type: 'application/pdf', data_url: 'https://files.example/cv.pdf' },
        },
      ],
      api_options: { version: 'v1' },
    })
  })

  it("answers with its warnings, without the customer's credentials in the URL", async () => {
    const { answer } = await send({ path: '/x?a=1', params: { b: '2' } })
    expect(answer?.url).toBe('https://api.join.example/x?a=1&b=2&api_key=***')
    expect(answer?.warnings).toEqual(['careful'])
  })

  it.each([
    [failure(400, 'PLATFORM.INPUT_INVALID', 'path is odd'), 'REQUEST_INVALID', 'path is odd'],
    [failure(401, 'PLATFORM.AUTHENTICATION_INVALID'), 'PROVIDER_AUTHENTICATION', 'Kombo answered 401'],
    [failure(404, null, 'no passthrough'), 'PROVIDER_REFUSED', 'no passthrough'],
    [failure(403, 'INTEGRATION.PERMISSION_MISSING'), 'PROVIDER_REFUSED', 'PERMISSION_MISSING'],
    [{ status: 502, body: '<html>' }, 'PROVIDER_UNAVAILABLE', 'not known'],
    [{ body: '<html>' }, 'PROVIDER_ANSWER_INVALID', 'not known'],
    [{ body: { status: 'success', data: { url: 'x', status: '200' } } }, 'PROVIDER_ANSWER_INVALID', 'not known'],
  ])('that answers %j is %s, and a write is not sent again', async (instead, code, text) => {
    const { error, received } = await send({ method: 'POST' }, (fake) => {
      fake.instead = instead
    })
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) })
    expect(received).toHaveLength(1)
  })
})
