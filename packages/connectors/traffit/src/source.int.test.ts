import type { MappedRecord } from '@tidemark/connector'
import { type ModelName, normalizeRecord, publicId, recordKey } from '@tidemark/model'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INTEGRATION, type Rig, startRig } from '../test/rig.ts'
import { STREAM_MODELS } from './mapping.ts'

let rig: Rig

beforeEach(async () => {
  rig = await startRig()
})

afterEach(() => rig.close())

const company = () => rig.world.company(INTEGRATION)
const keysOf = (records: readonly MappedRecord[], model: ModelName): string[] =>
  records.filter((record) => record.model === model).map(({ remoteKey }) => remoteKey)
const ref = (model: ModelName, key: string): string => publicId(recordKey(INTEGRATION, model, key))
/** Keys of the pairs that the world's applications are of. */
const pairs = (): string[] => {
  const { applications, candidates, jobs } = company().tables
  const keys = [...applications.values()].map(({ fields }) => {
    const candidate = candidates.get(fields.candidate_id)?.remoteId
    return `${candidate}:${jobs.get(fields.job_id)?.remoteId}`
  })
  return [...new Set(keys)].sort()
}
const remoteIds = (model: 'candidates' | 'users' | 'jobs'): string[] =>
  [...company().table(model).values()].map(({ remoteId }) => remoteId).sort()

describe('a complete run', () => {
  it('delivers every record of all ten models, each one the model accepts, every reference to one that is there', async () => {
    rig.world.createJob(INTEGRATION, { visibility: 'PUBLIC' })
    const all: MappedRecord[] = []
    for (const stream of rig.source.streams) {
      const { pages, error } = await rig.fetch(stream)
      expect(error).toBeUndefined()
      expect(pages.flatMap(({ mapped }) => mapped.failures)).toEqual([])
      all.push(...pages.flatMap(({ mapped }) => mapped.records))
    }
    expect(new Set(all.map(({ model }) => model))).toEqual(new Set(Object.values(STREAM_MODELS).flat()))
    for (const { model, record } of all) expect(() => normalizeRecord(model, { id: 'x', ...record })).not.toThrow()
    expect(keysOf(all, 'users').sort()).toEqual(remoteIds('users'))
    expect(keysOf(all, 'candidates').sort()).toEqual(remoteIds('candidates'))
    expect(keysOf(all, 'jobs').sort()).toEqual(remoteIds('jobs'))
    expect(keysOf(all, 'applications').sort()).toEqual(pairs())
    const ids = new Set(all.map(({ model, remoteKey }) => ref(model, remoteKey)))
    const references = all.flatMap(({ record }) =>
      Object.entries(record).filter(([name]) => name.endsWith('_id') && name !== 'remote_id'),
    )
    for (const [, id] of references) expect(ids).toContain(id)
  })

  it('delivers the listed fields as the world has them', async () => {
    rig.world.createJob(INTEGRATION, { visibility: 'PUBLIC' })
    const [candidate] = company().tables.candidates.values()
    const records = await rig.records('candidates')
    const { fields, remoteId } = candidate ?? expect.fail('no candidate')
    expect(records.find(({ remoteKey }) => remoteKey === remoteId)?.record).toMatchObject({
      first_name: fields.first_name,
      last_name: fields.last_name,
      source: fields.source,
      email_addresses: [{ email_address: fields.email_addresses[0]?.email_address, type: null }],
    })
    const jobs = await rig.records('jobs')
    for (const { fields: job, remoteId: id } of company().tables.jobs.values()) {
      const mapped = jobs.find(({ model, remoteKey }) => model === 'jobs' && remoteKey === id)?.record
      const isClosed = job.status === 'CLOSED' || job.status === 'ARCHIVED'
      expect(mapped).toMatchObject({ name: job.name, status: isClosed ? 'CLOSED' : job.status })
      const isPublished = keysOf(jobs, 'job-postings').some((key) => key.startsWith(`${id}:`))
      expect(mapped?.['description']).toBe(isPublished ? job.description : null)
    }
  })

  it('lists the children of every job and every candidate, also where there are none', async () => {
    const { pages } = await rig.fetch('jobs')
    const lists = pages.flatMap(({ mapped }) => mapped.childLists)
    const of = (model: ModelName): number => lists.filter((list) => list.model === model).length
    for (const model of ['job-postings', 'job-stages', 'job-hiring-team'] as const)
      expect(of(model)).toBe(company().tables.jobs.size)
    const tags = await rig.fetch('tags')
    expect(tags.pages.flatMap(({ mapped }) => mapped.childLists)).toHaveLength(company().tables.candidates.size)
  })
})

