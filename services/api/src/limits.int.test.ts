import { ManualClock } from '@tidemark/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ACME, makeCompany } from './testing/company.ts'
import { openFeed } from './testing/events.ts'
import { openWorld, type Served, type World } from './testing/harness.ts'

let world: World
let clock: ManualClock
const rateLimit = { requests: 3, windowMs: 60_000 }
const a = { authorization: 'Bearer a', 'x-integration-id': ACME }
const b = { authorization: 'Bearer b', 'x-integration-id': ACME }
const apiKeys = [
  { name: 'a', key: 'a' },
  { name: 'b', key: 'b' },
]

beforeAll(async () => {
  world = await openWorld()
  await world.fill(makeCompany(world.maker).changes)
})
beforeEach(() => {
  clock = new ManualClock()
})
afterAll(() => world.close())

const left = ({ headers }: { headers: Headers }): (string | null)[] =>
  ['limit', 'remaining', 'reset'].map((name) => headers.get(`ratelimit-${name}`))
const serve = (): Promise<Served> => world.serve({ apiKeys, clock, options: { rateLimit } })

describe('the request limit', () => {
  test('is told with every answer, also with refusals, and ends with 429 until the window does', async () => {
    const api = await serve()
    expect(left(await api.get('/v1/ats/jobs', a))).toEqual(['3', '2', '60'])
    await clock.advance(1500)
    const refused = await api.get('/v1/ats/jobs?page_size=0', a)
    expect([refused.status, ...left(refused)]).toEqual([400, '3', '1', '59'])
    const method = await fetch(`${api.url}/v1/status`, { method: 'DELETE', headers: a })
    expect([method.status, ...left(method)]).toEqual([405, '3', '0', '59'])
    const { status, body, headers } = await api.get('/v1/ats/jobs', a)
    expect([status, headers.get('retry-after'), headers.get('ratelimit-reset')]).toEqual([429, '59', '59'])
    expect(body).toEqual({
      status: 'error',
      error: {
        code: 'PLATFORM.RATE_LIMIT_EXCEEDED',
        title: 'Too many requests',
        message: expect.stringContaining('59 s'),
        log_url: null,
      },
    })
    await clock.advance(58_500)
    expect(left(await api.get('/v1/ats/jobs', a))).toEqual(['3', '2', '60'])
  })

  test('is counted for each key', async () => {
    const api = await serve()
    for (let n = 0; n < 4; n++) await api.get('/v1/check-api-key', a)
    expect((await api.get('/v1/check-api-key', a)).status).toBe(429)
    expect(left(await api.get('/v1/check-api-key', b))).toEqual(['3', '2', '60'])
  })

  test('is not used up by those who have no key, who are told nothing of it', async () => {
    const api = await serve()
    for (let n = 0; n < 5; n++) {
      const { status, headers } = await api.get('/v1/status', { authorization: 'Bearer wrong' })
      expect([status, headers.get('ratelimit-limit')]).toEqual([401, null])
    }
    expect((await api.get('/v1/status', a)).status).toBe(200)
  })

  test('leaves health open', async () => {
    const api = await serve()
    for (let n = 0; n < 5; n++) expect((await api.get('/healthz')).status).toBe(200)
  })

  test('counts a feed once, however long it is read', async () => {
    const api = await serve()
    const feed = await openFeed(`${api.url}/v1/changes`, { authorization: 'Bearer a' })
    expect(feed.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'ratelimit-limit': '3',
      'ratelimit-remaining': '2',
    })
    await world.append(...makeCompany(world.maker, 'traffit:feed').changes)
    await feed.read(20)
    expect(left(await api.get('/v1/check-api-key', a))).toEqual(['3', '1', '60'])
    feed.close()
  })

  test('is 300 in a minute with keys, and can be switched off', async () => {
    const usual = await world.serve({ apiKeys, clock })
    expect(left(await usual.get('/v1/check-api-key', a))).toEqual(['300', '299', '60'])
    const none = await world.serve({ apiKeys, clock, options: { rateLimit: false } })
    expect(left(await none.get('/v1/check-api-key', a))).toEqual([null, null, null])
  })

  test('holds without keys only where it is configured, by address', async () => {
    const trial = await world.serve({ clock })
    expect(left(await trial.get('/v1/check-api-key'))).toEqual([null, null, null])
    const limited = await world.serve({ clock, options: { rateLimit } })
    for (let n = 0; n < 3; n++) expect((await limited.get('/v1/check-api-key')).status).toBe(200)
    expect((await limited.get('/v1/check-api-key')).status).toBe(429)
  })
})
