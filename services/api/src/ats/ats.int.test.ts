import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ACME, type Company, makeCompany } from '../testing/company.ts'
import { openWorld, type Served, type World } from '../testing/harness.ts'

let world: World
let api: Served
let acme: Company
const READABLE = Date.parse('2026-05-01T00:00:00.000Z')
const headers = { 'x-integration-id': ACME }

beforeAll(async () => {
  world = await openWorld()
  acme = makeCompany(world.maker)
  await world.fill(acme.changes, READABLE)
  api = await world.serve()
})
afterAll(() => world.close())

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked into freely
const list = async (path: string, more: Record<string, string> = {}): Promise<any[]> => {
  const { status, body } = await api.get(`/v1/ats/${path}`, { ...headers, ...more })
  expect(body).toMatchObject({ status: 'success' })
  expect(status).toBe(200)
  return body.data.results
}
const ids = async (path: string): Promise<string[]> => (await list(path)).map((item) => item.remote_id)

describe('nesting', () => {
  test('gives jobs with their stages, questions, postings and hiring team', async () => {
    const [job] = await list('jobs?job_codes=BE-1')
    expect(job).toMatchObject({
      id: acme.id('jobs', 'j1'),
      remote_id: 'j1',
      name: 'Backend Engineer',
      visibility: 'SECRET_OF_THE_ATS',
      opened_at: '2025-06-01T10:00:00.000Z',
      closed_at: null,
      custom_fields: { level: { from: 1 } },
      integration_fields: [],
      remote_data: null,
      location: { city: 'Hobbiton', country: 'SH', zip_code: null },
    })
    expect(job.stages).toEqual([
      {
        id: acme.id('application-stages', 's1'),
        remote_id: 's1',
        name: 'Screening',
        custom_fields: null,
        status: 'ACTIVE',
        index: 0,
        remote_data: null,
      },
      {
        id: acme.id('application-stages', 's2'),
        remote_id: 's2',
        name: 'Interview',
        custom_fields: { color: 'red' },
        status: null,
        index: 1,
        remote_data: null,
      },
    ])
    expect(job.job_postings).toMatchObject([{ title: 'Join us', status: 'ACTIVE', visibility: null, url: null }])
    expect(job.hiring_team).toEqual([
      {
        id: acme.id('users', 'u1'),
        remote_id: 'u1',
        first_name: 'Elrond',
        last_name: null,
        email: 'elrond@rivendell.me',
        hiring_team_roles: ['RECRUITER'],
        job_roles: expect.arrayContaining([
          { remote_id: 'r1', remote_label: 'Recruiter', unified_type: 'RECRUITER', scope: 'JOB' },
          { remote_id: null, remote_label: 'Scribe', unified_type: null, scope: 'JOB' },
        ]),
      },
    ])
    expect(job.screening_questions.map((q: { title: string }) => q.title)).toEqual(['How old?', 'Can you cook?', 'Odd'])
    const [number, select, unknown] = job.screening_questions
    expect(number).toMatchObject({
      format: { type: 'NUMBER', display_type: 'FIELD', min: null, max: null },
      category: null,
    })
    expect(number.precondition_options).toEqual([false, true])
    expect(select.format).toEqual({
      type: 'SINGLE_SELECT',
      display_type: 'RADIO',
      options: [{ id: 'o1', remote_id: null, name: 'Yes' }],
    })
    expect(unknown.format).toEqual({ type: 'UNKNOWN', raw_question: { a: 1 } })
  })

  test('gives candidates with applications and tags, without addresses that are none', async () => {
    const [frodo] = await list('candidates?first_name=FRODO')
    expect(frodo.email_addresses).toEqual([{ email_address: 'Frodo@Shire.me', type: 'HOME' }])
    expect(frodo.phone_numbers).toEqual([{ phone_number: '+1', type: null }])
    expect(frodo.social_media).toEqual([])
    expect(frodo.tags.map((tag: { name: string }) => tag.name).sort()).toEqual(['Hobbit', 'Ring bearer'])
    expect(frodo.applications).toEqual([
      expect.objectContaining({
        remote_id: 'a1',
        outcome: 'PENDING',
        current_stage: { id: acme.id('application-stages', 's2'), remote_id: 's2', name: 'Interview', index: 1 },
        job: { id: acme.id('jobs', 'j1'), remote_id: 'j1', name: 'Backend Engineer' },
      }),
    ])
  })

  test('gives applications with candidate, stage, job, interviews and offers, and null for what is not known', async () => {
    const [a1] = await list('applications?remote_ids=a1')
    expect(a1).toMatchObject({
      candidate: { first_name: 'Frodo', source: 'Gandalf', remote_url: null },
      current_stage: { name: 'Interview', status: null, custom_fields: { color: 'red' }, index: 1 },
      job: { name: 'Backend Engineer' },
      interviews: [{ title: 'Council', starting_at: '2025-06-01T10:00:00.000Z', location: null, canceled: false }],
      offers: [{ remote_id: 'o1', status: 'SENT' }],
    })
    expect(a1.candidate.tags).toHaveLength(2)
    expect(a1.screening_question_answers).toEqual([
      { answer: { choice: 'Yes' }, question: { remote_id: 'q1', title: 'Can you cook?', type: 'SINGLE_SELECT' } },
      { answer: { date: '2024-09-22T00:00:00.000Z' }, question: { remote_id: 'q2', title: 'Born?', type: 'DATE' } },
      { answer: { raw: { pocket: 'ring' } }, question: { remote_id: 'q3', title: '', type: 'UNKNOWN' } },
    ])
    const [a2] = await list('applications?remote_ids=a2')
    expect(a2).toMatchObject({
      outcome: null,
      current_stage: null,
      job: null,
      interviews: [],
      offers: [{ status: null }],
    })
  })

  test('gives interviews, offers, users and notes with what they refer to', async () => {
    const [interview] = await list('interviews')
    expect(interview.users.map((user: { email: string }) => user.email).sort()).toEqual(
      ['elrond@rivendell.me', null].sort(),
    )
    expect(interview.application).toMatchObject({
      remote_id: 'a1',
      candidate: { first_name: 'Frodo' },
      job: { remote_id: 'j1' },
    })
    const offers = await list('offers')
    expect(offers.find((offer) => offer.remote_id === 'o2')).toMatchObject({
      status: null,
      application: { candidate: { first_name: 'Sam' }, job: null },
    })
    const [elrond] = await list('users?emails=ELROND@rivendell.me')
    expect(elrond.system_roles).toEqual([
      { remote_id: 'r2', remote_label: 'Boss', unified_type: null, scope: 'SYSTEM' },
    ])
    expect(await list('notes')).toMatchObject([{ title: 'Brave', author: { first_name: 'Elrond' }, is_private: true }])
    expect(await list('roles?scopes=JOB')).toMatchObject([{ remote_id: 'r1' }])
    expect((await list('roles')).find((role) => role.remote_id === 'r2')).toMatchObject({
      scope: null,
      unified_type: null,
    })
  })

  test('leaves out models that the key may not read', async () => {
    const key = { name: 'narrow', key: 'secret', models: ['applications', 'jobs'] as const }
    const narrow = await world.serve({ apiKeys: [key] })
    const auth = { ...headers, authorization: 'Bearer secret' }
    const { body } = await narrow.get('/v1/ats/applications?remote_ids=a1', auth)
    expect(body.data.results[0]).toMatchObject({
      candidate: null,
      current_stage: null,
      interviews: [],
      job: { remote_id: 'j1' },
    })
    const refused = await narrow.get('/v1/ats/candidates', auth)
    expect([refused.status, refused.body.error.code]).toEqual([403, 'INTEGRATION.MODEL_DISABLED'])
  })
})

