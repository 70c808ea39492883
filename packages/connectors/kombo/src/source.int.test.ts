import { seededRandom } from '@tidemark/base'
import type { FetchOptions, Page, PointRead, Source } from '@tidemark/connector'
import { drive } from '@tidemark/connector/contract'
import { HTTP_LIMITS } from '@tidemark/connector/http'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKombo, failure, page, type Scripted, startFakeKombo } from '../test/fakeKombo.ts'
import { createSource } from './source.ts'

const START = Date.parse('2026-03-01T09:00:00.000Z')

let fake: FakeKombo
let clock: ManualClock
let source: Source

beforeEach(async () => {
  fake = await startFakeKombo()
  clock = new ManualClock(START)
  source = createSource(
    { baseUrl: fake.baseUrl, apiKey: 'key', webhookSecret: 's', integrations: ['join:abc'] },
    { clock, random: seededRandom(7) },
    {
      client: { ...HTTP_LIMITS, bodyBytesMax: 20_000, idleTimeoutMs: 5000 },
      cursor: { pagesMax: 5, emptyPagesMax: 3 },
    },
  )
})

afterEach(async () => {
  await source.close()
  await fake.close()
})

async function fetchAll(more: Partial<FetchOptions> = {}): Promise<{ pages: Page[]; error: unknown }> {
  const pages: Page[] = []
  const work = async (): Promise<{ pages: Page[]; error: unknown }> => {
    try {
      const options = { integrationId: 'join:abc', stream: 'tags', signal: new AbortController().signal, ...more }
      for await (const one of source.fetch(options)) pages.push(one)
      return { pages, error: undefined }
    } catch (error) {
      return { pages, error }
    }
  }
  return drive(clock, work(), 1000)
}

const answers = (...scripted: readonly Scripted[]): void => {
  fake.answer = (_request, count) => scripted[Math.min(count, scripted.length - 1)] as Scripted
}

describe('requests', () => {
  it('ask for 250 rows a page, deleted ones included, with the key and the integration', async () => {
    answers(page([{ id: 'a' }]))
    await fetchAll()
    expect(fake.seen[0]).toMatchObject({
      path: '/v1/ats/tags',
      query: { page_size: '250', include_deleted: 'true' },
      headers: { authorization: 'Bearer key', 'x-integration-id': 'join:abc' },
    })
    expect(fake.seen[0]?.query).not.toHaveProperty('updated_after')
  })

  it('send the same filters with every cursor, until there is no next page', async () => {
    answers(page([{ id: 'a' }], 'c1=/+'), page([{ id: 'b' }], 'c2'), page([{ id: 'c' }]))
    const { pages } = await fetchAll({ updatedAfterMs: START })
    expect(pages.map((one) => one.mapped.records[0]?.remoteKey)).toEqual(['a', 'b', 'c'])
    const filters = { page_size: '250', include_deleted: 'true', updated_after: '2026-03-01T08:59:59.999Z' }
    expect(fake.seen.map((seen) => seen.query)).toEqual([
      filters,
      { ...filters, cursor: 'c1=/+' },
      { ...filters, cursor: 'c2' },
    ])
  })

  it('hand the body on byte for byte', async () => {
    const body = '{ "status":"success",\n"data":{"results":[{"id":"é"}],"next":null} }'
    answers({ body })
    const { pages } = await fetchAll()
    expect(Buffer.from(pages[0]?.body ?? []).toString()).toBe(body)
    expect(pages[0]?.route).toBe(`GET ${fake.baseUrl}/ats/tags?page_size=250&include_deleted=true`)
    expect(pages[0]?.status).toBe(200)
  })
})

