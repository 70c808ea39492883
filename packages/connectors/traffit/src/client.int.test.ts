import { seededRandom } from '@tidemark/base'
import type { FetchOptions, Page, PointRead, Source } from '@tidemark/connector'
import { drive } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type FakeTraffit,
  failure,
  granted,
  page,
  pageOf,
  type Scripted,
  startFakeTraffit,
} from '../test/fakeTraffit.ts'
import { CLIENT_LIMITS } from './client.ts'
import { DEFAULT_SCOPES, type TraffitOptions } from './options.ts'
import { createSource } from './source.ts'

const START = Date.parse('2026-03-01T09:00:00.000Z')
const DAY = 86_400_000

let fake: FakeTraffit
let clock: ManualClock
let source: Source

const create = (more: Partial<TraffitOptions> = {}): Source =>
  createSource(
    {
      ...{ baseUrl: fake.baseUrl, clientId: 'acme_tidemark', clientSecret: 'the-client-secret' },
      ...{ webhookSecret: 'the-webhook-secret', integration: 'traffit:acme', timeZone: 'UTC' },
      ...{ scopes: DEFAULT_SCOPES, applicationsCreatedAfterMs: null, requestsPerSecond: 5, ...more },
    },
    { clock, random: seededRandom(7) },
    { client: { ...CLIENT_LIMITS, bodyBytesMax: 20_000, idleTimeoutMs: 5000 }, cursor: { pagesMax: 5 } },
  )

beforeEach(async () => {
  fake = await startFakeTraffit()
  clock = new ManualClock(START)
  source = create()
})

afterEach(async () => {
  await source.close()
  await fake.close()
})

