import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seededRandom } from '@tidemark/base'
import type { WebhookRequest } from '@tidemark/connector'
import { applicantUuid } from '@tidemark/sandbox/hrworks'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INTEGRATION, startTenant, type Tenant } from '../test/tenant.ts'
import { HrworksClient } from './client.ts'
import { type JobDeps, submitAndWait, waitForJob } from './jobs.ts'
import { parseOptions } from './options.ts'
import { type Registration, registerWebhooks, removeWebhooks, WEBHOOK_ACTIONS } from './subscriptions.ts'

let tenant: Tenant
let deps: JobDeps & { readonly client: HrworksClient }
let receiver: Server
let received: WebhookRequest[]
let url: string
/** What the receiver answers. */
let status: number

const { signal } = new AbortController()

beforeEach(async () => {
  tenant = await startTenant({ sizes: { jobs: 3, candidates: 5, applications: 8 } })
  const { simulator, clock } = tenant
  const options = parseOptions({
    ...{ integration: INTEGRATION, base_url: tenant.baseUrl },
    ...{ access_key: simulator.accessKey, secret_access_key: simulator.secretAccessKey },
  })
  deps = { client: new HrworksClient(options, { clock, random: seededRandom(1) }), clock }
  received = []
  status = 200
  receiver = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      received.push({ headers: flat(request.headers), query: {}, rawBody: Buffer.concat(parts) })
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/webhooks/acme`
})

afterEach(async () => {
  await deps.client.close()
  await tenant.close()
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
})

const flat = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  )

const register = (to = url): Promise<Registration> =>
  tenant.drive(registerWebhooks(deps, { url: to, accessKey: tenant.simulator.accessKey, signal }))

const remove = (): Promise<number> =>
  tenant.drive(removeWebhooks(deps, { url, accessKey: tenant.simulator.accessKey, signal }))

describe('registrations', () => {
  it('are four, made once and removed together', async () => {
    expect(await register()).toEqual({ created: WEBHOOK_ACTIONS, updated: [], unchanged: [] })
    expect(await register()).toEqual({ created: [], updated: [], unchanged: WEBHOOK_ACTIONS })
    expect(await remove()).toBe(4)
    expect(await remove()).toBe(0)
  })

  it('follow a new secret in the URL, and leave those of others alone', async () => {
    await register('http://other.example/webhooks/acme')
    await register(`${url}?secret=old`)
    expect(await register(`${url}?secret=new`)).toEqual({ created: [], updated: WEBHOOK_ACTIONS, unchanged: [] })
    expect(await register(`${url}?secret=new`)).toEqual({ created: [], updated: [], unchanged: WEBHOOK_ACTIONS })
    expect(await remove()).toBe(4)
  })

  it('say why they were refused', async () => {
    tenant.simulator.setJobMode('data_errors')
    await expect(register(`${url}?secret=hidden`)).rejects.toMatchObject({
      ...{ code: 'PROVIDER_REFUSED', message: expect.stringMatching(/^(?!.*hidden).*refused on request/) as string },
    })
    tenant.simulator.forbidden.add('webhooks')
    await expect(register()).rejects.toMatchObject({ code: 'PROVIDER_REFUSED' })
  })

  it('say when nobody knows what became of them', async () => {
    tenant.simulator.setJobMode('never')
    const before = deps.clock.now()
    await expect(register()).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
    expect(deps.clock.now() - before).toBeGreaterThanOrEqual(120_000)
  })
})

describe('deliveries', () => {
  const applicant = (): string => [...tenant.company.tables.candidates.values()][0]?.id ?? ''

  const told = () =>
    received.map((request) => {
      expect(tenant.source.verifyWebhook(request)).toBe(true)
      expect(tenant.source.integrationOf(request)).toBe(INTEGRATION)
      const { eventName, effects } = tenant.source.readWebhook(request)
      return { eventName, effect: effects[0] }
    })

  it('name the applicant to look at, whatever happened', async () => {
    await register()
    const candidate = applicant()
    const [application] = tenant.company.children('applications', candidate)
    tenant.world.editCandidate(INTEGRATION, candidate, { first_name: 'Frodo' })
    await tenant.simulator.settled()
    tenant.world.hireApplication(INTEGRATION, application ?? '')
    await tenant.simulator.settled()
    const [job] = tenant.company.tables.jobs.values()
    const created = tenant.world.createCandidate(INTEGRATION)
    tenant.world.apply(INTEGRATION, created, job?.id ?? '')
    await tenant.simulator.settled()
    tenant.world.deleteCandidate(INTEGRATION, candidate)
    await tenant.simulator.settled()
    const effect = (id: string) => ({ kind: 'read', model: 'candidates', remoteKeys: [applicantUuid(id)] })
    expect(told()).toEqual([
      { eventName: 'resourceUpdated', effect: effect(candidate) },
      { eventName: 'resourceUpdated', effect: effect(candidate) },
      { eventName: 'resourceCreated', effect: effect(created) },
      { eventName: 'resourceDeleted', effect: effect(candidate) },
    ])
    const ids = received.map((request) => tenant.source.readWebhook(request).eventId)
    expect(new Set(ids).size).toBe(4)
  })

  it('come twice under one id where they are repeated', async () => {
    await register()
    tenant.simulator.faults.add({ kind: 'duplicate_webhook' })
    tenant.world.editCandidate(INTEGRATION, applicant(), { first_name: 'Frodo' })
    await tenant.simulator.settled()
    expect(received).toHaveLength(2)
    expect(new Set(received.map((request) => tenant.source.readWebhook(request).eventId)).size).toBe(1)
  })

  it('are not believed with a wrong signature or an old timestamp', async () => {
    await register()
    for (const kind of ['wrong_signature', 'stale_timestamp'] as const) {
      tenant.simulator.spoilWebhooks(kind)
      tenant.world.editCandidate(INTEGRATION, applicant(), { first_name: kind })
      await tenant.simulator.settled()
    }
    expect(received.map((request) => tenant.source.verifyWebhook(request))).toEqual([false, false])
  })

  it('are tried again, with a new timestamp', async () => {
    await register()
    status = 503
    tenant.world.editCandidate(INTEGRATION, applicant(), { first_name: 'Frodo' })
    await tenant.simulator.settled()
    status = 200
    await tenant.clock.advance(600_000)
    await tenant.simulator.settled()
    expect(tenant.simulator.stats.webhooks).toMatchObject({ delivered: 1, retries: 1, failed: 0 })
    expect(received).toHaveLength(2)
    const last = received.at(-1)
    expect(last?.headers['x-hrworks-timestamp']).not.toBe(received[0]?.headers['x-hrworks-timestamp'])
  })

  it('are not made of what the ATS tells nobody, or of people who did not apply', async () => {
    await register()
    tenant.world.vanishCandidate(INTEGRATION, applicant())
    tenant.world.createCandidate(INTEGRATION)
    await tenant.simulator.settled()
    expect(received).toEqual([])
  })
})

describe('asynchronous writes', () => {
  const jobsPath = '/applicant-management/job-applications/jobs'
  const write = (data: object) =>
    tenant.drive(
      submitAndWait(deps, {
        ...{ method: 'POST', path: '/applicant-management/job-applications', jobsPath, signal },
        body: { data: [data] },
      }),
    )
  const row = (): object => {
    const [job] = tenant.company.tables.jobs.values()
    return { firstName: 'Bilbo', lastName: 'Baggins', email: 'bilbo@shire.example', postId: job?.remoteId }
  }

  it('end with the id of what was written', async () => {
    const outcome = await write(row())
    const id = [...tenant.company.tables.applications.values()].at(-1)?.remoteId
    expect(outcome).toMatchObject({ kind: 'finished', results: [{ recordId: 0 }] })
    const results = outcome.kind === 'finished' ? outcome.results : []
    expect(Number.parseInt(results[0]?.id ?? '', 16) & 0xffff).toBe(Number(id))
  })

  it('end with what is wrong with them', async () => {
    expect(await write({ firstName: 'Bilbo' })).toMatchObject({
      ...{ kind: 'failed', problems: [{ recordId: 0, attribute: null, message: 'lastName is missing' }], results: [] },
    })
  })

  it('that do not end are unknown after two minutes of 1, 2, 4, 5, 5 … seconds', async () => {
    tenant.simulator.setJobMode('never')
    const before = tenant.simulator.stats.requests
    const outcome = await write(row())
    expect(outcome).toMatchObject({ kind: 'unknown', jobId: expect.any(String) as string })
    expect(outcome.kind === 'unknown' && outcome.waitedMs).toBeGreaterThanOrEqual(120_000)
    const polls = tenant.simulator.stats.requests - before - 2
    expect(polls).toBeGreaterThan(15)
    expect(polls).toBeLessThanOrEqual(26)
  })

  it('survive a time without answers', async () => {
    tenant.simulator.faults.add({ kind: 'server_error', endpoint: 'job-applications', count: 9, page: 1 })
    const submitted = tenant.drive(
      waitForJob(deps, { jobsPath, jobId: 'nobody', signal }).catch((error: unknown) => error),
    )
    // Once answers come again, the job is not known, which is no failure that passes.
    expect(await submitted).toMatchObject({ code: 'PROVIDER_REFUSED' })
    expect(tenant.simulator.faults.fired.server_error).toBe(9)
  })

  it('are sent once, whatever becomes of the answer', async () => {
    const before = tenant.company.tables.applications.size
    tenant.simulator.faults.add({ kind: 'cut_mid_body', endpoint: 'job-applications' })
    await expect(write(row())).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
    expect(tenant.company.tables.applications.size).toBe(before + 1)
  })

  it('end when they are aborted', async () => {
    const aborter = new AbortController()
    const work = waitForJob(deps, { jobsPath, jobId: 'x', signal: aborter.signal })
    aborter.abort(new Error('enough'))
    await expect(work).rejects.toThrow('enough')
  })
})
