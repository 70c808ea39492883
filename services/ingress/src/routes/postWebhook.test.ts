import { LIMITS, TidemarkError } from '@tidemark/base'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Harness } from '../../test/harness.ts'

let harness: Harness

beforeEach(async () => {
  harness = new Harness(['acme:1'])
  await harness.start()
  await harness.settle()
})

afterEach(() => harness.close())

const webhooks = () => harness.raws().filter(({ kind }) => kind === 'webhook')
const errorOf = (response: { json(): unknown }) => (response.json() as { error: Record<string, unknown> }).error
const outcomes = async (outcome: string): Promise<number> =>
  (await harness.metrics.webhooks.get()).values
    .filter(({ labels }) => labels.outcome === outcome)
    .reduce((sum, { value }) => sum + value, 0)

describe('a genuine webhook', () => {
  it('is stored byte for byte, without secrets, before it is answered 200', async () => {
    const body = Buffer.from('{ "type":"x",\n"integration": "acme:1" }')
    const response = await harness.post(body, {
      'x-signature': 'good',
      'content-type': 'text/weird; charset=nope',
      authorization: 'Bearer secret',
      'x-api-key': 'secret',
      'x-api-token': 'secret',
      cookie: 'a=secret',
    })
    expect(response.statusCode).toBe(200)
    const [raw] = webhooks()
    expect(Buffer.from(raw?.body ?? []).equals(body)).toBe(true)
    expect(raw).toMatchObject({
      source: 'main',
      kind: 'webhook',
      integration_id: 'acme:1',
      route: '/webhooks/main',
      status: null,
      requested_at: null,
      received_at: harness.clock.now(),
      headers: { 'x-signature': 'good', 'content-type': 'text/weird; charset=nope' },
    })
    expect(JSON.stringify(raw?.headers)).not.toContain('secret')
  })

  it.each(['application/json', 'application/x-www-form-urlencoded', ';;;', 'text/plain'])(
    'may have the content type %s',
    async (type) => {
      const response = await harness.post('{"type":"x"}', { 'x-signature': 'good', 'content-type': type })
      expect(response.statusCode).toBe(200)
      expect(webhooks()[0]?.headers['content-type']).toBe(type)
    },
  )

  it('may have no content type, a query, an empty body, or bytes that are no text', async () => {
    const url = '/webhooks/main?secret=hidden'
    const headers = { 'x-signature': 'good' }
    const bytes = Buffer.from([0, 255, 1, 254])
    expect((await harness.app.inject({ method: 'POST', url, headers, payload: bytes })).statusCode).toBe(200)
    expect((await harness.app.inject({ method: 'POST', url, headers })).statusCode).toBe(200)
    expect(webhooks().map(({ route }) => route)).toEqual(['/webhooks/main', '/webhooks/main'])
    const bodies = webhooks().map(({ body }) => Buffer.from(body))
    expect(bodies).toContainEqual(bytes)
    expect(bodies).toContainEqual(Buffer.alloc(0))
  })

  it('leaves no trace of the secret in its query, though a proxy repeats the address', async () => {
    const secret = 'hidden/in the+query'
    const url = `/webhooks/main?secret=${encodeURIComponent(secret)}`
    const headers = {
      'x-signature': 'good',
      'x-original-uri': url,
      'x-forwarded-uri': `/webhooks/main?secret=${secret}`,
    }
    expect((await harness.app.inject({ method: 'POST', url, headers, payload: '{}' })).statusCode).toBe(200)
    const [raw] = webhooks()
    expect(raw?.headers['x-original-uri']).toBe('/webhooks/main?secret=***')
    expect(JSON.stringify(raw)).not.toContain('hidden')
  })

  it('is not answered before the append is durable', async () => {
    const gate = Promise.withResolvers<void>()
    harness.log.beforeAppend = () => gate.promise
    let answered = false
    const response = harness.post({ type: 'x' }).then((got) => {
      answered = true
      return got
    })
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(answered).toBe(false)
    gate.resolve()
    expect((await response).statusCode).toBe(200)
  })
})

