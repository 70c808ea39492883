import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createManualClock, type ManualClock } from '../manual-clock.ts'
import type { Company } from '../world/company.ts'
import { World } from '../world/world.ts'
import { createHrworksSimulator, type HrworksSimulator, postUuid, shortId } from './index.ts'

const INTEGRATION = 'hrworks:acme'

let clock: ManualClock
let company: Company
let simulator: HrworksSimulator
let url: string
let token: string

beforeEach(async () => {
  clock = createManualClock()
  const world = new World({ seed: 1, now: () => clock.now(), onMutation: () => undefined })
  company = world.found({ jobs: 8, candidates: 60, applications: 80 }, 'hrworks', INTEGRATION)
  simulator = createHrworksSimulator({ company, clock })
  url = await simulator.start()
  token = ((await (await authenticate()).json()) as { readonly token: string }).token
})

afterEach(() => simulator.stop())

const authenticate = (secretAccessKey = simulator.secretAccessKey): Promise<Response> =>
  fetch(`${url}/authentication`, {
    method: 'POST',
    body: JSON.stringify({ accessKey: simulator.accessKey, secretAccessKey }),
  })

const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } })

const json = async (path: string, init: RequestInit = {}): Promise<Record<string, unknown[]>> =>
  (await (await ask(path, init)).json()) as Record<string, unknown[]>

describe('the simulated HR WORKS', () => {
  it('gives tokens for its key pair only, and refuses them once they have expired', async () => {
    expect((await authenticate('wrong')).status).toBe(403)
    const [, payload = ''] = token.split('.')
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { readonly exp: number }
    expect(exp * 1000 - clock.now()).toBe(900_000)
    expect((await ask('/persons')).status).toBe(200)
    await clock.advance(900_000)
    expect((await ask('/persons')).status).toBe(401)
    expect((await fetch(`${url}/persons`)).status).toBe(401)
    expect((await fetch(`${url}/health-check`)).status).toBe(200)
  })

  it('lists 50 rows at a time with links to the other pages', async () => {
    const first = await ask('/applicant-management/applicants')
    const link = first.headers.get('link') ?? ''
    expect(link).toContain(`<${url}/applicant-management/applicants?page=2>; rel="next"`)
    expect(link).toContain('rel="last"')
    expect(((await first.json()) as { readonly applicants: unknown[] }).applicants).toHaveLength(50)
    const second = await ask('/applicant-management/applicants?page=2')
    expect(second.headers.get('link')).not.toContain('"next"')
    expect(((await second.json()) as { readonly applicants: unknown[] }).applicants).toHaveLength(10)
    const posts = await ask('/applicant-management/posts?onlyActive=false')
    expect(posts.headers.get('link')).toBeNull()
    expect(((await posts.json()) as { readonly posts: unknown[] }).posts).toHaveLength(8)
  })

  it('lists persons by organization unit, only active ones unless told otherwise', async () => {
    const active = Object.values(await json('/persons')).flat()
    const all = Object.values(await json('/persons?onlyActive=false')).flat()
    expect(all).toHaveLength(company.tables.users.size)
    expect(active.length).toBeLessThanOrEqual(all.length)
    const [unit = ''] = Object.keys(await json('/persons?onlyActive=false'))
    expect(Object.keys(await json(`/persons?organizationUnits=${unit}`))).toEqual([unit])
  })

  it('understands every form of a list in a query', async () => {
    const [one, two] = [...company.tables.jobs.values()].map(postUuid)
    const path = '/applicant-management/job-applications'
    const expected = (await json(`${path}?posts=${one}&posts=${two}`))['jobApplications']
    expect(expected?.length).toBeGreaterThan(0)
    for (const query of [`posts=${one},${two}`, `posts=[${one},${two}]`, `posts[]=${one}&posts[]=${two}`])
      expect((await json(`${path}?${query}`))['jobApplications']).toEqual(expected)
    const rejected = (await json(`${path}?statusFilter=rejected`))['jobApplications'] as { statusIdentifier: string }[]
    expect(new Set(rejected.map((row) => row.statusIdentifier))).toEqual(new Set(['rejected']))
  })

  it('refuses more than 60 requests a minute, and what is forbidden', async () => {
    simulator.forbidden.add('posts')
    expect((await ask('/applicant-management/posts')).status).toBe(403)
    for (let i = 1; i < 60; i++) await ask('/organization-units')
    const refused = await ask('/organization-units')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
    await clock.advance(60_000)
    expect((await ask('/organization-units')).status).toBe(200)
  })

  it('creates applications later, for the applicant who has the address already', async () => {
    const [job] = company.tables.jobs.values()
    const row = { firstName: 'Bilbo', lastName: 'Baggins', email: 'bilbo@shire.example', postId: job?.remoteId }
    const path = '/applicant-management/job-applications'
    const people = company.tables.candidates.size
    const create = async (): Promise<Record<string, unknown>> =>
      await json(path, { method: 'POST', body: JSON.stringify({ data: [row] }) })
    const { jobId } = await create()
    expect((await json(`${path}/jobs/${String(jobId)}`))['status']).toBe('pending')
    expect((await json(`${path}/jobs/${String(jobId)}`))['status']).toBe('finished')
    await create()
    expect(company.tables.candidates.size).toBe(people + 1)
    expect(company.tables.applications.size).toBe(82)
    expect((await ask(`${path}/jobs/nobody`)).status).toBe(400)
    expect((await ask(path, { method: 'POST', body: '{}' })).status).toBe(400)
  })

  it('keeps the names of files', async () => {
    const [application] = company.tables.applications.values()
    const id = application === undefined ? '' : shortId(application)
    const path = `/applicant-management/job-applications/${id}/files?contentType=text/plain`
    const headers = { 'content-type': 'application/octet-stream' }
    expect((await ask(path, { method: 'POST', headers, body: 'x' })).status).toBe(400)
    expect((await ask(`${path}&fileName=a.txt`, { method: 'POST', headers, body: 'x' })).status).toBe(200)
    const { jobApplications } = await json('/applicant-management/job-applications')
    const row = (jobApplications as { id: string; applicationDocuments: string[] }[]).find((each) => each.id === id)
    expect(row?.applicationDocuments).toEqual(['a.txt'])
  })
})