describe('changes', () => {
  const MINUTE = 60_000

  it('of candidates are asked for by time; a new one has its source', async () => {
    await rig.fetch('candidates')
    await rig.clock.advance(60 * MINUTE)
    const since = rig.clock.now()
    const id = rig.world.createCandidate(INTEGRATION, { source: 'Palantír' })
    rig.world.editCandidate(INTEGRATION, '3', { first_name: 'Samwise' })
    const records = await rig.records('candidates', { updatedAfterMs: since })
    expect(keysOf(records, 'candidates').sort()).toEqual(['3', company().find('candidates', id).remoteId].sort())
    expect(records.find(({ remoteKey }) => remoteKey !== '3')?.record).toMatchObject({ source: 'Palantír' })
  })

  it('of applications come with their new stay', async () => {
    await rig.clock.advance(60 * MINUTE)
    const since = rig.clock.now()
    const application = [...company().tables.applications.values()].find(({ fields }) => fields.outcome === 'PENDING')
    if (!application) return expect.fail('no application')
    rig.world.hireApplication(INTEGRATION, application.id)
    const [record, ...others] = await rig.records('applications', { updatedAfterMs: since })
    expect(others).toEqual([])
    expect(record?.record).toMatchObject({ outcome: 'HIRED' })
  })

  it('of jobs are detailed, and every posting that is no longer published is gone', async () => {
    const job = rig.world.createJob(INTEGRATION, { visibility: 'PUBLIC' })
    const { remoteId } = company().find('jobs', job)
    await rig.clock.advance(60 * MINUTE)
    const [posting = ''] = company().children('job_postings', job)
    rig.world.mutate(INTEGRATION, 'job_postings', posting, { status: 'INACTIVE' })
    const before = rig.simulator.requests
    const { pages } = await rig.fetch('jobs', { updatedAfterMs: rig.clock.now() })
    expect(rig.simulator.requests - before).toBe(4)
    const lists = pages.flatMap(({ mapped }) => mapped.childLists)
    expect(lists.every(({ model }) => model === 'job-postings')).toBe(true)
    expect(lists.find(({ parentRemoteKey }) => parentRemoteKey === remoteId)?.children).toEqual([])
    const record = pages.flatMap(({ mapped }) => mapped.records).find(({ remoteKey }) => remoteKey === remoteId)
    expect(record?.record).toMatchObject({ description: null })
    expect(record?.record).not.toHaveProperty('custom_fields')
  })
})

it('a run during which records vanish misses what moved up, and a point read finds it', async () => {
  const other = await startRig({ sizes: { jobs: 1, candidates: 230, applications: 0 } })
  const seen: MappedRecord[] = []
  const run = async (): Promise<void> => {
    const signal = new AbortController().signal
    let isFirst = true
    for await (const page of other.source.fetch({ integrationId: INTEGRATION, stream: 'candidates', signal })) {
      seen.push(...page.mapped.records)
      if (page.mapped.records.length === 0 || !isFirst) continue
      isFirst = false
      other.world.deleteCandidate(INTEGRATION, '1')
      other.world.createCandidate(INTEGRATION)
    }
  }
  await other.during(run())
  const keys = keysOf(seen, 'candidates')
  // The first one was still there, the last one came meanwhile, and 101 was on page 1 when page 2 was read.
  expect(keys).toContain('1')
  expect(keys).toContain('231')
  expect(keys).not.toContain('101')
  expect(other.source.pagingOf('candidates')).toBe('shifting')
  const answers = await other.read('candidates', '1', '101')
  expect(answers.flatMap(({ absent }) => absent.map(({ remoteKey }) => remoteKey))).toEqual(['1'])
  expect(
    keysOf(
      answers.flatMap(({ mapped }) => mapped.records),
      'candidates',
    ),
  ).toEqual(['101'])
  await other.close()
})