describe('rate limits', () => {
  it('wait for the window when no request is left in it', async () => {
    answers(
      { ...page([{ id: 'a' }], 'c'), headers: { 'ratelimit-remaining': '0', 'ratelimit-reset': '57' } },
      page([{ id: 'b' }]),
    )
    const { pages, error } = await fetchAll()
    expect(error).toBeUndefined()
    expect((pages[1]?.requestedAtMs ?? 0) - (pages[0]?.receivedAtMs ?? 0)).toBeGreaterThanOrEqual(57_000)
  })

  it.each([
    ['Retry-After in seconds', { 'retry-after': '30' }, 30_000],
    ['Retry-After as a date', { 'retry-after': new Date(START + 40_000).toUTCString() }, 40_000],
    ['the longer of two', { 'retry-after': '5', 'ratelimit-reset': '20' }, 20_000],
  ])('obey %s', async (_what, headers, waitMs) => {
    answers({ ...failure(429, null), headers }, page([{ id: 'a' }]))
    const { pages, error } = await fetchAll()
    expect(error).toBeUndefined()
    expect((pages[0]?.requestedAtMs ?? 0) - START).toBeGreaterThanOrEqual(waitMs)
  })

  it('hold every fetch of the source, not only the one that was told', async () => {
    answers({ ...page([]), headers: { 'ratelimit-remaining': '0', 'ratelimit-reset': '10' } }, page([]))
    await fetchAll()
    const { pages } = await fetchAll({ stream: 'roles' })
    expect((pages[0]?.requestedAtMs ?? 0) - START).toBeGreaterThanOrEqual(10_000)
  })

  it('keep a tenth of the window for what is live: a complete run waits for the next one, a webhook does not', async () => {
    const headers = { 'ratelimit-limit': '300', 'ratelimit-remaining': '30', 'ratelimit-reset': '40' }
    answers({ ...page([{ id: 'a' }]), headers }, { ...page([{ id: 'b' }]), headers }, page([{ id: 'c' }]))
    await fetchAll({ isBulk: true })
    const live = await fetchAll({ stream: 'roles', updatedAfterMs: START })
    expect((live.pages[0]?.requestedAtMs ?? 0) - START).toBeLessThan(40_000)
    const next = await fetchAll({ isBulk: true })
    expect((next.pages[0]?.requestedAtMs ?? 0) - START).toBeGreaterThanOrEqual(40_000)
  })

  it('are waited for a bounded number of times', async () => {
    answers(failure(429, 'PLATFORM.RATE_LIMIT_EXCEEDED'))
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_RATE_LIMITED' })
    expect(fake.seen).toHaveLength(21)
  })
})

describe('failures', () => {
  it.each([
    [409, 'INTEGRATION.SETUP_INCOMPLETE', 'PROVIDER_NOT_READY'],
    [409, 'INTEGRATION.SETUP_SYNC_PENDING', 'PROVIDER_NOT_READY'],
    [409, 'INTEGRATION.QA_FAILED', 'PROVIDER_NOT_READY'],
    [503, 'INTEGRATION.SETUP_SYNC_PENDING', 'PROVIDER_NOT_READY'],
    [409, null, 'PROVIDER_NOT_READY'],
    [401, 'PLATFORM.AUTHENTICATION_INVALID', 'PROVIDER_AUTHENTICATION'],
    [400, 'INTEGRATION.AUTHENTICATION_INVALID', 'PROVIDER_AUTHENTICATION'],
    [403, 'INTEGRATION.PERMISSION_MISSING', 'PROVIDER_REFUSED'],
    [404, 'PLATFORM.INTEGRATION_NOT_FOUND', 'PROVIDER_REFUSED'],
    [400, 'PLATFORM.INPUT_INVALID', 'PROVIDER_REFUSED'],
    [409, 'INTEGRATION.SOMETHING_NEW', 'PROVIDER_REFUSED'],
    [400, '__proto__', 'PROVIDER_REFUSED'],
  ])('%d %s is %s, after one try', async (status, code, expected) => {
    answers(failure(status, code))
    const { error, pages } = await fetchAll()
    expect(error).toMatchObject({ code: expected, fields: { provider_code: code } })
    expect(pages).toEqual([])
    expect(fake.seen).toHaveLength(1)
  })

  it('takes the older 503 with only a message for "not ready"', async () => {
    answers({ status: 503, body: { status: 'error', error: { message: "The first sync didn't finish yet!" } } })
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_NOT_READY' })
    expect(fake.seen).toHaveLength(1)
  })

  it.each([
    ['a 503 of the load balancer', { status: 503, body: '<html>' }, 'PROVIDER_UNAVAILABLE'],
    ['a 503 with a body that is no envelope', { status: 503, body: {} }, 'PROVIDER_UNAVAILABLE'],
    ['a 500', failure(500, 'PLATFORM.UNKNOWN_ERROR'), 'PROVIDER_UNAVAILABLE'],
    ['a 504 without a body', { status: 504 }, 'PROVIDER_UNAVAILABLE'],
    ['an ATS that is down', failure(424, 'REMOTE.SERVICE_UNAVAILABLE'), 'PROVIDER_UNAVAILABLE'],
    ['an empty body', {}, 'PROVIDER_ANSWER_INVALID'],
    ['cut JSON', { body: '{"status":"success","da' }, 'PROVIDER_ANSWER_INVALID'],
    ['no data', { body: { status: 'success' } }, 'PROVIDER_ANSWER_INVALID'],
    ['no list', { body: { status: 'success', data: { next: null } } }, 'PROVIDER_ANSWER_INVALID'],
    ['no next', { body: { status: 'success', data: { results: [] } } }, 'PROVIDER_ANSWER_INVALID'],
  ])('%s is tried six times and then %s', async (_what, scripted, code) => {
    answers(scripted)
    expect((await fetchAll()).error).toMatchObject({ code })
    expect(fake.seen).toHaveLength(6)
  })

  it('goes on from the page that failed, not from the start', async () => {
    answers(page([{ id: 'a' }], 'c1'), { status: 500 }, page([{ id: 'b' }]))
    const { pages, error } = await fetchAll()
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(2)
    expect(fake.seen.map((seen) => seen.query['cursor'])).toEqual([undefined, 'c1', 'c1'])
  })

  it.each([
    ['a 404', { status: 404, body: '<html>' }],
    ['a model that the tool lacks', failure(400, 'INTEGRATION.MODEL_NOT_AVAILABLE')],
    ['a model that is switched off', failure(403, 'INTEGRATION.MODEL_DISABLED')],
  ])('%s means that the stream is not offered', async (_what, scripted) => {
    answers(scripted)
    const { pages, error } = await fetchAll()
    expect(error).toBeUndefined()
    expect(pages.map((one) => one.notOffered)).toEqual([expect.stringContaining('/ats/tags')])
  })

  it('refuses a redirect instead of carrying the key elsewhere', async () => {
    answers({ status: 302, headers: { location: 'http://127.0.0.1:1/' } })
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
    expect(fake.seen).toHaveLength(1)
  })

  it('does not read an answer beyond its bound', async () => {
    answers(page([{ id: 'a', name: 'x'.repeat(50_000) }]))
    expect((await fetchAll()).error).toMatchObject({
      code: 'PROVIDER_ANSWER_INVALID',
      message: expect.stringContaining('larger than 20000 bytes') as string,
    })
    expect(fake.seen).toHaveLength(1)
  })

  it('reports a provider that cannot be reached', async () => {
    await fake.close()
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
  })
})

