import { isoTime } from '@tidemark/projection'
import type { MadeChange } from '@tidemark/projection/testing'
import { ManualClock } from '@tidemark/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type Served, type World } from '../testing/harness.ts'

const A = 'traffit:a'
const NOW = Date.parse('2026-06-01T12:00:00.000Z')
const keys = [
  { name: 'all', key: 'all' },
  { name: 'jobs', key: 'jobs', integrations: [A], models: ['jobs' as const] },
]
const everybody = { authorization: 'Bearer all' }

let world: World
let api: Served
let clock: ManualClock
/** Times before, in the middle of and after what happens. */
let t0: string
let t1: string
let t2: string

beforeAll(async () => {
  world = await openWorld()
  clock = new ManualClock(NOW)
  const make = world.maker.make.bind(world.maker, A)
  const fill = async (made: MadeChange[]): Promise<string> => {
    await world.fill(made)
    return isoTime(made.at(-1)?.change.changed_at ?? 0)
  }
  const anonymized = (made: MadeChange): MadeChange => ({ ...made, change: { ...made.change, op: 'anonymized' } })
  const merged = (made: MadeChange, into: string): MadeChange => ({
    ...made,
    change: { ...made.change, op: 'merged', merged_into_id: into },
  })
  t0 = await fill([
    make('jobs', 'same', { name: 'Cook' }),
    make('jobs', 'updated', { name: 'Cook', location: { city: 'Bree' }, custom_fields: { a: 1, b: 2 } }),
    make('jobs', 'back', { name: 'Cook' }),
    make('jobs', 'gone', { name: 'Cook' }),
    make('jobs', 'restored', { name: 'Cook', remote_deleted_at: 5 }),
    make('candidates', 'anonymized', { first_name: 'Frodo', source: 'Gandalf' }),
    make('candidates', 'merged', { first_name: 'Sam' }),
  ])
  t1 = await fill([
    make('jobs', 'updated', { name: 'Chef', location: { city: 'Bree' }, custom_fields: { a: 1, b: 2 } }),
    make('jobs', 'back', { name: 'Chef' }),
    make('jobs', 'new', { name: 'Gardener' }),
    make('jobs', 'brief', { name: 'Burglar' }),
  ])
  t2 = await fill([
    make('jobs', 'updated', { name: 'Chef', location: { city: 'Bywater' }, custom_fields: { a: 1, b: 3 } }),
    make('jobs', 'back', { name: 'Cook' }),
    make('jobs', 'gone', { name: 'Cook', remote_deleted_at: 7 }),
    make('jobs', 'restored', { name: 'Cook' }),
    make('jobs', 'brief', { name: 'Burglar', remote_deleted_at: 7 }),
    anonymized(make('candidates', 'anonymized', { first_name: null, source: 'Gandalf' })),
    merged(make('candidates', 'merged', { first_name: 'Sam', remote_deleted_at: 7 }), 'frodo'),
    world.maker.make('traffit:b', 'jobs', 'foreign', { name: 'Elsewhere' }),
    make('tags', 'last', { name: 'Hobbit' }),
  ])
  api = await world.serve({ clock, apiKeys: keys })
})
afterAll(() => world.close())

const diff = async (query: string, headers: Record<string, string> = everybody) =>
  api.get(`/v1/diff?integration_id=${A}&${query}`, headers)
// biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely
const results = async (query: string): Promise<any[]> => {
  const { status, body } = await diff(query)
  expect([status, body.error]).toEqual([200, undefined])
  return body.data.results
}
const opsOf = (found: readonly { remote_id: string; op: string }[]): Record<string, string> =>
  Object.fromEntries(found.map(({ remote_id, op }) => [remote_id, op]))

describe('the difference between two times', () => {
  test('names every record that changed with the net effect', async () => {
    expect(opsOf(await results(`from=${t0}&to=${t2}`))).toEqual({
      updated: 'updated',
      back: 'unchanged',
      gone: 'deleted',
      restored: 'restored',
      new: 'created',
      brief: 'deleted',
      anonymized: 'anonymized',
      merged: 'merged',
      last: 'created',
    })
    expect(opsOf(await results(`from=${t1}&to=${t2}`))).toMatchObject({
      brief: 'deleted',
      back: 'updated',
      updated: 'updated',
    })
    expect(opsOf(await results(`from=${t0}&to=${t1}`))).toEqual({
      updated: 'updated',
      back: 'updated',
      new: 'created',
      brief: 'created',
    })
  })

  test('shows versions, the number of changes and the fields that differ', async () => {
    const found = await results(`from=${t0}&to=${t2}`)
    const of = (remote: string) => found.find(({ remote_id }) => remote_id === remote)
    expect(of('updated')).toEqual({
      model: 'jobs',
      id: world.maker.idOf(A, 'jobs', 'updated'),
      remote_id: 'updated',
      op: 'updated',
      from_version: 1,
      to_version: 3,
      change_count: 2,
      changed_at: expect.stringMatching(/Z$/),
      merged_into_id: null,
      erased: false,
      changes: [
        { path: '/name', op: 'replace', before: 'Cook', after: 'Chef' },
        { path: '/location/city', op: 'replace', before: 'Bree', after: 'Bywater' },
        { path: '/custom_fields/b', op: 'replace', before: 2, after: 3 },
      ],
    })
    expect(of('back')).toMatchObject({ from_version: 1, to_version: 3, change_count: 2, changes: [] })
    expect(of('new')).toMatchObject({ from_version: null, to_version: 1 })
    expect(of('new').changes).toContainEqual({ path: '/name', op: 'add', before: null, after: 'Gardener' })
    expect(of('gone').changes).toEqual([
      { path: '/remote_deleted_at', op: 'add', before: null, after: '1970-01-01T00:00:00.007Z' },
    ])
    expect(of('merged')).toMatchObject({ merged_into_id: 'frodo' })
  })

  test('leaves out what changed exactly at its beginning, and takes what changed at its end', async () => {
    const before = isoTime(Date.parse(t2) - 1)
    expect(opsOf(await results(`from=${before}&to=${t2}`))).toEqual({ last: 'created' })
    expect(await results(`from=${t2}&to=${isoTime(NOW)}`)).toEqual([])
  })
})

