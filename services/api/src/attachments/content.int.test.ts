import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CV, type FakeAttachments, fakeAttachments } from '../testing/attachments.ts'
import { ACME, type Company, makeCompany } from '../testing/company.ts'
import { noStatus, openWorld, type Served, type World } from '../testing/harness.ts'
import { disposition, safeType } from './content.ts'

let world: World
let api: Served
let id: Company['id']
let fake: FakeAttachments

beforeAll(async () => {
  world = await openWorld()
  const company = makeCompany(world.maker)
  id = company.id
  await world.fill(company.changes, 0)
})
afterAll(() => world.close())
beforeEach(async () => {
  fake = fakeAttachments()
  const integrations = [{ integrationId: ACME, source: 'traffit', state: null, streams: [] }]
  api = await world.serve({
    apiKeys: [{ name: 'all', key: 'all' }],
    sources: new Map([['traffit', fake.source]]),
    status: { ...noStatus, integrations: () => integrations },
  })
})

const authorization = 'Bearer all'

async function urlOf(model: 'candidates' | 'applications', remote: string): Promise<string> {
  const headers = { authorization, 'x-integration-id': ACME }
  const { body } = await api.get(`/v1/ats/${model}/${id(model, remote)}/attachments`, headers)
  return body.data.results[0].data_url
}

describe('the content of an attachment', () => {
  test.each([
    ['candidates', 'c1'],
    ['applications', 'a1'],
  ] as const)('of %s is had from its address with the API key, to be saved', async (model, remote) => {
    const url = await urlOf(model, remote)
    const response = await fetch(url, { headers: { authorization } })
    expect(response.status).toBe(200)
    expect(Buffer.from(await response.arrayBuffer()).toString()).toBe('%PDF-1.4')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/pdf',
      'content-length': '8',
      'content-disposition': `attachment; filename="cv.pdf"; filename*=UTF-8''cv.pdf`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cache-control': 'private, no-store',
      'concurrency-limit': '10',
    })
    expect(fake.asked.at(-1)).toMatchObject({ integrationId: ACME, model, remoteKey: remote, attachmentId: CV.id })
  })

  test('is for nobody without the key', async () => {
    const url = await urlOf('candidates', 'c1')
    expect((await fetch(url)).status).toBe(401)
    expect(fake.asked).toHaveLength(1)
  })

  test('of what is not there, of another integration, or without one, is refused', async () => {
    const url = await urlOf('candidates', 'c1')
    const get = async (address: string, more: Record<string, string> = {}) => {
      const response = await fetch(address, { headers: { authorization, ...more } })
      const { error } = (await response.json()) as { error: { code: string; message: string } }
      return [response.status, error.code]
    }
    expect(await get(url, { 'x-integration-id': 'traffit:other' })).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    expect(await get(url.split('?')[0] as string)).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    expect(await get(url.replace(id('candidates', 'c1'), '2'.repeat(24)))).toEqual([404, 'PLATFORM.INPUT_INVALID'])
    expect(fake.asked).toHaveLength(1)
    fake.content = async () => null
    expect(await get(url)).toEqual([404, 'PLATFORM.INPUT_INVALID'])
  })

  test.each(['text/html; charset=utf-8', 'image/svg+xml', 'no type\r\nset-cookie: a=b'])(
    'of %j is bytes and nothing that a browser shows',
    async (contentType) => {
      fake.content = async () => ({ fileName: 'a"\r\nx: y.html', contentType, bytes: Buffer.from('<script>') })
      const response = await fetch(await urlOf('candidates', 'c1'), { headers: { authorization } })
      expect(response.headers.get('content-type')).toBe('application/octet-stream')
      expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="a_x_ y\.html"/)
      expect([response.headers.get('x'), response.headers.get('set-cookie')]).toEqual([null, null])
    },
  )

  test('keeps its slot until it is taken', async () => {
    // Larger than what the connection holds: the answer ends when somebody reads it.
    fake.content = async () => ({ ...CV, bytes: Buffer.alloc(20_000_000) })
    const url = await urlOf('candidates', 'c1')
    const held = await Promise.all(Array.from({ length: 10 }, () => fetch(url, { headers: { authorization } })))
    expect(held.map((response) => response.status)).toEqual(Array(10).fill(200))
    expect((await fetch(url, { headers: { authorization } })).status).toBe(429)
    for (const [n, response] of held.entries()) {
      if (n % 2 === 0) await response.body?.cancel()
      else expect((await response.arrayBuffer()).byteLength).toBe(20_000_000)
    }
    const list = () =>
      api.get(`/v1/ats/candidates/${id('candidates', 'c1')}/attachments`, { authorization, 'x-integration-id': ACME })
    await expect.poll(async () => (await list()).headers.get('concurrency-remaining')).toBe('9')
  })
})

test.each([
  ['application/pdf', 'application/pdf'],
  ['Image/PNG; a=b', 'image/png'],
  ['text/plain; charset=latin1', 'text/plain'],
  ['application/vnd.oasis.opendocument.text', 'application/vnd.oasis.opendocument.text'],
  ['application/xhtml+xml', 'application/octet-stream'],
  ['text/xml', 'application/octet-stream'],
  ['text/javascript', 'application/octet-stream'],
  ['multipart/related', 'application/octet-stream'],
  ['', 'application/octet-stream'],
  ['text', 'application/octet-stream'],
])('the type %j is sent as %s', (given, sent) => {
  expect(safeType(given)).toBe(sent)
})

test.each([
  ['Życiorys.pdf', `attachment; filename="_yciorys.pdf"; filename*=UTF-8''%C5%BByciorys.pdf`],
  ['../../etc/passwd', `attachment; filename=".._.._etc_passwd"; filename*=UTF-8''.._.._etc_passwd`],
  ["it's 100%.txt", `attachment; filename="it's 100_.txt"; filename*=UTF-8''it%27s%20100%25.txt`],
  ['cv\u202efdp.exe', `attachment; filename="cvfdp.exe"; filename*=UTF-8''cvfdp.exe`],
  ['\ud800', `attachment; filename="_"; filename*=UTF-8''%EF%BF%BD`],
  ['', `attachment; filename="attachment"; filename*=UTF-8''attachment`],
])('the name %j is sent as %s', (given, sent) => {
  expect(disposition(given)).toBe(sent)
})