describe('filters', () => {
  test.each([
    ['jobs?statuses=OPEN,DRAFT', ['j1']],
    ['jobs?status=CLOSED', ['j2']],
    ['jobs?name_contains=ENGIN', ['j1']],
    ['jobs?name_contains=%25', []],
    ['jobs?remote_created_after=2025-06-02', ['j2']],
    ['jobs?remote_ids=j1,j2&statuses=CLOSED', ['j2']],
    ['candidates?email=FRODO@shire.ME', ['c1']],
    ['candidates?email=shire.me', []],
    ['candidates?last_name=baggins', ['c1']],
    ['applications?outcomes=PENDING,HIRED', ['a1']],
    ['applications?job_remote_ids=j1', ['a1']],
    ['rejection-reasons?remote_ids=rr1', ['rr1']],
  ])('%s', async (path, expected) => {
    expect(await ids(path)).toEqual(expected)
  })

  test('by ids of linked records', async () => {
    expect(await ids(`candidates?job_ids=${acme.id('jobs', 'j1')}`)).toEqual(['c1'])
    expect(await ids(`applications?current_stage_ids=${acme.id('application-stages', 's2')}`)).toEqual(['a1'])
    expect(await ids(`interviews?job_ids=${acme.id('jobs', 'j1')},x`)).toEqual(['i1'])
    expect(await ids(`notes?candidate_ids=${acme.id('candidates', 'c2')}`)).toEqual([])
    expect(await ids(`jobs?ids=${acme.id('jobs', 'j2')}`)).toEqual(['j2'])
  })

  test.each([
    'page_size=0',
    'page_size=251',
    'page_size=x',
    'updated_after=yesterday',
    'include_deleted=yes',
    'ignore_unsupported_filters=1',
    'ids=',
    'statuses=OPEN,NEVER',
    'cursor=abc',
    'name_contains=a&name_contains=b',
  ])('refuses %s in the error envelope', async (query) => {
    const { status, body } = await api.get(`/v1/ats/jobs?${query}`, headers)
    expect(status).toBe(400)
    expect(body).toEqual({
      status: 'error',
      error: { code: 'PLATFORM.INPUT_INVALID', title: 'Input is invalid', message: expect.any(String), log_url: null },
    })
  })
})

