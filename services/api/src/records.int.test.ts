import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type Served, type World } from './testing/harness.ts'

let world: World
let api: Served
const A = 'traffit:a'
const B = 'traffit:b'
let id: string

beforeAll(async () => {
  world = await openWorld()
  const make = world.maker.make.bind(world.maker, A)
  id = world.maker.idOf(A, 'candidates', '1')
  const frodo = { first_name: 'Frodo', custom_fields: { height: 124 } }
  await world.fill([
    make('candidates', '1', frodo),
    make('candidates', '1', { ...frodo, location: { city: 'Hobbiton' } }),
    make('candidates', '1', { ...frodo, location: { city: 'Bree' }, remote_deleted_at: 5000 }),
    make('candidates', '1', { ...frodo, location: { city: 'Bree' }, last_name: 'Baggins' }),
    make('candidates', '2', { first_name: 'a\u0000b' }),
    // The same public id in another integration, as Kombo's ids may be.
    world.maker.make(B, 'tags', '9', { name: 'mine' }),
    make('tags', '9', { name: 'yours' }),
  ])
  await world.store.query(`update tidemark.tags set id = 'shared'`)
  api = await world.serve()
})
afterAll(() => world.close())

describe('a record', () => {
  test('is shown as it is now, with its version and where it came from', async () => {
    const { status, body } = await api.get(`/v1/records/candidates/${id}`)
    expect(status).toBe(200)
    expect(body.data).toMatchObject({
      model: 'candidates',
      integration_id: A,
      id,
      remote_id: '1',
      version: 4,
      op: 'restored',
      remote_deleted_at: null,
      position: { partition: expect.any(Number), offset: 3 },
      record: { id, last_name: 'Baggins', location: { city: 'Bree', zip_code: null }, custom_fields: { height: 124 } },
    })
    expect(body.data.changed_at).toMatch(/^2026-03-01T09:00:\d\d\.000Z$/)
  })

  test.each(['', '/history'])('that is not there is answered with 404%s', async (suffix) => {
    const { status, body } = await api.get(`/v1/records/jobs/${id}${suffix}`)
    expect(status).toBe(404)
    expect(body.error).toEqual({
      code: 'TIDEMARK.RECORD_NOT_FOUND',
      title: expect.any(String),
      message: expect.any(String),
      log_url: null,
    })
  })

  test('of several integrations is refused with their names until one is chosen', async () => {
    const both = await api.get('/v1/records/tags/shared')
    expect([both.status, both.body.error.code]).toEqual([400, 'TIDEMARK.RECORD_AMBIGUOUS'])
    expect(both.body.error.message).toContain(`${A}, ${B}`)
    const one = await api.get('/v1/records/tags/shared', { 'x-integration-id': B })
    expect(one.body.data).toMatchObject({ integration_id: B, record: { name: 'mine' } })
  })

  test('is not shown to a key without its integration, which also settles what would be ambiguous', async () => {
    const apiKeys = [{ name: 'b', key: 'k', integrations: [B] }]
    const narrow = await world.serve({ apiKeys })
    const headers = { authorization: 'Bearer k' }
    expect((await narrow.get(`/v1/records/candidates/${id}`, headers)).status).toBe(404)
    expect((await narrow.get('/v1/records/tags/shared', headers)).body.data.integration_id).toBe(B)
  })

  test('holds what PostgreSQL can hold of it', async () => {
    const other = world.maker.idOf(A, 'candidates', '2')
    expect((await api.get(`/v1/records/candidates/${other}`)).body.data.record.first_name).toBe('a\ufffdb')
  })
})