async function fetchAll(more: Partial<FetchOptions> = {}): Promise<{ pages: Page[]; error: unknown }> {
  const pages: Page[] = []
  const work = async (): Promise<{ pages: Page[]; error: unknown }> => {
    try {
      const options = { integrationId: 'traffit:acme', stream: 'users', signal: new AbortController().signal, ...more }
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
const keys = (pages: readonly Page[]): string[] =>
  pages.flatMap(({ mapped }) => mapped.records.map(({ remoteKey }) => remoteKey))

describe('tokens', () => {
  it('are made anew where a scope is missing, unless they are new: it may have been added since', async () => {
    fake.token = (_request, count) => granted(`token-${count + 1}`)
    const isAllowed = (token: string | undefined): boolean => token === 'Bearer token-2'
    fake.answer = ({ headers }) => (isAllowed(headers.authorization) ? page([{ id: 1 }], 1, 1) : failure(403))
    expect((await fetchAll()).pages[0]?.notOffered).toContain('scope `user`')
    // Asked again at once it is still the same, and nobody asks for another token.
    expect((await fetchAll()).pages[0]?.notOffered).toContain('scope `user`')
    expect(fake.minted).toHaveLength(1)
    await clock.advance(60_000)
    expect(keys((await fetchAll()).pages)).toEqual(['1'])
    expect(fake.minted).toHaveLength(2)
    // Where it is missing all the same, that costs one token a minute and no more.
    fake.answer = () => failure(403)
    await clock.advance(60_000)
    for (let n = 0; n < 3; n++) expect((await fetchAll()).pages[0]?.notOffered).toContain('scope `user`')
    expect(fake.minted).toHaveLength(3)
  })

  it('are asked for by client credentials and with all scopes, once, and sent with every request', async () => {
    answers(page([{ id: 1 }], 1, 2), page([{ id: 2 }], 2, 2))
    await fetchAll()
    expect(fake.minted).toHaveLength(1)
    expect(JSON.parse(fake.minted[0]?.body ?? '')).toEqual({
      grant_type: 'client_credentials',
      client_id: 'acme_tidemark',
      client_secret: 'the-client-secret',
      scope: DEFAULT_SCOPES.join(' '),
    })
    expect(fake.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-1', 'Bearer token-1'])
  })

  it('are asked for once by fetches that begin together', async () => {
    await Promise.all([fetchAll(), fetchAll({ stream: 'application-stages' })])
    expect(fake.minted).toHaveLength(1)
  })

  it('are replaced before they expire', async () => {
    fake.token = (_request, count) => granted(`token-${count}`)
    await fetchAll()
    await clock.advance(30 * DAY - 500_000)
    await fetchAll()
    expect(fake.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-0', 'Bearer token-1'])
  })

  it('that are refused are replaced once, and then it is over', async () => {
    fake.token = (_request, count) => granted(`token-${count}`)
    answers(failure(401), page([{ id: 1 }]))
    expect(keys((await fetchAll()).pages)).toEqual(['1'])
    expect(fake.minted).toHaveLength(2)
    answers(failure(401))
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect(fake.seen).toHaveLength(4)
  })

  it.each([
    ['400', { status: 400, body: { error: 'invalid_client', error_description: 'the-client-secret is wrong' } }, 1],
    ['401', { status: 401, body: {} }, 1],
    ['an answer without one', { body: {} }, 6],
  ])('that are not granted (%s) end the fetch without the secret in the message', async (_what, scripted, tries) => {
    fake.token = () => scripted
    const { error } = await fetchAll()
    expect(error).toMatchObject({ code: tries === 1 ? 'PROVIDER_AUTHENTICATION' : 'PROVIDER_ANSWER_INVALID' })
    expect(String(error)).not.toContain('the-client-secret')
    expect(fake.minted).toHaveLength(tries)
    expect(fake.seen).toHaveLength(0)
  })
})

describe('listings', () => {
  it('are asked for by 100 rows in the order of ids, and shown with their page', async () => {
    answers(page([{ id: 1 }], 1, 2, 101), page([{ id: 2 }], 2, 2, 101))
    const { pages } = await fetchAll()
    expect(fake.seen[1]).toMatchObject({
      path: '/api/integration/v2/users/',
      headers: {
        'x-request-page-size': '100',
        'x-request-current-page': '2',
        'x-request-sort': '{"sort_by":"id","direction":"ASC"}',
      },
    })
    expect(fake.seen[1]?.headers).not.toHaveProperty('x-request-filter')
    expect(pages.map(({ route, total }) => [route, total])).toEqual([
      [`GET ${fake.baseUrl}/api/integration/v2/users/#page=1`, 101],
      [`GET ${fake.baseUrl}/api/integration/v2/users/#page=2`, 101],
    ])
  })

  it('go on behind a short and an empty page as long as the total says', async () => {
    answers(page([{ id: 1 }], 1, 3), page([], 2, 3), page([{ id: 3 }], 3, 3))
    expect(keys((await fetchAll()).pages)).toEqual(['1', '3'])
    expect(fake.seen).toHaveLength(3)
  })

  it('without a total end with a page that is not full', async () => {
    const full = Array.from({ length: 100 }, (_, id) => ({ id }))
    answers({ body: full }, { body: [{ id: 100 }] })
    expect(keys((await fetchAll()).pages)).toHaveLength(101)
    expect(fake.seen).toHaveLength(2)
  })

  it('that are not paged at all are taken as they are', async () => {
    answers({ body: Array.from({ length: 150 }, (_, id) => ({ id })) })
    const { pages, error } = await fetchAll()
    expect(error).toBeUndefined()
    expect(keys(pages)).toHaveLength(150)
  })

  it.each([
    ['repeat themselves', () => page([{ id: 1 }], 1, 9), 2],
    ['never end', (number: number) => page([{ id: number }], number, 99_999), 5],
  ])('that %s are given up', async (_what, answer, requests) => {
    fake.answer = (request) => answer(pageOf(request))
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
    expect(fake.seen).toHaveLength(requests)
  })

  it('that are no list are refused', async () => {
    answers({ body: { fields: {} } })
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
  })

  it('hand the body on byte for byte', async () => {
    const body = '[ {"id":1,"name":"é"} ]'
    answers({ body })
    const { pages } = await fetchAll()
    expect(Buffer.from(pages[0]?.body ?? []).toString()).toBe(body)
  })
})

describe('what changed', () => {
  const filters = (): unknown[] => fake.seen.map(({ headers }) => headers['x-request-filter'])
  const candidates = { stream: 'candidates', updatedAfterMs: START + 900 }

  it('is asked for as the tenant writes times, from a little earlier on', async () => {
    await fetchAll(candidates)
    expect(filters()[0]).toBe('{"updated_at":{"value":"2026-03-01 08:58:00","comparison":">="}}')
  })

  it('is asked for an hour earlier where clocks are set back', async () => {
    await source.close()
    source = create({ timeZone: 'Europe/Warsaw' })
    await fetchAll(candidates)
    expect(filters()[0]).toBe('{"updated_at":{"value":"2026-03-01 08:58:00","comparison":">="}}')
    await fetchAll({ stream: 'applications', updatedAfterMs: Date.parse('2026-10-25T01:10:00Z') })
    expect(filters().at(-2)).toBe('{"created_at":{"value":"2026-10-25 02:08:00","comparison":">="}}')
  })

  it('is everything where the listing does not know the filter', async () => {
    fake.answer = ({ headers, path }) => {
      if (headers['x-request-filter'] !== undefined) return failure(400, 'unknown filter')
      return page(path.endsWith('/employees/') ? [{ id: 1 }] : [])
    }
    const { pages, error } = await fetchAll(candidates)
    expect(error).toBeUndefined()
    expect(keys(pages)).toEqual(['1'])
  })

  it('takes no source from a listing that is not in the order that was asked for', async () => {
    const came = (id: number, value: string): object => ({ id, employee: { id: 1 }, dictionary_item: { id: 5, value } })
    fake.answer = ({ path }) => page(path.endsWith('/employees/') ? [{ id: 1 }] : [came(8, 'old'), came(9, 'new')])
    expect((await fetchAll(candidates)).pages.at(-1)?.mapped.records[0]?.record).not.toHaveProperty('source')
    const whole = await fetchAll({ stream: 'candidates' })
    expect(whole.pages.at(-1)?.mapped.records[0]?.record).toMatchObject({ source: 'new' })
  })
})

describe('redirects', () => {
  const moved = (location: string): Scripted => ({ status: 301, headers: { location } })

  it('are followed on the same host, with the token', async () => {
    answers(moved('/api/integration/v2/users'), page([{ id: 1 }]))
    expect(keys((await fetchAll()).pages)).toEqual(['1'])
    expect(fake.seen[1]).toMatchObject({
      path: '/api/integration/v2/users',
      headers: { authorization: 'Bearer token-1', 'x-request-current-page': '1' },
    })
  })

  it.each(['https://elsewhere.example/users', 'http://127.0.0.1:1/users', '//elsewhere.example/'])(
    'never to %s',
    async (location) => {
      answers(moved(location))
      expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
      expect(fake.seen).toHaveLength(1)
    },
  )

  it('in a circle are given up', async () => {
    answers(moved('/api/integration/v2/users/'))
    expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
    expect(fake.seen).toHaveLength(4)
  })
})

describe('failures', () => {
  it.each([
    [400, 'PROVIDER_REFUSED'],
    [404, 'PROVIDER_REFUSED'],
    [410, 'PROVIDER_REFUSED'],
    [422, 'PROVIDER_REFUSED'],
    [423, 'PROVIDER_NOT_READY'],
  ])('%d of a listing is %s, after one try', async (status, code) => {
    answers(failure(status))
    expect((await fetchAll()).error).toMatchObject({ code, fields: { status } })
    expect(fake.seen).toHaveLength(1)
  })

  it.each([
    { error: 'x', error_description: 'the-webhook-secret' },
    { code: 422, message: 'see the-webhook-secret' },
    { errors: { url: ['bad', 'https://us/?secret=the-webhook-secret'] } },
  ])('are explained in any shape and without secrets: %j', async (body) => {
    answers({ status: 422, body })
    const { error } = await fetchAll()
    expect(String(error)).toContain('***')
    expect(String(error)).not.toContain('the-webhook-secret')
  })

  it('of a page behind the first are not an end', async () => {
    answers(page([{ id: 1 }], 1, 2), failure(403))
    const { pages, error } = await fetchAll()
    expect(pages).toHaveLength(1)
    expect(error).toMatchObject({ code: 'PROVIDER_REFUSED' })
  })

  it('of a proxy are no absence', async () => {
    answers({ status: 404, headers: { 'content-type': 'text/html' }, body: '<html>no such site</html>' })
    const signal = new AbortController().signal
    const read = async (): Promise<unknown> => {
      const keysAsked = { integrationId: 'traffit:acme', model: 'users', remoteKeys: ['1'], signal } as const
      for await (const answer of source.pointReads?.read(keysAsked) ?? []) return answer
      return undefined
    }
    const [outcome] = await drive(clock, Promise.allSettled([read()]))
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'PROVIDER_REFUSED' } })
  })

  it('of another record than the one asked for prove nothing', async () => {
    answers({ body: { id: 2 } })
    const signal = new AbortController().signal
    const asked = { integrationId: 'traffit:acme', model: 'users', remoteKeys: ['1'], signal } as const
    const read = async (): Promise<void> => {
      for await (const answer of source.pointReads?.read(asked) ?? []) expect(answer.absent).toEqual([])
    }
    const [outcome] = await drive(clock, Promise.allSettled([read()]))
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'PROVIDER_ANSWER_INVALID' } })
  })

  it('of the public list leave what it tells as it was', async () => {
    fake.answer = ({ path }) => {
      if (path.startsWith('/public')) return { status: 404, body: '<html>no career page</html>' }
      return path.endsWith('/recruitments/60')
        ? { body: { id: 60 } }
        : page(path.endsWith('/recruitments/') ? [{ id: 60 }] : [])
    }
    const { pages, error } = await fetchAll({ stream: 'jobs' })
    expect(error).toBeUndefined()
    expect(keys(pages)).toEqual(['60'])
    expect(pages.at(-1)?.mapped.records[0]?.record).not.toHaveProperty('description')
    expect(pages.flatMap(({ mapped }) => mapped.childLists)).toEqual([])
    expect(fake.seen.find(({ path }) => path.startsWith('/public'))?.headers).not.toHaveProperty('authorization')
  })
})

