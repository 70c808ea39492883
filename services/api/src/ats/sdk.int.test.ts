import { HTTPClient, Kombo } from '@kombo-api/sdk'
import { KomboAtsError } from '@kombo-api/sdk/models/errors'
import { ManualClock } from '@tidemark/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CV, fakeAttachments, LETTER } from '../testing/attachments.ts'
import { ACME, type Company, makeCompany } from '../testing/company.ts'
import { noStatus, openWorld, type Served, type World } from '../testing/harness.ts'

let world: World
let api: Served
let id: Company['id']
const keys = [
  { name: 'test', key: 'secret', write: true },
  { name: 'narrow', key: 'narrow', integrations: [ACME], models: ['notes' as const] },
]
/** Integrations by how far they have come. */
const states = {
  'setup:pending': { setup: 'SETUP_SYNC_PENDING' },
  'setup:incomplete': { setup: 'SETUP_INCOMPLETE' },
  'setup:qa': { setup: 'QA_FAILED' },
  'setup:inactive': { setup: 'INACTIVE' },
} as const
const client = (integrationId = ACME, key = 'secret') =>
  new Kombo({ api_key: key, integration_id: integrationId, server_url: `${api.url}/v1` })

beforeAll(async () => {
  world = await openWorld()
  const company = makeCompany(world.maker)
  id = company.id
  await world.fill(company.changes, 0)
  const setups = Object.entries(states).map(([integrationId, state]) => ({
    integrationId,
    source: 's',
    state: null,
    streams: [],
    ...state,
  }))
  const acme = { integrationId: ACME, source: 'traffit', state: null, streams: [] }
  api = await world.serve({
    apiKeys: keys,
    sources: new Map([['traffit', fakeAttachments().source]]),
    status: { ...noStatus, integrations: () => [acme, ...setups] },
  })
})
afterAll(() => world.close())

interface Page {
  readonly result: { readonly data: { readonly results: readonly { readonly remote_id: string | null }[] } }
}

async function everything(pages: Promise<AsyncIterable<Page>>): Promise<(string | null)[]> {
  const out: (string | null)[] = []
  for await (const page of await pages) out.push(...page.result.data.results.map((record) => record.remote_id))
  return out.sort()
}

/** One record a page, so that every listing of two records needs its cursor. */
const one = { page_size: 1 }