describe('history', () => {
  // biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely
  const history = async (query = ''): Promise<any> =>
    (await api.get(`/v1/records/candidates/${id}/history${query}`)).body.data

  test('shows every field change with before, after, when, op and cause, newest first', async () => {
    const { results, next, integration_id } = await history()
    expect([integration_id, next]).toEqual([A, null])
    expect(results.map((change: { version: number; op: string }) => [change.version, change.op])).toEqual([
      [4, 'restored'],
      [3, 'deleted'],
      [2, 'updated'],
      [1, 'created'],
    ])
    expect(results[1]).toMatchObject({
      changed_at: expect.stringMatching(/Z$/),
      cause: { kind: 'webhook', event_name: 'data-changed', observed: { offset: expect.any(Number) } },
      position: { offset: 2 },
    })
    const city = (name: string) => expect.objectContaining({ city: name })
    expect(results[1].changes).toEqual([
      { path: '/location', op: 'replace', before: city('Hobbiton'), after: city('Bree') },
      { path: '/remote_deleted_at', op: 'add', before: null, after: '1970-01-01T00:00:05.000Z' },
    ])
  })

  test('begins with the first value of every field', async () => {
    const { results } = await history('?order=oldest&page_size=1')
    expect(results[0].changes).toEqual(
      expect.arrayContaining([{ path: '/custom_fields', op: 'add', before: null, after: { height: 124 } }]),
    )
  })

  test.each([
    ['location', [2, 3]],
    ['/location/city', [2, 3]],
    ['first_name', [1]],
    ['last_name', [4]],
    ['/custom_fields/height', [1]],
    ['source', []],
  ])('of the field %s', async (field, expected) => {
    const { results } = await history(`?order=oldest&field=${encodeURIComponent(field)}`)
    expect(results.map((change: { version: number }) => change.version)).toEqual(expected)
    for (const change of results) {
      const name = field.split('/').find((part) => part !== '')
      expect(change.changes.map((c: { path: string }) => c.path)).toEqual([`/${name}`])
    }
  })

  test.each(['newest', 'oldest'])('comes page by page, %s first', async (order) => {
    const versions: number[] = []
    let cursor = ''
    do {
      const page = await history(`?order=${order}&page_size=3${cursor}`)
      versions.push(...page.results.map((change: { version: number }) => change.version))
      cursor = page.next === null ? '' : `&cursor=${page.next}`
    } while (cursor !== '')
    expect(versions).toEqual(order === 'newest' ? [4, 3, 2, 1] : [1, 2, 3, 4])
  })

  test.each(['?field=nonsense', '?order=random', '?page_size=501', '?cursor=x'])('refuses %s', async (query) => {
    const { status, body } = await api.get(`/v1/records/candidates/${id}/history${query}`)
    expect([status, body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
  })

  test('refuses a model that does not exist', async () => {
    expect((await api.get(`/v1/records/people/${id}/history`)).status).toBe(400)
  })
})

describe('a record as it was', () => {
  // Its versions were observed on these seconds of the first minute after nine.
  const at = (second: number): string => `2026-03-01T09:00:0${second}.000Z`
  // biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely
  const state = async (query: string): Promise<any> => (await api.get(`/v1/records/candidates/${id}${query}`)).body.data

  test('at a time is its last version observed until then', async () => {
    expect(await state(`?as_of=${at(2)}`)).toMatchObject({
      version: 2,
      op: 'updated',
      changed_at: at(2),
      superseded_at: at(3),
      erased_at: null,
      record: { id, location: { city: 'Hobbiton' }, last_name: null },
    })
    expect(await state('?as_of=2026-03-01T09:00:03.999Z')).toMatchObject({
      version: 3,
      remote_deleted_at: expect.any(String),
    })
    expect(await state('?as_of=2026-05-01')).toMatchObject({ version: 4, superseded_at: null })
    expect(await state(`/at?time=${at(2)}`)).toEqual(await state(`?as_of=${at(2)}`))
  })

  test('in a version has the time at which that ended, and the last one has none', async () => {
    const versions = await Promise.all([1, 2, 3, 4].map((version) => state(`/at?version=${version}`)))
    expect(
      versions.map(({ version, op, changed_at, superseded_at }) => [version, op, changed_at, superseded_at]),
    ).toEqual([
      [1, 'created', at(1), at(2)],
      [2, 'updated', at(2), at(3)],
      [3, 'deleted', at(3), at(4)],
      [4, 'restored', at(4), null],
    ])
    expect(versions[3]).toEqual({ ...(await state('')), superseded_at: null })
    expect(versions[0].record).toMatchObject({ first_name: 'Frodo', location: null, custom_fields: { height: 124 } })
  })

  test('in a version that there is not is answered with those that there are', async () => {
    const five = await api.get(`/v1/records/candidates/${id}/at?version=5`)
    expect([five.status, five.body.error.code]).toEqual([404, 'TIDEMARK.RECORD_NOT_FOUND'])
    expect(five.body.error.message).toContain('versions 1 to 4')
    const other = world.maker.idOf(A, 'candidates', '2')
    const two = await api.get(`/v1/records/candidates/${other}/at?version=2`)
    expect(two.body.error.message).toContain('only version 1')
  })

  test.each(['', '/history'])(
    'before it was observed is answered with 404, and from when on it is known%s',
    async (suffix) => {
      const { status, body } = await api.get(`/v1/records/candidates/${id}${suffix}?as_of=2026-03-01T09:00:00.999Z`)
      expect([status, body.error.code]).toEqual([404, 'TIDEMARK.RECORD_NOT_FOUND'])
      expect(body.error.message).toContain(at(1))
    },
  )

  test.each([
    '/at',
    `/at?version=1&time=2026-05-01`,
    '/at?version=0',
    '/at?version=x',
    '/at?time=x',
    '/at?time=2999-01-01',
    '?as_of=2999-01-01',
    '?as_of=x',
  ])('refuses %s', async (query) => {
    const { status, body } = await api.get(`/v1/records/candidates/${id}${query}`)
    expect([status, body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
  })

  test('is shown only to keys that may see it', async () => {
    const apiKeys = [{ name: 'b', key: 'k', integrations: [B] }]
    const narrow = await world.serve({ apiKeys })
    const headers = { authorization: 'Bearer k' }
    for (const query of ['?as_of=2026-05-01', '/at?version=1', '/at?time=2026-05-01']) {
      expect((await narrow.get(`/v1/records/candidates/${id}${query}`, headers)).status).toBe(404)
    }
  })

  test('has the history of then', async () => {
    const { results } = await state(`/history?as_of=${at(2)}`)
    expect(results.map(({ version }: { version: number }) => version)).toEqual([2, 1])
  })

  test('says between which times the provider changed it', async () => {
    const seen = world.maker.make(A, 'users', 'u1', { first_name: 'Bilbo' })
    const cause = { ...seen.change.cause, previous_seen_at: Date.parse(at(1)), first_seen_at: Date.parse(at(7)) }
    await world.fill([{ ...seen, change: { ...seen.change, cause } }])
    const { body } = await api.get(`/v1/records/users/${world.maker.idOf(A, 'users', 'u1')}/history`)
    expect(body.data.results[0].window).toEqual({ previous_seen_at: at(1), first_seen_at: at(7) })
    const [first] = (await state('/history')).results
    expect(first.window).toEqual({ previous_seen_at: null, first_seen_at: at(4) })
  })
})
