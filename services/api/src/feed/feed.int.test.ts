import { changesTopic } from '@tidemark/model'
import type { MadeChange } from '@tidemark/projection/testing'
import type { SqlStore } from '@tidemark/store'
import { ManualClock } from '@tidemark/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openFeed } from '../testing/events.ts'
import { openTables, openWorld, type Served, type World } from '../testing/harness.ts'

let tables: SqlStore
let world: World
let api: Served
beforeAll(async () => {
  tables = await openTables()
})
afterAll(() => tables.close())
beforeEach(async () => {
  world = await openWorld(tables)
  api = await world.serve()
})
afterEach(() => world.close())

const A = 'traffit:a'
const candidate = (remote: string, name: string): MadeChange =>
  world.maker.make(A, 'candidates', remote, { first_name: name })
const eventId = (made: MadeChange): string => made.change.event_id
const seen = (events: readonly { data: { event_id: string } }[]): string[] => events.map((event) => event.data.event_id)

/** The number of feed clients, when it has become this. */
async function clients(expected: number): Promise<number> {
  for (let n = 0; n < 500; n++) {
    const { body } = await api.get('/v1/status')
    if (body.data.feed_clients === expected) return expected
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return -1
}

describe('an event', () => {
  test('is the whole change as JSON', async () => {
    const feed = await openFeed(`${api.url}/v1/changes`)
    await feed.until(() => feed.lastEventId !== undefined)
    const first = world.maker.make(A, 'jobs', '1', { name: 'Cook', opened_at: 0, custom_fields: { n: 'a\nb' } })
    const second = world.maker.make(A, 'jobs', '1', { name: 'Chef', opened_at: 0, custom_fields: { n: 'a\nb' } })
    await world.append(first, second)
    const [created, updated] = await feed.read(2)
    expect(created?.event).toBe('change')
    expect(updated?.data).toEqual({
      event_id: eventId(second),
      integration_id: A,
      model: 'jobs',
      id: first.change.id,
      remote_id: '1',
      version: 2,
      op: 'updated',
      changed_at: new Date(second.change.changed_at).toISOString(),
      remote_changed_at: null,
      merged_into_id: null,
      cause: expect.objectContaining({ kind: 'webhook', first_seen_at: expect.stringMatching(/Z$/) }),
      changes: [{ path: '/name', op: 'replace', before: 'Cook', after: 'Chef' }],
      before: created?.data.after,
      after: expect.objectContaining({
        name: 'Chef',
        opened_at: '1970-01-01T00:00:00.000Z',
        custom_fields: { n: 'a\nb' },
      }),
    })
    feed.close()
  })

  test('can leave the states out', async () => {
    const feed = await openFeed(`${api.url}/v1/changes?payload=light&from=earliest`)
    await world.append(candidate('1', 'Frodo'))
    const [event] = await feed.read(1)
    expect(event?.data).not.toHaveProperty('after')
    expect(event?.data).toMatchObject({ op: 'created', version: 1 })
    feed.close()
  })

  test('can carry a title and lines for people, with names for ids', async () => {
    const { make, idOf } = world.maker
    const stage = (remote: string) => idOf(A, 'application-stages', remote)
    await world.fill([
      make(A, 'candidates', 'c', { first_name: 'Frodo', last_name: 'Baggins' }),
      make(A, 'jobs', 'j', { name: 'Backend Engineer' }),
      make(A, 'application-stages', '1', { name: 'Screening' }),
    ])
    const links = { candidate_id: idOf(A, 'candidates', 'c'), job_id: idOf(A, 'jobs', 'j') }
    const feed = await openFeed(`${api.url}/v1/changes?display=true`)
    await feed.until(() => feed.lastEventId !== undefined)
    await world.append(
      // Known from the feed itself, before the tables have it.
      make(A, 'application-stages', '2', { name: 'Interview' }),
      make(A, 'applications', 'a', { ...links, current_stage_id: stage('1') }),
    )
    await feed.read(2)
    await world.append(make(A, 'applications', 'a', { ...links, current_stage_id: stage('2'), outcome: 'PENDING' }))
    await feed.read(3)
    await world.append(
      make(A, 'applications', 'a', { ...links, job_id: 'gone', current_stage_id: stage('2'), outcome: 'PENDING' }),
    )
    const displays = (await feed.read(4)).map((event) => event.data.display)
    expect(displays[2]).toEqual({
      title: 'Frodo Baggins / Backend Engineer',
      lines: expect.arrayContaining([
        { field: 'current_stage', before: 'Screening', after: 'Interview' },
        { field: 'outcome', before: null, after: 'PENDING' },
      ]),
    })
    expect(displays[3]).toEqual({
      title: 'Frodo Baggins / gone',
      lines: [{ field: 'job', before: 'Backend Engineer', after: 'gone' }],
    })
    feed.close()
  })

  test('of a value that cannot be read is said to be so, and does not hold up the next', async () => {
    const made = candidate('1', 'Frodo')
    const broken = { ...made, value: Buffer.from('garbage') }
    await world.append(broken, { ...made, value: null as never }, made)
    const feed = await openFeed(`${api.url}/v1/changes?from=earliest`)
    const [first, second] = await feed.read(2)
    expect(first).toMatchObject({
      event: 'undecodable',
      data: { topic: changesTopic('candidates'), offset: 0, code: 'VALUE_UNDECODABLE' },
    })
    expect(second?.data.event_id).toBe(eventId(made))
    feed.close()
  })
})

describe('order', () => {
  test('within a partition is that of the observations, across models', async () => {
    const job = (n: number) => world.maker.make(A, 'jobs', '1', { name: `n${n}` })
    const stage = (n: number) => world.maker.make(A, 'job-stages', '1:s', { index: n })
    const posting = (n: number) => world.maker.make(A, 'job-postings', '1:p', { title: `t${n}` })
    const made = Array.from({ length: 120 }, (_, n) => ([job, stage, posting][(n * 7) % 3] ?? job)(n))
    // Appended topic by topic: only the observations tell the order.
    for (const model of ['job-stages', 'jobs', 'job-postings'])
      await world.append(...made.filter((m) => m.model === model))
    const feed = await openFeed(`${api.url}/v1/changes?from=earliest`)
    expect(seen(await feed.read(120))).toEqual(made.map(eventId))
    feed.close()
  })
})

describe('filters', () => {
  test.each([
    ['model=jobs,tags', ['j1', 'j2', 't1']],
    ['integration_id=traffit:b', ['t1', 'c1']],
    ['field=first_name', ['c1', 'c2']],
    ['field=/location/city&model=jobs,candidates', ['j2', 'c3']],
    ['field=name,first_name&integration_id=traffit:b', ['t1', 'c1']],
  ])('%s', async (query, expected) => {
    const { make } = world.maker
    const b = 'traffit:b'
    const made: Record<string, MadeChange> = {
      j1: make(A, 'jobs', '1', { name: 'Cook' }),
      j2: make(A, 'jobs', '1', { name: 'Cook', location: { city: 'Bree' } }),
      t1: make(b, 'tags', '1', { name: 'x' }),
      c1: make(b, 'candidates', '1', { first_name: 'Frodo' }),
      c2: make(A, 'candidates', '2', { first_name: 'Sam' }),
      c3: make(A, 'candidates', '2', { first_name: 'Sam', location: { city: 'Hobbiton' } }),
      c4: make(A, 'candidates', '2', { first_name: 'Sam', location: { city: 'Hobbiton' }, title: 'Gardener' }),
    }
    await world.append(...Object.values(made))
    const feed = await openFeed(`${api.url}/v1/changes?from=earliest&${query}`)
    const events = await feed.read(expected.length)
    const names = new Map(Object.entries(made).map(([name, change]) => [eventId(change), name]))
    expect(
      seen(events)
        .map((id) => names.get(id))
        .sort(),
    ).toEqual([...expected].sort())
    feed.close()
  })

  test.each(['model=people', 'field=nonsense', 'from=yesterday', 'payload=heavy', 'last_event_id=abc'])(
    'refuse %s',
    async (query) => {
      const { status, body } = await api.get(`/v1/changes?${query}`)
      expect(status).toBe(400)
      expect(body.error.message.length).toBeGreaterThan(10)
    },
  )
})

describe('resuming', () => {
  test('goes on exactly where the client was, with filters, while changes are appended', async () => {
    const wanted: string[] = []
    const write = async (): Promise<void> => {
      for (let n = 0; n < 1500; n += 5) {
        const made = Array.from({ length: 5 }, (_, i) => {
          const model = (n + i) % 3 === 0 ? 'tags' : 'candidates'
          return world.maker.make(A, model, String((n + i) % 37), { name: `n${n + i}`, first_name: `f${n + i}` })
        })
        await world.append(...made)
        wanted.push(...made.filter((m) => m.model === 'candidates').map(eventId))
        if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    const path = `${api.url}/v1/changes?model=candidates,tags&field=first_name`
    const got: string[] = []
    const first = await openFeed(path)
    await first.until(() => first.lastEventId !== undefined)
    let last = first.lastEventId
    first.close()
    const writing = write()
    // Connects again and again, each time for another number of events, also for none.
    for (let round = 0; got.length < 800; round++) {
      const feed = await openFeed(path, { 'last-event-id': last ?? '' })
      await feed.until(() => feed.lastEventId !== undefined)
      const events = (await feed.read((round * 13) % 90)).slice(0, (round * 13) % 90)
      got.push(...seen(events))
      last = events.at(-1)?.id ?? last
      feed.close()
    }
    await writing
    if (got.length < wanted.length) {
      const feed = await openFeed(`${path}&last_event_id=${last}`)
      got.push(...seen(await feed.read(wanted.length - got.length)))
      feed.close()
    }
    expect(new Set(got).size).toBe(got.length)
    expect([...got].sort()).toEqual([...wanted].sort())
  })

  test('with other models, or beyond the log, is refused', async () => {
    await world.append(candidate('1', 'Frodo'))
    const feed = await openFeed(`${api.url}/v1/changes?from=earliest`)
    const [event] = await feed.read(1)
    feed.close()
    const resume = (path: string) => api.get(path, { 'last-event-id': event?.id ?? '' })
    expect((await resume('/v1/changes?model=jobs')).body.error.code).toBe('TIDEMARK.POSITION_INVALID')
    const empty = await openWorld(tables)
    const behind = await (await empty.serve()).get('/v1/changes', { 'last-event-id': event?.id ?? '' })
    expect(behind.body.error.message).toMatch(/the log was replaced/)
    await empty.close()
  })

  test('is possible for a client that saw nothing', async () => {
    const feed = await openFeed(`${api.url}/v1/changes`)
    await feed.until(() => feed.lastEventId !== undefined)
    const position = feed.lastEventId ?? ''
    feed.close()
    const made = candidate('1', 'Frodo')
    await world.append(made)
    const again = await openFeed(`${api.url}/v1/changes`, { 'last-event-id': position })
    expect(seen(await again.read(1))).toEqual([eventId(made)])
    again.close()
  })
})

describe('clients', () => {
  test('that read slowly hold little memory, and get everything', async () => {
    const count = 3000
    const text = 'x'.repeat(10_000)
    const made = Array.from({ length: count }, (_, n) => world.maker.make(A, 'jobs', String(n), { description: text }))
    for (let at = 0; at < count; at += 500) await world.append(...made.slice(at, at + 500))
    let fetched = 0
    const log = {
      ...world.log,
      listTopics: () => world.log.listTopics(),
      bounds: (topic: string, partition: number) => world.log.bounds(topic, partition),
      fetch: async (request: Parameters<typeof world.log.fetch>[0]) => {
        const result = await world.log.fetch(request)
        for (const record of result.records) fetched += record.value?.length ?? 0
        return result
      },
    }
    const slow = await world.serve({ log })
    const feed = await openFeed(`${slow.url}/v1/changes?from=earliest`)
    await feed.until(() => feed.lastEventId !== undefined)
    feed.response.pause()
    let before = -1
    while (fetched !== before) {
      before = fetched
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    // The client has read nothing more: what was fetched for it is in the sockets' buffers, one round and one fetch per partition.
    expect(fetched).toBeLessThan(12_000_000)
    expect(fetched).toBeLessThan((count * text.length) / 2)
    const events = await feed.read(count)
    expect(new Set(seen(events)).size).toBe(count)
    feed.close()
  })

  test('are forgotten when they go', async () => {
    const feeds = await Promise.all([1, 2, 3].map(() => openFeed(`${api.url}/v1/changes`)))
    expect(await clients(3)).toBe(3)
    for (const feed of feeds) feed.close()
    expect(await clients(0)).toBe(0)
  })

  test('are bounded', async () => {
    const small = await world.serve({ options: { feedClientsMax: 1 } })
    const feed = await openFeed(`${small.url}/v1/changes`)
    const second = await small.get('/v1/changes')
    expect([second.status, second.body.error.code]).toEqual([429, 'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED'])
    feed.close()
  })

  test('see the end of the stream when the server stops', async () => {
    const own = await world.serve()
    const feed = await openFeed(`${own.url}/v1/changes`)
    await feed.until(() => feed.lastEventId !== undefined)
    const ended = feed.until(() => false)
    await own.close()
    await ended
    expect(feed.response.complete).toBe(true)
  })

  test('hear a heartbeat with their position when nothing happens', async () => {
    const clock = new ManualClock()
    const quiet = await world.serve({ clock })
    const feed = await openFeed(`${quiet.url}/v1/changes?model=tags`)
    await feed.until(() => feed.lastEventId !== undefined)
    const first = feed.lastEventId
    await world.append(candidate('1', 'Frodo'))
    while (clock.sleeping === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    await clock.advance(15_000)
    await feed.until(() => feed.comments.length > 0)
    expect(feed.comments).toEqual(['heartbeat'])
    expect(feed.lastEventId).toBe(first)
    feed.close()
  })

  test('that take nothing for too long are disconnected', async () => {
    const clock = new ManualClock()
    const text = 'x'.repeat(20_000)
    for (let n = 0; n < 1000; n += 100) {
      await world.append(
        ...Array.from({ length: 100 }, (_, i) => world.maker.make(A, 'jobs', String(n + i), { description: text })),
      )
    }
    const strict = await world.serve({ clock, options: { stallMs: 60_000 } })
    const feed = await openFeed(`${strict.url}/v1/changes?from=earliest`)
    await feed.until(() => feed.lastEventId !== undefined)
    feed.response.pause()
    const gone = async (): Promise<boolean> => (await strict.get('/v1/status')).body.data.feed_clients === 0
    for (let n = 0; n < 100 && !(await gone()); n++) {
      await clock.advance(15_000)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(await gone()).toBe(true)
    feed.close()
  })
})