describe('listings without end', () => {
  it('are given up when a cursor repeats', async () => {
    answers(page([{ id: 'a' }], 'c1'), page([{ id: 'b' }], 'c2'), page([{ id: 'a' }], 'c1'))
    const { error } = await fetchAll()
    expect(error).toMatchObject({
      code: 'PROVIDER_ANSWER_INVALID',
      message: expect.stringContaining('repeated') as string,
    })
    expect(fake.seen).toHaveLength(3)
  })

  it('are given up after too many pages', async () => {
    fake.answer = (_request, count) => page([{ id: `r${count}` }], `c${count}`)
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
    expect(fake.seen).toHaveLength(5)
  })

  it('are given up after too many empty pages', async () => {
    fake.answer = (_request, count) => page([], `c${count}`)
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
    expect(fake.seen).toHaveLength(3)
  })
})

describe('point reads', () => {
  const read = async (remoteKeys: readonly string[]): Promise<PointRead[]> => {
    const all: PointRead[] = []
    const options = {
      integrationId: 'join:abc',
      model: 'tags',
      remoteKeys,
      signal: new AbortController().signal,
    } as const
    for await (const answer of source.pointReads?.read(options) ?? []) all.push(answer)
    return all
  }

  it('ask for the ids, deleted ones too, and tell which do not exist; a row that cannot be mapped exists', async () => {
    answers(
      page([
        { id: 'a', name: 'A' },
        { id: 'b', changed_at: 'never' },
      ]),
    )
    const [answer] = await read(['a', 'b', 'c'])
    expect(fake.seen[0]).toMatchObject({ path: '/v1/ats/tags', query: { ids: 'a,b,c', include_deleted: 'true' } })
    expect(answer?.mapped.records.map(({ remoteKey }) => remoteKey)).toEqual(['a'])
    expect(answer?.absent).toEqual([{ remoteKey: 'c', record: { id: 'c' } }])
  })

  it('go in batches that fit into one page', async () => {
    fake.answer = ({ query }) => page((query['ids'] ?? '').split(',').map((id) => ({ id })))
    const all = await read(Array.from({ length: 250 }, (_, i) => `t${i}`))
    expect(all.map(({ mapped }) => mapped.records.length)).toEqual([100, 100, 50])
    expect(all.flatMap(({ absent }) => absent)).toEqual([])
  })

  it.each([
    ['rows that were not asked for', page([{ id: 'z' }])],
    ['more than one page', page([{ id: 'a' }], 'more')],
  ])('prove nothing when the answer has %s', async (_, answer) => {
    answers(answer)
    await expect(read(['a', 'b'])).rejects.toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
  })

  it('say nothing about a listing that is not offered', async () => {
    answers(failure(404, 'INTEGRATION.MODEL_NOT_AVAILABLE'))
    expect((await read(['a']))[0]).toMatchObject({ absent: [] })
  })

  it('are not offered for what has no listing of its own', async () => {
    expect(source.pointReads?.models.has('screening-questions')).toBe(false)
    expect(source.pagingOf('jobs')).toBe('shifting')
  })
})