describe('the integration', () => {
  test('must be named, and known', async () => {
    const without = await api.get('/v1/ats/jobs')
    expect([without.status, without.body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    const unknown = await api.get('/v1/ats/jobs', { 'x-integration-id': 'traffit:nobody' })
    expect([unknown.status, unknown.body.error.code]).toEqual([404, 'PLATFORM.INTEGRATION_NOT_FOUND'])
  })

  test('is known before its first record, and its records are its own', async () => {
    const status = {
      ...world.deps.status,
      integrations: () => [{ integrationId: 'traffit:new', source: 's', state: null, streams: [] }],
    }
    const other = await world.serve({ status })
    const { body } = await other.get('/v1/ats/candidates', { 'x-integration-id': 'traffit:new' })
    expect(body).toEqual({ status: 'success', data: { next: null, results: [] } })
  })
})

describe('updates', () => {
  const LATER = READABLE + 3_600_000
  const since = new Date(LATER).toISOString()
  const PEOPLE = 'traffit:updates'

  test('are what changed itself or, where Kombo says so, in a linked record', async () => {
    const company = makeCompany(world.maker, PEOPLE)
    await world.fill(company.changes, READABLE)
    const own = { 'x-integration-id': PEOPLE }
    const updated = async (path: string): Promise<string[]> =>
      (await list(`${path}?updated_after=${since}`, own)).map((item) => item.remote_id).sort()
    expect(await updated('jobs')).toEqual([])
    const make = world.maker.make.bind(world.maker, PEOPLE)
    const id = company.id
    await world.fill([make('tags', 't1', { name: 'Renamed' })], LATER)
    expect(await updated('candidates')).toEqual([])
    await world.fill([make('screening-questions', 'q1', { title: 'Well?' })], LATER)
    expect(await updated('jobs')).toEqual(['j1'])
    await world.fill([make('offers', 'o1', { application_id: id('applications', 'a1'), status: 'ACCEPTED' })], LATER)
    expect(await updated('applications')).toEqual(['a1'])
    expect(await updated('candidates')).toEqual([])
    const tag = { candidate_id: id('candidates', 'c1'), tag_id: id('tags', 't1'), remote_deleted_at: LATER }
    await world.fill([make('candidate-tags', 'c1:t1', tag)], LATER)
    expect(await updated('candidates')).toEqual(['c1'])
    await world.fill([make('roles', 'r2', { remote_label: 'Chief' })], LATER)
    expect(await updated('users')).toEqual(['u1'])
    expect(await updated('offers')).toEqual(['o1'])
  })

  test('hide what is gone unless asked for, and show changed_at as the time of the change', async () => {
    const make = world.maker.make.bind(world.maker, PEOPLE)
    const own = { 'x-integration-id': PEOPLE }
    const gone = make('rejection-reasons', 'rr1', { name: 'Too tall', remote_deleted_at: LATER })
    await world.fill([gone], LATER)
    expect(await list('rejection-reasons', own)).toEqual([])
    expect(await list('rejection-reasons?include_deleted=true', own)).toMatchObject([
      { remote_deleted_at: since, changed_at: new Date(gone.change.changed_at).toISOString() },
    ])
  })
})

describe('a page', () => {
  test.each([
    [
      'applications',
      ['candidates', 'application_stages', 'jobs', 'job_stages', 'interviews', 'offers', 'candidate_tags'],
    ],
    ['candidates', ['applications', 'candidate_tags']],
  ])('of %s comes with what it is linked to in one statement', async (path, tables) => {
    const statements: string[] = []
    const { store } = world
    const query: typeof store.query = (sql, params, options) => {
      statements.push(sql)
      return store.query(sql, params, options)
    }
    const bound = { transaction: store.transaction.bind(store), script: store.script.bind(store) }
    const counting = await world.serve({ store: { ...bound, query, close: async () => undefined } })
    const { body } = await counting.get(`/v1/ats/${path}`, headers)
    expect(body.data.results.length).toBeGreaterThan(0)
    for (const table of tables) {
      const reading = statements.filter((sql) => sql.includes(`."${table}" t`))
      expect([table, reading.length]).toEqual([table, 1])
    }
  })
})

describe('pages', () => {
  const MANY = 'traffit:many'

  test('show every record at least once while records change, and each that does not change exactly once', async () => {
    const make = (n: number, name: string) => world.maker.make(MANY, 'tags', `t${n}`, { name })
    const own = { 'x-integration-id': MANY }
    await world.fill(
      Array.from({ length: 40 }, (_, n) => make(n, 'old')),
      READABLE,
    )
    const seen: string[] = []
    let cursor: string | null = ''
    for (let page = 0; cursor !== null && page < 20; page++) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`
      const { body } = await api.get(`/v1/ats/tags?page_size=7${query}`, own)
      seen.push(...body.data.results.map((tag: { remote_id: string }) => tag.remote_id))
      cursor = body.data.next
      // Between pages one record changes and one appears, as of a later time.
      await world.fill([make(page, 'new'), make(100 + page, 'late')], READABLE + 1000 * (page + 1))
      if (page === 3) break
    }
    expect(cursor).not.toBeNull()
    while (cursor !== null) {
      const { body } = await api.get(`/v1/ats/tags?page_size=9&cursor=${cursor}`, own)
      seen.push(...body.data.results.map((tag: { remote_id: string }) => tag.remote_id))
      cursor = body.data.next
    }
    const changed = new Set(['t0', 't1', 't2', 't3'])
    for (let n = 0; n < 40; n++) {
      const times = seen.filter((id) => id === `t${n}`).length
      if (changed.has(`t${n}`)) expect(times).toBeGreaterThanOrEqual(1)
      else expect(times).toBe(1)
    }
    for (let page = 0; page < 4; page++) expect(seen.filter((id) => id === `t${100 + page}`)).toHaveLength(1)
  })

  test('cannot go on with other filters', async () => {
    const own = { 'x-integration-id': MANY }
    const { body } = await api.get('/v1/ats/tags?page_size=2', own)
    const other = await api.get(`/v1/ats/tags?include_deleted=true&cursor=${body.data.next}`, own)
    expect([other.status, other.body.error.code]).toEqual([400, 'PLATFORM.INPUT_INVALID'])
  })
})
