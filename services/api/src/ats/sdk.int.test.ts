import { Kombo } from '@kombo-api/sdk'
import { KomboAtsError } from '@kombo-api/sdk/models/errors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ACME, makeCompany } from '../testing/company.ts'
import { openWorld, type Served, type World } from '../testing/harness.ts'

let world: World
let api: Served
const client = (integrationId = ACME, key = 'secret') =>
  new Kombo({ api_key: key, integration_id: integrationId, server_url: `${api.url}/v1` })

beforeAll(async () => {
  world = await openWorld()
  await world.fill(makeCompany(world.maker).changes, 0)
  api = await world.serve({ apiKeys: [{ name: 'test', key: 'secret', write: true }] })
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
    ['a wrong key', () => client(ACME, 'wrong').ats.getJobs(), 401, 'PLATFORM.AUTHENTICATION_INVALID'],
    ['an unknown integration', () => client('x:y').ats.getJobs(), 404, 'PLATFORM.INTEGRATION_NOT_FOUND'],
    ['a refused filter', () => client().ats.getJobs({ page_size: 999 }), 400, 'PLATFORM.INPUT_INVALID'],
  ] as const)('understands the refusal of %s', async (_name, call, status, code) => {
    const error: unknown = await call().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(KomboAtsError)
    expect(error).toMatchObject({ statusCode: status, error: { code, log_url: null } })
  })

  test('asks for a sync, once', async () => {
    const first = await client().general.triggerSync({ type: 'DELTA' })
    expect(first.data).toMatchObject({ already_queued: false, type: 'DELTA' })
    const again = await client().general.triggerSync({ type: 'DELTA' })
    expect(again.data).toEqual({ ...first.data, already_queued: true })
  })
})