describe('an application that is gone', () => {
  it('is not delivered, although its history is still there', async () => {
    const [application] = company().tables.applications.values()
    const gone = pairs()
    rig.world.remove(INTEGRATION, 'applications', application?.id ?? '')
    const left = pairs()
    expect(gone.length).toBe(left.length + 1)
    const records = await rig.records('applications')
    expect([...new Set(keysOf(records, 'applications'))].sort()).toEqual(left)
  })

  it('of before the connection is left out where only created ones are wanted, and so are its later stays', async () => {
    const after = rig.clock.now()
    const other = await startRig({ source: { applicationsCreatedAfterMs: after } })
    await other.clock.advance(3_600_000)
    const { tables } = other.world.company(INTEGRATION)
    const old = [...tables.applications.values()].find(({ fields }) => fields.outcome === 'PENDING')
    other.world.hireApplication(INTEGRATION, old?.id ?? '')
    const candidate = other.world.createCandidate(INTEGRATION)
    const job = other.world.createJob(INTEGRATION)
    const application = other.world.apply(INTEGRATION, candidate, job)
    other.world.rejectApplication(INTEGRATION, application)
    for (const more of [{}, { updatedAfterMs: other.clock.now() }]) {
      const records = await other.records('applications', more)
      expect(records.map(({ record }) => record['candidate_id'])).toEqual([
        ref('candidates', other.world.company(INTEGRATION).find('candidates', candidate).remoteId),
      ])
      expect(records[0]?.record).toMatchObject({ outcome: 'DECLINED' })
    }
    expect(other.source.pointReads?.models.has('applications')).toBe(false)
    await other.close()
  })
})

describe('point reads', () => {
  it.each(['users', 'candidates', 'jobs'] as const)('tell of %s what is there and what is not', async (model) => {
    const answers = await rig.read(model, '1', '999', '2')
    const records = answers.flatMap(({ mapped }) => mapped.records)
    expect(keysOf(records, model)).toEqual(['1', '2'])
    expect(answers.flatMap(({ absent }) => absent)).toEqual([{ remoteKey: '999', record: {} }])
  })

  it('give a job what a complete run gives it, but for what only the listing shows', async () => {
    const whole = await rig.fetch('jobs')
    const jobs = whole.pages.flatMap(({ mapped }) => mapped.records).filter(({ model }) => model === 'jobs')
    for (const { remoteKey, record } of jobs) {
      const answers = await rig.read('jobs', remoteKey)
      const [read] = answers.flatMap(({ mapped }) => mapped.records).filter(({ model }) => model === 'jobs')
      const { remote_data: _row, confidential, ...rest } = record
      const { remote_data: _detail, ...own } = read?.record ?? {}
      expect(own).toEqual(rest)
      expect(confidential).toBeDefined()
      const models = answers.flatMap(({ mapped }) => mapped.childLists).map(({ model }) => model)
      expect(models.sort()).toEqual(['job-hiring-team', 'job-postings', 'job-stages'])
    }
  })

  it('tell of applications by the jobs of their candidate, one request for neighbours', async () => {
    const [key = ''] = pairs()
    const [employee = ''] = key.split(':')
    const before = rig.simulator.requests
    const answers = await rig.read('applications', key, `${employee}:999`, '999:1')
    // A token, the workflows, two candidates.
    expect(rig.simulator.requests - before).toBe(4)
    const [record, ...others] = answers.flatMap(({ mapped }) => mapped.records)
    expect(others).toEqual([])
    const listed = (await rig.records('applications')).find(({ remoteKey }) => remoteKey === key)
    const { remote_data: _a, ...read } = record?.record ?? {}
    const { remote_data: _b, ...stay } = listed?.record ?? {}
    expect(read).toEqual(stay)
    expect(answers.flatMap(({ absent }) => absent.map(({ remoteKey }) => remoteKey))).toEqual([
      `${employee}:999`,
      '999:1',
    ])
  })

  it('do not take a missing scope for absence', async () => {
    rig.simulator.setScopes(['recruitment', 'workflow'])
    const answers = await rig.read('candidates', '1', '2')
    expect(answers.map(({ absent, mapped, notOffered }) => [absent, mapped.records, notOffered])).toEqual(
      ['1', '2'].map((id) => [[], [], expect.stringMatching(`GET /employees/${id}.*scope \`employee\``)]),
    )
  })
})

