import { type ModelName, publicId, recordKey } from '@tidemark/model'
import { applicantUuid, personUuid, postUuid, shortId } from '@tidemark/sandbox/hrworks'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INTEGRATION, recordsOf, startTenant, type Tenant } from '../test/tenant.ts'

let tenant: Tenant

beforeEach(async () => {
  tenant = await startTenant()
})

afterEach(() => tenant.close())

async function fetchModel(stream: string, model = stream as ModelName) {
  const { pages, error } = await tenant.fetch(stream)
  expect(error).toBeUndefined()
  return recordsOf(pages, model)
}

const id = (model: ModelName, remote: string): string => publicId(recordKey(INTEGRATION, model, remote))

describe('a complete run', () => {
  it('has every user with address and status', async () => {
    const users = await fetchModel('users')
    const { tables } = tenant.company
    expect(users.size).toBe(tables.users.size)
    for (const user of tables.users.values()) {
      const { first_name, last_name, email, status } = user.fields
      expect(users.get(personUuid(user))).toEqual({ remote_id: personUuid(user), first_name, last_name, email, status })
    }
  })

  it('has every job, offered or not', async () => {
    const jobs = await fetchModel('jobs')
    const { tables } = tenant.company
    const statuses = new Set<unknown>()
    for (const job of tables.jobs.values()) {
      const [posting] = tenant.company.children('job_postings', job.id)
      const offer = tables.job_postings.get(posting ?? '')
      const found = jobs.get(offer ? shortId(offer) : postUuid(job))
      const contact = tables.users.get(job.fields.contact_id ?? '')
      expect(found).toMatchObject({ name: job.fields.name, department: job.fields.department })
      expect(found?.['contact_id']).toBe(contact ? id('users', personUuid(contact)) : null)
      expect(found?.['status'] === 'OPEN').toBe(job.fields.status === 'OPEN')
      if (offer && job.fields.location)
        expect(found?.['location']).toMatchObject({ country: job.fields.location.country })
      statuses.add(found?.['status'])
    }
    expect(jobs.size).toBe(tables.jobs.size)
    expect(statuses.size).toBeGreaterThan(1)
  })

  it('has every candidate who applied', async () => {
    const candidates = await fetchModel('candidates')
    const applied = [...tenant.company.tables.candidates.values()].filter(
      (each) => tenant.company.children('applications', each.id).length > 0,
    )
    expect(candidates.size).toBe(applied.length)
    for (const candidate of applied) {
      const { first_name, last_name, email_addresses, location } = candidate.fields
      expect(candidates.get(applicantUuid(candidate.id))).toMatchObject({
        ...{ first_name, last_name },
        email_addresses: [{ email_address: email_addresses[0]?.email_address }],
        location:
          location === null ? null : { city: location.city, country: location.country, street_1: location.street_1 },
      })
    }
  })

  it('has every application with its stage, and every stage for every job', async () => {
    const { pages } = await tenant.fetch('applications')
    const { tables } = tenant.company
    const applications = recordsOf(pages, 'applications')
    expect(applications.size).toBe(tables.applications.size)
    for (const application of tables.applications.values()) {
      expect(applications.get(shortId(application))).toMatchObject({
        outcome: application.fields.outcome,
        candidate_id: id('candidates', applicantUuid(application.fields.candidate_id)),
        remote_created_at: new Date(application.createdMs).toISOString(),
      })
    }
    const stages = recordsOf(pages, 'application-stages')
    const stageIds = new Set([...stages.keys()].map((stage) => id('application-stages', stage)))
    for (const { current_stage_id } of applications.values()) expect(stageIds).toContain(current_stage_id)
    const jobs = await fetchModel('jobs')
    const jobIds = new Set([...jobs.keys()].map((job) => id('jobs', job)))
    for (const { job_id } of applications.values()) expect(jobIds).toContain(job_id)
    expect(recordsOf(pages, 'job-stages').size).toBe(stages.size * jobs.size)
    expect(tenant.source.warnings().join()).toContain('caseStudy')
  })

  it('asks for 50 rows at a time, whatever it is asked to begin with', async () => {
    const { pages } = await tenant.fetch('candidates', { updatedAfterMs: tenant.clock.now() })
    expect(pages.map(({ route }) => route.split('?')[1] ?? '')).toEqual(['', 'page=2', 'page=3'])
    expect(pages.map(({ mapped }) => mapped.records.length)).toEqual([50, 50, 30])
  })
})

