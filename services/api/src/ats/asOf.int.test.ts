import { isoTime } from '@tidemark/projection'
import type { MadeChange } from '@tidemark/projection/testing'
import { ManualClock } from '@tidemark/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ACME, type Company, makeCompany } from '../testing/company.ts'
import { noStatus, openWorld, type Served, type World } from '../testing/harness.ts'
import { ENDPOINTS } from './endpoints.ts'

/** Later than anything observed here. */
const NOW = Date.parse('2026-06-01T12:00:00.000Z')
const headers = { 'x-integration-id': ACME }

let world: World
let api: Served
let acme: Company
beforeAll(async () => {
  world = await openWorld()
  acme = makeCompany(world.maker)
  const integrations = () => [{ integrationId: 'traffit:new', source: 's', state: null, streams: [] }]
  api = await world.serve({ clock: new ManualClock(NOW), status: { ...noStatus, integrations } })
})
afterAll(() => world.close())

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely
async function all(path: string, own: Record<string, string> = headers, pageSize = 250): Promise<any[]> {
  const found = []
  let cursor: string | null = null
  do {
    const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const { status, body } = await api.get(
      `/v1/ats/${path}${path.includes('?') ? '&' : '?'}page_size=${pageSize}${more}`,
      own,
    )
    expect([path, status, body.error?.message]).toEqual([path, 200, undefined])
    found.push(...body.data.results)
    cursor = body.data.next
  } while (cursor !== null)
  return found
}