describe('scopes', () => {
  it.each([
    ['users', 'user'],
    ['jobs', 'recruitment'],
    ['application-stages', 'workflow'],
    ['candidates', 'employee'],
    ['applications', 'employee'],
    ['tags', 'employee'],
  ])('%s are not offered without %s', async (stream, scope) => {
    const others = ['user', 'recruitment', 'workflow', 'employee', 'source', 'dictionary']
    rig.simulator.setScopes(others.filter((other) => other !== scope))
    const { pages, error } = await rig.fetch(stream)
    expect(error).toBeUndefined()
    expect(pages.map(({ notOffered }) => notOffered)).toEqual([expect.stringContaining(`\`${scope}\``)])
  })

  it('that only some fields need are done without', async () => {
    rig.simulator.setScopes(['recruitment', 'employee'])
    for (const stream of ['jobs', 'candidates', 'applications']) {
      const { pages, error } = await rig.fetch(stream)
      expect(error).toBeUndefined()
      const [record] = pages.flatMap(({ mapped }) => mapped.records)
      expect(record?.model).toBe(stream)
      expect(record?.record).not.toHaveProperty('source')
      expect(pages.flatMap(({ mapped }) => mapped.childLists).map(({ model }) => model)).not.toContain('job-stages')
    }
  })

  it('are tested one by one, and said by model', async () => {
    const check = () =>
      rig.during(rig.source.checkAccess({ integrationId: INTEGRATION, signal: new AbortController().signal }))
    expect((await check()).every(({ ok, missing, message }) => ok && missing === null && message === null)).toBe(true)
    rig.simulator.setScopes(['recruitment', 'employee', 'dictionary'])
    const found = new Map((await check()).map((one) => [one.model, one]))
    expect([...found].filter(([, { ok }]) => !ok).map(([model, { missing }]) => [model, missing])).toEqual([
      ['users', 'user'],
      ['job-stages', 'workflow'],
      ['application-stages', 'workflow'],
    ])
    expect(found.get('candidates')).toMatchObject({ ok: true, missing: 'source' })
    expect(found.get('users')?.message).toContain('`user`')
    expect(found.size).toBe(10)
  })
})

describe('faults', () => {
  it('of a short page in between lose nothing', async () => {
    const other = await startRig({ sizes: { jobs: 3, candidates: 230, applications: 0 } })
    other.simulator.setShortPage(2)
    const records = await other.records('candidates')
    expect(new Set(keysOf(records, 'candidates')).size).toBe(230)
    await other.close()
  })

  it('of one page of sources leave out what is on it, and nothing else', async () => {
    const other = await startRig({ sizes: { jobs: 3, candidates: 230, applications: 0 } })
    other.simulator.faults.add({ kind: 'server_error', endpoint: 'sources', page: 2, count: 50 })
    const records = await other.records('candidates')
    expect(records).toHaveLength(230)
    const withSource = records.filter(({ record }) => record['source'] !== undefined)
    expect(withSource).toHaveLength(130)
    expect(withSource.every(({ record }) => typeof record['source'] === 'string')).toBe(true)
    await other.close()
  })

  it('of revoked tokens are mended with a new one', async () => {
    await rig.records('users')
    rig.simulator.revokeTokens()
    expect((await rig.records('users')).length).toBeGreaterThan(0)
    expect(rig.simulator.tokensIssued).toBe(2)
  })

  it.each(['rate_limited', 'cut_mid_body', 'malformed_json', 'empty_body'] as const)(
    'of kind %s are waited for',
    async (kind) => {
      rig.simulator.faults.add({ kind, endpoint: 'history' })
      expect(new Set(keysOf(await rig.records('applications'), 'applications')).size).toBe(pairs().length)
      expect(rig.simulator.faults.fired[kind]).toBe(1)
    },
  )

  it('of a row that cannot be mapped set that row aside', async () => {
    rig.simulator.faults.add({ kind: 'unmappable_record', endpoint: 'users' })
    const { pages } = await rig.fetch('users')
    expect(pages[0]?.mapped.failures).toMatchObject([{ model: 'users', remoteKey: null }])
    expect(pages[0]?.mapped.records).toHaveLength(company().tables.users.size - 1)
  })

  it('of refused credentials are no retries', async () => {
    const other = await startRig({ source: { clientSecret: 'wrong-secret' } })
    const { error } = await other.fetch('users')
    expect(error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect(String(error)).not.toContain('wrong-secret')
    expect(other.simulator.requests).toBe(1)
    await other.close()
  })
})
