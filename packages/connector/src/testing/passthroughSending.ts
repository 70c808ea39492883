/** A request arrives as it was given, once, and its answer comes back whatever it is. For tests only. */
import { expect, it } from 'vitest'
import type { PassthroughRig } from './passthroughRig.ts'
import { RATE_LIMIT_SECONDS } from './standIn.ts'

const UNSAFE = ['POST', 'PUT', 'PATCH', 'DELETE'] as const
const TEXT = { 'content-type': 'text/plain; charset=utf-8' }

export function sendingCases(rig: PassthroughRig): void {
  const { hasTokens, hasForms } = rig

  it('sends method, path and parameters, and hands on what the API answers', async () => {
    rig.answerWith({ status: 201, headers: { 'x-total': '2' }, body: { things: [1, 'zwei'] } })
    const { answer, error } = await rig.send({
      path: '/things/1?a=b',
      params: { q: 'x&y=ü' },
      headers: { 'X-Own': '7' },
    })
    expect(error).toBeUndefined()
    expect(answer).toMatchObject({ status: 201, data: { things: [1, 'zwei'] } })
    expect(answer?.headers).toMatchObject({ 'x-total': '2' })
    expect(answer?.url).toMatch(/\/things\/1\?a=b&q=x%26y%3D%C3%BC(&|$)/)
    const [seen] = rig.standIn.seen
    expect(seen?.method).toBe('GET')
    expect(new URL(seen?.path ?? '', 'http://x').searchParams.get('q')).toBe('x&y=ü')
    expect(seen?.path).toMatch(/^\/things\/1\?/)
    expect(seen?.headers['x-own']).toBe('7')
  })

  it.each(UNSAFE)('sends JSON and text with %s, once', async (method) => {
    rig.answerWith({ body: {} })
    await rig.send({ method, data: { name: 'Frodo', tags: ['a'] } })
    await rig.send({ method, data: '<xml/>', headers: { 'content-type': 'text/xml' } })
    expect(rig.standIn.seen.map((seen) => seen.method)).toEqual([method, method])
    expect(JSON.parse(rig.standIn.seen[0]?.body ?? '')).toEqual({ name: 'Frodo', tags: ['a'] })
    expect(rig.standIn.seen[1]?.body).toBe('<xml/>')
    expect(rig.standIn.seen[1]?.headers['content-type']).toBe('text/xml')
  })

  it.each([400, 401, 403, 404, 409, 422, 500, 503])('takes status %d for an answer', async (status) => {
    rig.answerWith({ status, body: { message: 'no' } })
    const { answer } = await rig.send({ method: 'GET' })
    expect(answer).toMatchObject({ status, data: { message: 'no' } })
    const requests = rig.standIn.seen.length
    expect(requests).toBe(status === 401 && hasTokens ? 2 : 1)
    expect((await rig.send({ method: 'DELETE' })).answer?.status).toBe(status)
    expect(rig.standIn.seen.length).toBe(requests * 2)
  })

  it('hands on redirects without following them', async () => {
    rig.answerWith({ status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere' }, body: {} })
    expect((await rig.send({})).answer).toMatchObject({
      status: 302,
      headers: { location: 'http://127.0.0.1:1/elsewhere' },
    })
    expect(rig.standIn.seen).toHaveLength(1)
  })

  it('hands on text as text, JSON that is none too, and anything as base64', async () => {
    rig.answerWith({ headers: TEXT, body: 'Grüße' })
    expect((await rig.send({})).answer?.data).toBe('Grüße')
    const encoded = (await rig.send({ responseAsBase64: true })).answer?.data
    expect(Buffer.from(String(encoded), 'base64').toString()).toBe('Grüße')
    rig.answerWith({ body: '<html>' })
    expect((await rig.send({})).answer?.data).toBe('<html>')
  })

  it('hands on an answer without a body', async () => {
    rig.answerWith({ status: 204 })
    expect((await rig.send({ method: 'DELETE' })).answer).toMatchObject({ status: 204, data: '' })
  })

  it.runIf(hasForms)('sends forms with files', async () => {
    rig.answerWith({ body: {} })
    const file = { name: 'C"V.txt', contentType: 'text/plain', data: Buffer.from('hello').toString('base64') }
    const parts = [
      { name: 'id', value: '17' },
      { name: 'cv', value: file },
    ]
    expect((await rig.send({ method: 'POST', parts })).error).toBeUndefined()
    const [seen] = rig.standIn.seen
    expect(seen?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    const headers = { 'content-type': String(seen?.headers['content-type']) }
    const form = await new Response(seen?.body ?? '', { headers }).formData()
    expect(form.get('id')).toBe('17')
    const sent = form.get('cv') as File
    expect([sent.name, sent.type, await sent.text()]).toEqual(['C"V.txt', 'text/plain', 'hello'])
  })

  it('asks again for what it reads when the connection is cut', async () => {
    rig.answerWith({ body: { half: true }, cut: true }, { body: { whole: true } })
    expect((await rig.send({})).answer?.data).toEqual({ whole: true })
    expect(rig.standIn.seen).toHaveLength(2)
  })

  it.each(UNSAFE)('never sends %s twice when the connection is cut, and says what is not known', async (method) => {
    rig.answerWith({ body: { half: true }, cut: true })
    const { error } = await rig.send({ method, data: {} })
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', message: expect.stringContaining('not known') })
    expect(rig.standIn.seen).toHaveLength(1)
  })

  it.each(['GET', 'POST'] as const)('waits for a rate limit with %s', async (method) => {
    rig.answerWith(rig.standIn.rateLimited, { body: { done: true } })
    const before = rig.clock.now()
    expect((await rig.send({ method })).answer?.data).toEqual({ done: true })
    expect(rig.clock.now() - before).toBeGreaterThanOrEqual(RATE_LIMIT_SECONDS * 1000)
    expect(rig.standIn.seen).toHaveLength(2)
  })

  it('waits for a rate limit a few times only', async () => {
    rig.answerWith(rig.standIn.rateLimited)
    const { answer, error } = await rig.send({ method: 'POST' })
    expect(answer?.status ?? error).toSatisfy(
      (end: unknown) => end === 429 || (end as { readonly code?: string }).code === 'PROVIDER_RATE_LIMITED',
    )
    expect(rig.standIn.seen.length).toBeGreaterThan(1)
    expect(rig.standIn.seen.length).toBeLessThan(6)
  })

  it.runIf(hasTokens)('sends it again with a new token when the first has expired, also a write', async () => {
    rig.answerWith({ status: 401, body: {} }, { body: { done: true } })
    expect((await rig.send({ method: 'POST', data: { a: 1 } })).answer?.data).toEqual({ done: true })
    const [first, second] = rig.standIn.seen.map(({ headers }) => headers['authorization'])
    expect(first).not.toBe(second)
    expect(rig.standIn.seen.map(({ body }) => body)).toEqual(['{"a":1}', '{"a":1}'])
  })

  it('does not read an answer without end', async () => {
    rig.answerWith({ headers: TEXT, body: 'x'.repeat(14_000_000) })
    expect((await rig.send({})).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
  })

  it('rejects when it is aborted, also while it waits', async () => {
    rig.answerWith(rig.standIn.rateLimited)
    const aborter = new AbortController()
    const { error } = await rig.send({}, { signal: aborter.signal, onRetry: () => aborter.abort() })
    expect(error).toBeDefined()
    expect(rig.standIn.seen).toHaveLength(1)
  })
}