describe('single records that may not be read', () => {
  const history = (employee: number, ended: boolean): object => ({
    ...{ id: employee, date: '2026-02-01 10:00:00', employee: { id: employee }, recruitment: { id: 52 } },
    ...{ workflow_state: { id: 19, type: 'start' }, ...(ended ? { end_date: '2026-02-02 10:00:00' } : {}) },
  })
  const refuse = (path: RegExp, others: (path: string) => Scripted): void => {
    fake.answer = (request) => (path.test(request.path) ? failure(403) : others(request.path))
  }

  it.each([403, 404])(
    'as the candidate of an application (%d) keep no application from being delivered',
    async (status) => {
      fake.answer = ({ path }) => {
        if (/employees\/1\b/.test(path)) return failure(status)
        if (path.endsWith('/employees/2/recruitments')) return page([{ recruitment: { id: 52 }, state: { id: 19 } }])
        return page(
          path.endsWith('/recruitment_history') ? [history(1, true), history(2, true), history(3, false)] : [],
        )
      }
      const { pages, error } = await fetchAll({ stream: 'applications' })
      expect(error).toBeUndefined()
      expect(keys(pages)).toEqual(['3:52', '2:52'])
      expect(pages.flatMap(({ mapped }) => mapped.failures)).toEqual([])
      // Of one who may not be read it is not known whether the application is gone; of one who is gone it is.
      const incomplete = pages.flatMap(({ mapped }) => mapped.incompleteModels ?? [])
      expect(incomplete).toEqual(status === 403 ? ['applications'] : [])
    },
  )

  it('are neither observed nor absent when they are asked for, and hold up no other', async () => {
    refuse(/employees\/1\b/, () => page([{ recruitment: { id: 52 }, state: { id: 19 } }]))
    const signal = new AbortController().signal
    const asked = {
      integrationId: 'traffit:acme',
      model: 'applications',
      remoteKeys: ['1:52', '2:52'],
      signal,
    } as const
    const read = async (): Promise<PointRead[]> => {
      const answers: PointRead[] = []
      for await (const answer of source.pointReads?.read(asked) ?? []) answers.push(answer)
      return answers
    }
    const answers = await drive(clock, read())
    expect(answers.flatMap(({ absent }) => absent)).toEqual([])
    expect(answers.flatMap(({ notOffered }) => notOffered ?? [])).toEqual([expect.stringContaining('/employees/1/')])
    expect(keys(answers)).toEqual(['2:52'])
  })

  it('as the detail of a job leave it what the listing shows', async () => {
    refuse(/recruitments\/60$/, (path) => {
      if (path.endsWith('/recruitments/61')) return { body: { id: 61, status: 'active', is_closed: false } }
      return page(
        path.endsWith('/recruitments/')
          ? [
              { id: 60, name: 'Secret' },
              { id: 61, name: 'Open' },
            ]
          : [],
      )
    })
    const { pages, error } = await fetchAll({ stream: 'jobs' })
    expect(error).toBeUndefined()
    const records = pages.flatMap(({ mapped }) => mapped.records)
    expect(records).toMatchObject([
      { remoteKey: '60', record: { remote_id: '60', name: 'Secret' } },
      { remoteKey: '61', record: { name: 'Open', status: 'OPEN' } },
    ])
    expect(records[0]?.record).not.toHaveProperty('custom_fields')
  })
})

it('a record that is joined from several answers is as old as the oldest', async () => {
  fake.answer = ({ path }) => {
    if (path.endsWith('/recruitments/')) return page([{ id: 60 }, { id: 61 }])
    return /\d+$/.test(path) ? { body: { id: Number(path.split('/').at(-1)) } } : page([])
  }
  const { pages } = await fetchAll({ stream: 'jobs' })
  const published = pages.find(({ route }) => route.includes('/public/'))
  const details = pages.filter(({ route }) => /\d+$/.test(route) && !route.includes('#'))
  expect(details).toHaveLength(2)
  for (const detail of details) {
    expect(detail.requestedAtMs).toBe(published?.requestedAtMs)
    expect(detail.receivedAtMs).toBeGreaterThan(detail.requestedAtMs)
  }
})

it.each([404, 403])('a candidate whose tags are answered %d says nothing about tags', async (status) => {
  fake.answer = ({ path }) => (path.endsWith('/tags') ? failure(status) : page([{ id: 1 }]))
  const { pages } = await fetchAll({ stream: 'tags' })
  expect(pages.at(-1)?.mapped).toMatchObject({ childLists: [], incompleteModels: ['tags'] })
})