describe('a request that is refused', () => {
  it.each([
    ['without a signature', {}],
    ['with a wrong signature', { 'x-signature': 'bad' }],
  ])('%s gets 401 and nothing is stored, not even for a body that is no JSON', async (_what, headers) => {
    const before = harness.raws().length
    for (const body of ['{"type":"x"}', 'no json']) {
      const response = await harness.post(body, headers)
      expect(response.statusCode).toBe(401)
      expect(response.json()).toEqual({
        status: 'error',
        error: {
          code: 'SIGNATURE_INVALID',
          title: 'Signature is missing or wrong',
          message: expect.stringContaining('webhook_secret') as string,
          log_url: null,
        },
      })
    }
    expect(harness.raws()).toHaveLength(before)
    expect(harness.letters()).toEqual([])
    expect(await outcomes('unauthorized')).toBe(2)
  })

  it('names an unknown source: 404, whatever its body and signature', async () => {
    const big = 'x'.repeat(LIMITS.webhookBytesMax + 1)
    for (const source of ['other', 'constructor', '__proto__']) {
      const response = await harness.post(big, { 'x-signature': 'good' }, source)
      expect(response.statusCode).toBe(404)
      expect(errorOf(response)).toMatchObject({ code: 'SOURCE_UNKNOWN', log_url: null })
    }
    expect(webhooks()).toEqual([])
  })

  it('is larger than the limit: 413, with or without a length, and nothing is stored', async () => {
    const limit = LIMITS.webhookBytesMax
    const response = await harness.post('x'.repeat(limit + 1))
    expect(response.statusCode).toBe(413)
    expect(errorOf(response)).toMatchObject({
      code: 'BODY_TOO_LARGE',
      message: expect.stringContaining(String(limit)) as string,
      log_url: null,
    })
    expect(webhooks()).toEqual([])
    expect((await harness.post('x'.repeat(limit))).statusCode).toBe(200)
  })

  it('is no POST: 404 in the same form', async () => {
    const response = await harness.app.inject({ method: 'GET', url: '/webhooks/main' })
    expect(response.statusCode).toBe(404)
    expect(errorOf(response)).toMatchObject({ code: 'REQUEST_INVALID', log_url: null })
  })
})

describe('a webhook that cannot be stored', () => {
  it('is answered 503 with Retry-After and never acknowledged', async () => {
    harness.log.beforeAppend = () => {
      throw new TidemarkError('DISK_FULL', 'No space is left in /data. Free some.')
    }
    const response = await harness.post({ type: 'x' })
    expect(response.statusCode).toBe(503)
    expect(response.headers['retry-after']).toBe('10')
    expect(errorOf(response)).toMatchObject({
      code: 'DISK_FULL',
      title: 'No space left on the device',
      message: expect.stringContaining('Send it again') as string,
      log_url: null,
    })
    expect(webhooks()).toEqual([])
    harness.log.beforeAppend = () => undefined
    expect((await harness.post({ type: 'x' })).statusCode).toBe(200)
  })

  it('is answered 503 when too many are being stored', async () => {
    const gate = Promise.withResolvers<void>()
    harness.log.beforeAppend = () => gate.promise
    const responses = Array.from({ length: 201 }, (_, i) => harness.post({ type: 'x', id: String(i) }))
    const first = await Promise.race(responses)
    expect(first.statusCode).toBe(503)
    expect(errorOf(first)).toMatchObject({ code: 'OVERLOADED' })
    gate.resolve()
    const codes = (await Promise.all(responses)).map(({ statusCode }) => statusCode)
    expect(codes.filter((code) => code === 200)).toHaveLength(200)
  })
})

it('proves before it reads: a source that throws on reading still stores what is genuine', async () => {
  harness.source.readWebhook = () => {
    throw new Error('cannot read')
  }
  expect((await harness.post('anything')).statusCode).toBe(200)
  expect(webhooks()).toHaveLength(1)
})