const byId = (rows: readonly { id: string }[]): object[] => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))
const timeOf = (changes: readonly MadeChange[]): string => isoTime(changes.at(-1)?.change.changed_at ?? 0)
const refusal = async (path: string, own: Record<string, string> = headers): Promise<string> => {
  const { status, body } = await api.get(`/v1/ats/${path}`, own)
  expect([status, body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
  return body.error.message
}

/** What happens to the company, one step after the other. */
function story({ id }: Company): MadeChange[][] {
  const make = world.maker.make.bind(world.maker, ACME)
  const application = { candidate_id: id('candidates', 'c1'), job_id: id('jobs', 'j1') }
  const frodo = {
    first_name: 'Frodo',
    last_name: 'Baggins',
    email_addresses: [{ email_address: 'f@bree.me', type: null }],
  }
  return [
    [
      make('application-stages', 's1', { name: 'Phone screen' }),
      make('users', 'u1', { first_name: 'Elrond', email: 'e@x.me' }),
    ],
    [
      make('applications', 'a1', {
        ...application,
        outcome: 'HIRED',
        current_stage_id: id('application-stages', 's1'),
      }),
    ],
    [
      make('candidate-tags', 'c1:t1', {
        candidate_id: id('candidates', 'c1'),
        tag_id: id('tags', 't1'),
        remote_deleted_at: 5,
      }),
    ],
    [make('candidates', 'c1', frodo), make('jobs', 'j1', { name: 'Platform Engineer', status: 'CLOSED' })],
    [make('candidates', 'c3', { first_name: 'Merry' }), make('tags', 't2', { name: 'Halfling' })],
    [make('jobs', 'j1', { name: 'Platform Engineer', remote_deleted_at: 5 })],
    [make('applications', 'a1', { ...application, candidate_id: id('candidates', 'c3') })],
    [
      make('interviews', 'i1', { application_id: id('applications', 'a2') }),
      make('screening-questions', 'q1', { title: 'Well?' }),
    ],
    [make('jobs', 'j1', { name: 'Platform Engineer', job_code: 'PE-1' }), make('candidates', 'c1', null)],
  ]
}

const queriesOf = ({ id }: Company, earlier: string): string[] => [
  ...Object.keys(ENDPOINTS),
  ...Object.keys(ENDPOINTS).map((path) => `${path}?include_deleted=true`),
  ...Object.keys(ENDPOINTS).map((path) => `${path}?updated_after=${earlier}`),
  `jobs?ids=${id('jobs', 'j1')},${id('jobs', 'j2')}`,
  'jobs?remote_ids=j1&include_deleted=true',
  'jobs?name_contains=engineer&statuses=OPEN,CLOSED',
  'jobs?remote_created_after=2025-06-02',
  `candidates?job_ids=${id('jobs', 'j1')}`,
  'candidates?email=F@BREE.me',
  'candidates?first_name=frodo',
  'applications?outcomes=HIRED',
  'applications?job_remote_ids=j1',
  `applications?current_stage_ids=${id('application-stages', 's2')}`,
  `interviews?job_ids=${id('jobs', 'j1')}`,
  'users?emails=elrond@rivendell.me',
  'roles?scopes=JOB',
  `notes?candidate_ids=${id('candidates', 'c1')}`,
]

describe('every listing as of a time', () => {
  test('is what it was then: its records, what is nested in them, and what filters find', async () => {
    await world.fill(acme.changes)
    const known: { at: string; query: string; rows: object[] }[] = []
    let earlier = timeOf(acme.changes)
    let at = earlier
    const note = async (): Promise<void> => {
      // Rows became readable when they were observed, so that updated_after means the same now and then.
      for (const query of queriesOf(acme, earlier)) known.push({ at, query, rows: byId(await all(query)) })
    }
    await note()
    for (const changes of story(acme)) {
      await world.fill(changes)
      earlier = at
      at = timeOf(changes)
      await note()
    }
    for (const [n, { at: time, query, rows }] of known.entries()) {
      const then = await all(`${query}${query.includes('?') ? '&' : '?'}as_of=${time}`, headers, n % 2 === 0 ? 250 : 1)
      expect([time, query, byId(then)]).toEqual([time, query, rows])
    }
  }, 120_000)

  test('takes the time as other parameters take theirs, and includes it', async () => {
    const [created] = await all('tags?remote_ids=t2')
    const changed = Date.parse(created.changed_at)
    const names = async (as_of: string) => (await all(`tags?remote_ids=t2&as_of=${encodeURIComponent(as_of)}`))[0]?.name
    expect(await names(isoTime(changed))).toBe('Halfling')
    expect(await names(isoTime(changed - 1))).toBe('Hobbit')
    const local = new Date(changed + 2 * 3_600_000).toISOString().replace('Z', '+02:00')
    expect(await names(local)).toBe('Halfling')
    expect(await names('2026-05-01')).toBe('Halfling')
  })
})

describe('pages as of a time', () => {
  const MANY = 'traffit:many'
  const own = { 'x-integration-id': MANY }
  const make = (n: number, name: string, more = {}) => world.maker.make(MANY, 'tags', `t${n}`, { name, ...more })

  test('show each record once, whatever changes meanwhile, and go on only with the same time', async () => {
    const first = Array.from({ length: 23 }, (_, n) => make(n, 'old'))
    await world.fill(first)
    const as_of = timeOf(first)
    const seen: string[] = []
    let cursor = ''
    for (let page = 0; page < 10; page++) {
      const { body } = await api.get(`/v1/ats/tags?page_size=5&as_of=${as_of}${cursor}`, own)
      expect(body.data.results.map((tag: { name: string }) => tag.name)).not.toContain('new')
      seen.push(...body.data.results.map((tag: { remote_id: string }) => tag.remote_id))
      if (body.data.next === null) break
      cursor = `&cursor=${body.data.next}`
      await world.fill([make(22 - page, 'new'), make(100 + page, 'new'), make(page, 'new', { remote_deleted_at: 5 })])
    }
    expect(seen).toHaveLength(23)
    expect(new Set(seen).size).toBe(23)
    expect(await refusal(`tags?page_size=5&as_of=2026-05-01${cursor}`, own)).toContain('cursor')
    expect(await refusal(`tags?page_size=5${cursor}`, own)).toContain('cursor')
  })

  test('find what is rare among many records that all changed since', async () => {
    const rare = new Set([3, 1700, 2399])
    const before = Array.from({ length: 2400 }, (_, n) => make(1000 + n, rare.has(n) ? 'rare' : 'old'))
    await world.fill(before)
    const as_of = timeOf(before)
    await world.fill(before.map((_, n) => make(1000 + n, 'new', n % 2 === 0 ? { remote_deleted_at: 5 } : {})))
    const found = (await all(`tags?as_of=${as_of}`, own, 200)).filter(({ name }) => name === 'rare')
    expect(found.map(({ remote_id }) => remote_id).sort()).toEqual(['t1003', 't2700', 't3399'])
    expect(await all(`tags?as_of=${as_of}&remote_ids=t3399,t1003`, own, 1)).toHaveLength(2)
  }, 60_000)
})

describe('a time that cannot be answered', () => {
  test.each(['yesterday', '12:00', '2026-13-01', ''])('%s is refused', async (as_of) => {
    expect(await refusal(`jobs?as_of=${as_of}`)).toContain('as_of')
  })

  test('in the future is refused, with the time it is', async () => {
    expect(await refusal('jobs?as_of=2026-06-01T12:00:00.001Z')).toContain(isoTime(NOW))
    expect(await all(`jobs?as_of=${isoTime(NOW)}`)).toHaveLength(2)
  })

  test('before anything was observed is refused, with the time from which on there is history', async () => {
    const first = isoTime(acme.changes[0]?.change.changed_at ?? 0)
    expect(await refusal('jobs?as_of=2026-01-01')).toContain(first)
    // From then on an empty answer is right: the stage was there, the jobs were not.
    expect(await all(`jobs?as_of=${first}`)).toEqual([])
    expect(await all(`application-stages?as_of=${first}`)).toHaveLength(1)
  })

  test('of an integration that has not delivered anything yet is refused', async () => {
    const own = { 'x-integration-id': 'traffit:new' }
    expect(await refusal('jobs?as_of=2026-05-01', own)).toContain('nothing of traffit:new has been observed')
    expect(await all('jobs', own)).toEqual([])
  })
})