describe("Kombo's official SDK, pointed here", () => {
  test.each([
    ['jobs', () => client().ats.getJobs({ ...one, name_contains: 'COO', updated_after: new Date(0) }), ['j2']],
    ['all jobs', () => client().ats.getJobs({ ...one, include_deleted: true }), ['j1', 'j2']],
    ['candidates', () => client().ats.getCandidates(one), ['c1', 'c2']],
    ['applications', () => client().ats.getApplications(one), ['a1', 'a2']],
    ['pending applications', () => client().ats.getApplications({ ...one, outcomes: ['PENDING', 'HIRED'] }), ['a1']],
    ['application stages', () => client().ats.getApplicationStages(one), ['s1', 's2']],
    ['interviews', () => client().ats.getInterviews(one), ['i1']],
    ['offers', () => client().ats.getOffers(one), ['o1', 'o2']],
    ['rejection reasons', () => client().ats.getRejectionReasons(one), ['rr1']],
    ['tags', () => client().ats.getTags(one), ['t1', 't2']],
    ['users', () => client().ats.getUsers(one), ['u1', 'u2']],
    ['roles', () => client().ats.getRoles({ ...one, scopes: ['JOB', 'SYSTEM'] }), ['r1']],
  ] as const)('reads %s page by page', async (_name, call, expected) => {
    expect(await everything(call() as Promise<AsyncIterable<Page>>)).toEqual(expected)
  })

  test.each([
    ['jobs', () => client().ats.getJobs({ ids: [id('jobs', 'j2')], statuses: ['CLOSED', 'OPEN'] }), ['j2']],
    ['jobs', () => client().ats.getJobs({ job_codes: ['BE-1', 'x'], remote_created_after: new Date(0) }), ['j1']],
    ['jobs', () => client().ats.getJobs({ employment_types: ['FULL_TIME'], visibilities: ['PUBLIC'] }), []],
    ['jobs', () => client().ats.getJobs({ post_url: 'https://nowhere.example', ignore_unsupported_filters: true }), []],
    ['candidates', () => client().ats.getCandidates({ email: 'frodo@shire.ME', first_name: 'frodo' }), ['c1']],
    ['candidates', () => client().ats.getCandidates({ job_ids: [id('jobs', 'j1')], last_name: 'Baggins' }), ['c1']],
    ['applications', () => client().ats.getApplications({ job_remote_ids: ['j1'], remote_ids: ['a1', 'a2'] }), ['a1']],
    [
      'applications',
      () => client().ats.getApplications({ current_stage_ids: [id('application-stages', 's2')] }),
      ['a1'],
    ],
    ['applications', () => client().ats.getApplications({ remote_created_after: new Date('2099-01-01') }), []],
    ['stages', () => client().ats.getApplicationStages({ remote_ids: ['s2'] }), ['s2']],
    ['interviews', () => client().ats.getInterviews({ job_ids: [id('jobs', 'j1')] }), ['i1']],
    ['offers', () => client().ats.getOffers({ remote_ids: ['o2'], include_deleted: true }), ['o2']],
    ['rejection reasons', () => client().ats.getRejectionReasons({ updated_after: new Date('2099-01-01') }), []],
    ['tags', () => client().ats.getTags({ ids: [id('tags', 't1')] }), ['t1']],
    ['users', () => client().ats.getUsers({ emails: ['ELROND@rivendell.me'] }), ['u1']],
    ['roles', () => client().ats.getRoles({ scopes: ['JOB'] }), ['r1']],
  ] as const)('filters %s', async (_name, call, expected) => {
    expect(await everything(call() as Promise<AsyncIterable<Page>>)).toEqual(expected)
  })

  const listings = ['getJobs', 'getCandidates', 'getApplications', 'getApplicationStages', 'getInterviews'] as const
  const others = ['getOffers', 'getRejectionReasons', 'getTags', 'getUsers', 'getRoles'] as const
  const fails = (to: Kombo, status: number, code: string | null) =>
    Promise.all(
      [...listings, ...others].map(async (method) => {
        const error: unknown = await to.ats[method]().catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(KomboAtsError)
        expect(error).toMatchObject({ statusCode: status, error: { code, message: expect.any(String), log_url: null } })
      }),
    )

  test.each([
    ['a wrong key', () => client(ACME, 'wrong'), 401, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['an unknown integration', () => client('x:y'), 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['an integration out of scope', () => client('traffit:other', 'narrow'), 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['a model out of scope', () => client(ACME, 'narrow'), 403, 'INTEGRATION.MODEL_DISABLED'],
    ['a first sync under way', () => client('setup:pending'), 409, 'INTEGRATION.SETUP_SYNC_PENDING'],
    ['an unfinished setup', () => client('setup:incomplete'), 409, 'INTEGRATION.SETUP_INCOMPLETE'],
    ['failed checks', () => client('setup:qa'), 409, 'INTEGRATION.QA_FAILED'],
    ['an integration switched off', () => client('setup:inactive'), 409, 'INTEGRATION.INACTIVE'],
  ] as const)('understands the refusal of %s by every listing', async (_name, to, status, code) => {
    await fails(to(), status, code)
  })

  test('understands the refusal of a filter, and of what there is not', async () => {
    const thrown = async (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error)
    const filter = await thrown(client().ats.getJobs({ page_size: 999 }))
    expect(filter).toBeInstanceOf(KomboAtsError)
    expect(filter).toMatchObject({ statusCode: 400, error: { code: 'PLATFORM.INPUT_INVALID' } })
    const attachments = await thrown(client().ats.getCandidateAttachments({ candidate_id: 'nobody' }))
    expect(attachments).toBeInstanceOf(KomboAtsError)
    expect(attachments).toMatchObject({ statusCode: 404, error: { code: 'PLATFORM.INPUT_INVALID' } })
    const action = await thrown(
      client().ats.rejectApplication({ application_id: 'a', body: { rejection_reason_id: 'r' } }),
    )
    expect(action).toBeInstanceOf(KomboAtsError)
    expect(action).toMatchObject({ statusCode: 404, error: { code: null } })
  })

  test('reads the attachments of candidates and applications', async () => {
    const [c1, a1] = [id('candidates', 'c1'), id('applications', 'a1')]
    const ofCandidate = await client().ats.getCandidateAttachments({ candidate_id: c1 })
    expect(ofCandidate.data.results.map((each) => [each.id, each.candidate_id, each.application_id])).toEqual([
      [CV.id, c1, null],
      [LETTER.id, c1, LETTER.applicationId],
    ])
    const ofApplication = await client().ats.getApplicationAttachments({ application_id: a1 })
    expect(ofApplication.warnings).toEqual([{ message: 'careful' }])
    expect(ofApplication.data.results[1]).toEqual({
      ...{ id: LETTER.id, type: 'COVER_LETTER', remote_id: LETTER.remoteId, data_url: LETTER.dataUrl },
      ...{ file_name: 'letter.txt', content_type: 'text/plain', remote_updated_at: new Date(0) },
      remote_created_at: new Date('2025-06-01T10:00:00.123Z'),
    })
    const address = ofApplication.data.results[0]?.data_url ?? ''
    const file = await fetch(address, { headers: { authorization: 'Bearer secret' } })
    expect([file.status, await file.text()]).toEqual([200, '%PDF-1.4'])
  })

  test('understands that requests were too many, and when to come again', async () => {
    const limited = await world.serve({ apiKeys: keys, options: { rateLimit: { requests: 1, windowMs: 60_000 } } })
    const own = new Kombo({ api_key: 'secret', integration_id: ACME, server_url: `${limited.url}/v1` })
    await own.ats.getTags()
    await fails(own, 429, 'PLATFORM.RATE_LIMIT_EXCEEDED')
    const error = (await own.ats.getTags().catch((thrown: unknown) => thrown)) as KomboAtsError
    expect(Number(error.headers.get('ratelimit-reset'))).toBeGreaterThan(0)
    expect(error.headers.get('retry-after')).toBe(error.headers.get('ratelimit-reset'))
  })

  test('waits for its turn when told to retry', async () => {
    const clock = new ManualClock()
    const limited = await world.serve({ apiKeys: keys, clock, options: { rateLimit: { requests: 1, windowMs: 1000 } } })
    const retry = {
      strategy: 'backoff' as const,
      backoff: { initialInterval: 10, maxInterval: 20, exponent: 1, maxElapsedTime: 10_000 },
      retryConnectionErrors: false,
    }
    const statuses: number[] = []
    const http = new HTTPClient()
    http.addHook('response', async ({ status }) => {
      statuses.push(status)
      if (status === 429) await clock.advance(1000)
    })
    const own = new Kombo({
      api_key: 'secret',
      integration_id: ACME,
      server_url: `${limited.url}/v1`,
      retry_config: retry,
      http_client: http,
    })
    await own.ats.getTags()
    expect(await everything(own.ats.getTags() as Promise<AsyncIterable<Page>>)).toEqual(['t1', 't2'])
    expect(statuses).toEqual([200, 429, 200])
  })
})