describe('tokens', () => {
  it('last for several fetches and are renewed before they expire', async () => {
    await tenant.fetch('candidates')
    await tenant.fetch('jobs')
    expect(tenant.simulator.stats.tokens).toBe(1)
    await tenant.clock.advance(841_000)
    expect((await tenant.fetch('jobs')).error).toBeUndefined()
    expect(tenant.simulator.stats).toMatchObject({ tokens: 2, errors: 0 })
  })

  it('that are refused are replaced once', async () => {
    await tenant.fetch('jobs')
    tenant.simulator.revokeTokens()
    expect((await tenant.fetch('jobs')).error).toBeUndefined()
    expect(tenant.simulator.stats).toMatchObject({ tokens: 2, errors: 1 })
  })

  it('that expire on the way are no failure', async () => {
    tenant.simulator.faults.add({ kind: 'slow', endpoint: 'applicants', page: 2, delayMs: 1_000_000 })
    const { pages, error } = await tenant.fetch('candidates')
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(3)
    expect(tenant.simulator.stats).toMatchObject({ tokens: 2, errors: 1 })
  })

  it('that are refused again and again are a matter of credentials', async () => {
    const other = await startTenant({ tokenLifeMs: 0 })
    expect((await other.fetch('jobs')).error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    await other.close()
  })

  it('are not given for a wrong key pair', async () => {
    const wrong = await startTenant({ wrongSecret: 'wrong' })
    const { pages, error } = await wrong.fetch('jobs')
    expect(pages).toEqual([])
    expect(error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect(String(error)).not.toContain('wrong')
    expect(wrong.simulator.stats.requests).toBe(1)
    await wrong.close()
  })
})

describe('what goes wrong on the way', () => {
  it.each([
    'rate_limited',
    'server_error',
    'html_bad_gateway',
    'empty_body',
    'cut_before_headers',
    'cut_mid_body',
    'malformed_json',
  ] as const)('is made up for: %s', async (kind) => {
    tenant.simulator.faults.add({ kind, endpoint: 'applicants', page: 2, count: 2 })
    const { pages, error } = await tenant.fetch('candidates')
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(3)
  })

  it('never looks like a complete run', async () => {
    tenant.simulator.faults.add({ kind: 'server_error', endpoint: 'applicants', page: 2, count: 1000 })
    const { pages, error } = await tenant.fetch('candidates')
    expect(pages).toHaveLength(1)
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
  })

  it('waits for the limit of the key pair', async () => {
    const limited = await startTenant({ requestsPerMinute: 2 })
    const before = limited.clock.now()
    expect((await limited.fetch('applications')).error).toBeUndefined()
    expect(limited.clock.now() - before).toBeGreaterThanOrEqual(60_000)
    expect(limited.simulator.stats.rateLimited).toBeGreaterThan(0)
    await limited.close()
  })

  it('sets a record aside that cannot be mapped', async () => {
    tenant.simulator.faults.add({ kind: 'unmappable_record', endpoint: 'applicants', page: 1, field: 'uuid' })
    const { pages } = await tenant.fetch('candidates')
    expect(pages.map(({ mapped }) => mapped.failures.length)).toEqual([1, 0, 0])
    expect(pages[0]?.mapped.records).toHaveLength(49)
  })
})

describe('permissions that are missing', () => {
  it.each([
    ['users', 'persons', 'persons'],
    ['jobs', 'posts', 'posts'],
    ['candidates', 'applicants', 'applicants'],
    ['applications', 'job-applications', 'job applications'],
  ] as const)('make %s a stream that is not offered', async (stream, resource, said) => {
    tenant.simulator.forbidden.add(resource)
    const { pages, error } = await tenant.fetch(stream)
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(1)
    expect(pages[0]?.notOffered).toContain(said)
  })

  it('for what others only refer to cost the fields that come from there', async () => {
    for (const resource of ['master-data', 'organization-units'] as const) tenant.simulator.forbidden.add(resource)
    for (const user of (await fetchModel('users')).values()) expect(user).not.toHaveProperty('email')
    for (const job of (await fetchModel('jobs')).values()) expect(job).not.toHaveProperty('department')
    tenant.simulator.forbidden.add('posts')
    const { pages, error } = await tenant.fetch('applications')
    expect(error).toBeUndefined()
    expect(recordsOf(pages, 'job-stages').size).toBe(0)
    expect(pages.every(({ notOffered }) => notOffered === null)).toBe(true)
  })

  it('lost on the way fail the run', async () => {
    const { signal } = new AbortController()
    const pages = tenant.source
      .fetch({ integrationId: INTEGRATION, stream: 'candidates', signal })
      [Symbol.asyncIterator]()
    expect((await pages.next()).done).toBe(false)
    tenant.simulator.forbidden.add('applicants')
    await expect(pages.next()).rejects.toMatchObject({ code: 'PROVIDER_REFUSED' })
  })

  it('are told model by model', async () => {
    const check = () => tenant.source.checkAccess({ integrationId: INTEGRATION, signal: new AbortController().signal })
    expect((await check()).map(({ model, ok, missing, message }) => [model, ok, missing, message])).toEqual(
      ['users', 'jobs', 'candidates', 'applications', 'application-stages', 'job-stages'].map((model) => [
        model,
        true,
        null,
        null,
      ]),
    )
    for (const resource of ['master-data', 'job-applications'] as const) tenant.simulator.forbidden.add(resource)
    const access = await check()
    expect(access.map(({ model, ok }) => [model, ok])).toEqual([
      ...[
        ['users', true],
        ['jobs', true],
        ['candidates', true],
      ],
      ...[
        ['applications', false],
        ['application-stages', false],
        ['job-stages', false],
      ],
    ])
    expect(access[0]).toMatchObject({
      missing: 'master data of persons',
      message: expect.stringContaining('without email') as string,
    })
    expect(access[3]?.message).toContain('job applications')
  })
})