describe('its pages', () => {
  test.each(['', '&model=jobs', '&model=jobs,tags'])('hold each record once, in one order%s', async (model) => {
    const whole = await results(`from=${t0}&to=${t2}${model}`)
    const seen = []
    let cursor = ''
    do {
      const { body } = await diff(`from=${t0}&to=${t2}${model}&page_size=2${cursor}`)
      expect(body.data.results.length).toBeGreaterThan(0)
      seen.push(...body.data.results)
      cursor = body.data.next === null ? '' : `&cursor=${body.data.next}`
    } while (cursor !== '')
    expect(seen).toEqual(whole)
  })

  test('end at the time of the first one when no end is given', async () => {
    const { body } = await diff(`from=${t0}&page_size=4`)
    expect(body.data).toMatchObject({ integration_id: A, from: t0, to: isoTime(NOW) })
    await clock.advance(60_000)
    const second = await diff(`from=${t0}&page_size=4&cursor=${body.data.next}`)
    expect(second.body.data.to).toBe(isoTime(NOW))
  })

  test('belong to their question', async () => {
    const { body } = await diff(`from=${t0}&to=${t2}&page_size=2`)
    for (const other of [`from=${t1}&to=${t2}`, `from=${t0}`, `from=${t0}&to=${t2}&model=jobs`]) {
      const { status, body: answer } = await diff(`${other}&cursor=${body.data.next}`)
      expect([status, answer.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    }
  })
})

describe('who may ask', () => {
  test('is a key for its models only', async () => {
    const narrow = { authorization: 'Bearer jobs' }
    const { body } = await diff(`from=${t0}&to=${t2}`, narrow)
    expect(new Set(body.data.results.map(({ model }: { model: string }) => model))).toEqual(new Set(['jobs']))
    expect((await diff(`from=${t0}&model=candidates`, narrow)).status).toBe(403)
    const foreign = await api.get(`/v1/diff?integration_id=traffit:b&from=${t0}`, narrow)
    expect([foreign.status, foreign.body.error.code]).toEqual([404, 'PLATFORM.INTEGRATION_NOT_FOUND'])
  })

  test('names the integration by parameter or header', async () => {
    const own = { ...everybody, 'x-integration-id': A }
    expect((await api.get(`/v1/diff?from=${t0}&to=${t2}`, own)).body).toEqual((await diff(`from=${t0}&to=${t2}`)).body)
    const both = await api.get(`/v1/diff?integration_id=traffit:b&from=${t0}`, own)
    expect([both.status, both.body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    expect((await api.get(`/v1/diff?from=${t0}`, everybody)).status).toBe(400)
    expect((await api.get(`/v1/diff?integration_id=no:one&from=${t0}`, everybody)).status).toBe(404)
  })

  test('asks for a range of the past', async () => {
    for (const query of [
      '',
      'from=x',
      'to=2026-05-01',
      `from=${t2}&to=${t0}`,
      `from=${t0}&to=${t0}`,
      `from=${t0}&to=2999-01-01`,
      `from=${t0}&model=people`,
      `from=${t0}&page_size=0`,
    ]) {
      const { status, body } = await diff(query)
      expect([query, status, body.error.code]).toEqual([query, 400, 'PLATFORM.INPUT_INVALID'])
    }
    const early = await diff(`from=2026-01-01&to=${t2}`)
    expect(early.status).toBe(400)
    expect(early.body.error.message).toContain('2026-03-01T09:00:01.000Z')
  })
})

test('records whose personal data was erased say so', async () => {
  await world.fill([world.maker.make(A, 'candidates', 'erased', { first_name: 'Bilbo' })])
  await world.store.query(
    `update tidemark.candidates set first_name = null, erased_at = now() where remote_id = 'erased'`,
  )
  expect(await results(`from=${t2}&model=candidates`)).toMatchObject([{ remote_id: 'erased', erased: true }])
})
