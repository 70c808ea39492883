import { Kombo } from '@kombo-api/sdk'
import {
  dataChangedWebhookPayloadFromJSON,
  integrationCreatedWebhookPayloadFromJSON,
  integrationDeletedWebhookPayloadFromJSON,
  integrationStateChangedWebhookPayloadFromJSON,
  syncFinishedWebhookPayloadFromJSON,
} from '@kombo-api/sdk/models'
import { KomboAtsError } from '@kombo-api/sdk/models/errors'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Rig, SMALL, startReceiver, startRig } from './testkit.ts'

let rig: Rig
let sdk: Kombo

beforeEach(async () => {
  rig = await startRig()
  sdk = new Kombo({ api_key: rig.sandbox.apiKey, integration_id: rig.id, server_url: rig.url })
})
afterEach(() => rig.close())

interface SdkPage {
  readonly result: {
    readonly data: { readonly results: readonly { readonly id: string }[]; readonly next: string | null }
  }
}

/** All records of a listing through the SDK's own paginator. */
async function drain<P extends SdkPage>(pages: AsyncIterable<P>): Promise<P['result']['data']['results'][number][]> {
  const records: P['result']['data']['results'][number][] = []
  for await (const page of pages) records.push(...page.result.data.results)
  return records
}

describe('the official SDK', () => {
  it('parses every page of every read endpoint that it knows', async () => {
    const { ats } = sdk
    const request = { page_size: 20 }
    const counts = {
      jobs: (await drain(await ats.getJobs(request))).length,
      candidates: (await drain(await ats.getCandidates(request))).length,
      applications: (await drain(await ats.getApplications(request))).length,
    }
    expect(counts).toEqual(SMALL)
    const tables = rig.sandbox.world.company(rig.id).tables
    expect(await drain(await ats.getApplicationStages(request))).toHaveLength(tables.application_stages.size)
    expect(await drain(await ats.getInterviews(request))).toHaveLength(tables.interviews.size)
    expect(await drain(await ats.getOffers(request))).toHaveLength(tables.offers.size)
    expect(await drain(await ats.getRejectionReasons(request))).toHaveLength(tables.rejection_reasons.size)
    expect(await drain(await ats.getTags(request))).toHaveLength(tables.tags.size)
    expect(await drain(await ats.getUsers(request))).toHaveLength(tables.users.size)
    expect(await drain(await ats.getRoles(request))).toHaveLength(tables.roles.size)
    expect(tables.interviews.size).toBeGreaterThan(0)
    expect(tables.offers.size).toBeGreaterThan(0)
  })

  it('parses attachments, which are had under their addresses, also of an application', async () => {
    const [application] = await drain(await sdk.ats.getApplications({ page_size: 1 }))
    const { candidate_id } = application as unknown as { candidate_id: string }
    const { data } = await sdk.ats.getCandidateAttachments({ candidate_id })
    const own = await sdk.ats.getApplicationAttachments({ application_id: application?.id ?? '' })
    expect(own.data.results.map(({ id }) => id)).toEqual(data.results.map(({ id }) => id))
    const [cv] = data.results
    expect(cv).toMatchObject({ type: 'CV', candidate_id, application_id: null, content_type: 'application/pdf' })
    const file = await fetch(cv?.data_url ?? '')
    expect([file.headers.get('content-type'), (await file.text()).slice(0, 5)]).toEqual(['application/pdf', '%PDF-'])
    expect((await fetch(`${cv?.data_url}0`)).status).toBe(404)
    const thrown = await sdk.ats.getCandidateAttachments({ candidate_id: 'nobody' }).catch((error: unknown) => error)
    expect(thrown).toMatchObject({ statusCode: 404, error: { code: 'PLATFORM.INPUT_INVALID' } })
    rig.sandbox.world.deleteCandidate(rig.id, candidate_id)
    rig.sandbox.syncNow(rig.id, 'FULL')
    await rig.sandbox.settled()
    const gone = await sdk.ats.getCandidateAttachments({ candidate_id }).catch((error: unknown) => error)
    expect(gone).toMatchObject({ statusCode: 404 })
  })

  it('parses what a day of life and its deletions leave behind, blanked rows included', async () => {
    const { world } = rig.sandbox
    for (let i = 0; i < 400; i++) {
      await rig.clock.advance(1000)
      world.act()
    }
    await rig.clock.advance(15 * 86_400_000)
    const request = { page_size: 50, include_deleted: true }
    const candidates = await drain(await sdk.ats.getCandidates(request))
    expect(candidates.some((each) => each.remote_deleted_at !== null && each.first_name === null)).toBe(true)
    const { ats } = sdk
    const others: readonly AsyncIterable<SdkPage>[] = [
      await ats.getJobs(request),
      await ats.getApplications(request),
      await ats.getInterviews(request),
      await ats.getOffers(request),
      await ats.getTags(request),
      await ats.getUsers(request),
    ]
    for (const pages of others) expect((await drain(pages)).length).toBeGreaterThan(0)
  })

  it('sends filters that are understood', async () => {
    const { world } = rig.sandbox
    const { ats } = sdk
    const company = world.company(rig.id)
    const candidate = company.find('candidates', '3')
    const app = company.children('applications', candidate.id)[0] as string
    const job = company.find('applications', app).fields.job_id
    const email = candidate.fields.email_addresses[0]?.email_address?.toUpperCase() as string
    const ids = (records: readonly { readonly id: string }[]) => records.map((each) => each.id)
    expect(ids(await drain(await ats.getCandidates({ email })))).toEqual([candidate.id])
    expect(ids(await drain(await ats.getCandidates({ ids: [candidate.id, 'unknown'] })))).toEqual([candidate.id])
    expect(ids(await drain(await ats.getCandidates({ remote_ids: ['3', '4'] })))).toHaveLength(2)
    expect(ids(await drain(await ats.getCandidates({ job_ids: [job] })))).toContain(candidate.id)
    const ofJob = await drain(await ats.getApplications({ job_ids: [job], outcomes: ['PENDING', 'HIRED', 'DECLINED'] }))
    expect(ofJob.length).toBeGreaterThan(0)
    for (const each of ofJob) expect(each.job?.id).toBe(job)
    const open = await drain(await ats.getJobs({ statuses: ['OPEN'] }))
    expect(open.length).toBeGreaterThan(0)
    for (const each of open) expect(each.status).toBe('OPEN')
    const roles = await drain(await ats.getRoles({ scopes: ['JOB'] }))
    for (const each of roles) expect(each.scope).toBe('JOB')
    const user = company.find('users', '2')
    expect(ids(await drain(await ats.getUsers({ emails: [user.fields.email as string] })))).toEqual([user.id])
  })

  it('sees changes with updated_after and deletions with include_deleted', async () => {
    const { world } = rig.sandbox
    await rig.clock.advance(1000)
    const since = new Date(rig.clock.now())
    world.editCandidate(rig.id, '5', { first_name: 'Frodo' })
    world.deleteCandidate(rig.id, '6')
    const changed = await drain(await sdk.ats.getCandidates({ updated_after: since }))
    expect(changed.map((each) => each.first_name)).toEqual(['Frodo'])
    const all = await drain(await sdk.ats.getCandidates({ updated_after: since, include_deleted: true }))
    expect(all.map((each) => each.remote_deleted_at !== null)).toEqual([false, true])
    expect(all[1]?.changed_at).toEqual(since)
  })

  it('turns every refusal into KomboAtsError with its code', async () => {
    const code = async (
      client: Kombo,
      run: (ats: Kombo['ats']) => Promise<AsyncIterable<unknown>>,
    ): Promise<unknown> => {
      try {
        for await (const _ of await run(client.ats)) break
      } catch (error) {
        return error instanceof KomboAtsError ? [error.statusCode, error.error.code] : error
      }
      return 'no error'
    }
    const client = (options: object): Kombo =>
      new Kombo({ api_key: rig.sandbox.apiKey, integration_id: rig.id, server_url: rig.url, ...options })
    expect(await code(client({ api_key: 'wrong' }), (ats) => ats.getJobs())).toEqual([
      401,
      'PLATFORM.AUTHENTICATION_INVALID',
    ])
    expect(await code(client({ integration_id: 'a:b' }), (ats) => ats.getJobs())).toEqual([
      404,
      'PLATFORM.INTEGRATION_NOT_FOUND',
    ])
    expect(await code(sdk, (ats) => ats.getJobs({ page_size: 251 }))).toEqual([400, 'PLATFORM.INPUT_INVALID'])
    expect(await code(sdk, (ats) => ats.getApplications({ outcomes: ['MAYBE' as never] }))).toEqual([
      400,
      'PLATFORM.INPUT_INVALID',
    ])
    const fresh = rig.sandbox.createIntegration()
    expect(await code(client({ integration_id: fresh }), (ats) => ats.getTags())).toEqual([
      409,
      'INTEGRATION.SETUP_SYNC_PENDING',
    ])
    rig.sandbox.faults.add({ kind: 'rate_limited' })
    expect(await code(sdk, (ats) => ats.getJobs())).toEqual([429, 'PLATFORM.RATE_LIMIT_EXCEEDED'])
    rig.sandbox.faults.add({ kind: 'server_error' })
    expect(await code(sdk, (ats) => ats.getJobs())).toEqual([500, 'PLATFORM.UNKNOWN_ERROR'])
  })

  it('parses the general endpoints', async () => {
    const { general } = sdk
    expect((await general.checkApiKey()).data.environment_id).toMatch(/^\w{24}$/)
    const { data } = await general.getIntegrationDetails({ integration_id: rig.id, include_counts: false } as never)
    expect(data).toMatchObject({ id: rig.id, status: 'ACTIVE', setup_status: 'COMPLETED', category: 'ATS' })
    const sync = await general.triggerSync({ type: 'DELTA' })
    expect(sync.data).toMatchObject({ already_queued: false, type: 'DELTA' })
    expect((await general.triggerSync({ type: 'FULL' })).data).toEqual({ ...sync.data, already_queued: true })
    await general.deleteIntegration({ integration_id: rig.id, body: {} })
    expect(rig.sandbox.integrations).toEqual([])
  })

  it('has models for every webhook, except that it does not know ats_notes', async () => {
    const receiver = await startReceiver()
    try {
      rig.sandbox.setWebhookTarget(receiver.url)
      const fresh = rig.sandbox.createIntegration({ tool: 'personio' })
      await rig.clock.advance(5000)
      rig.sandbox.deleteIntegration(fresh)
      rig.sandbox.world.addTag(rig.id, '1', 'Fun')
      await rig.sandbox.settled()
      const parsers: Record<string, (json: string) => { ok: boolean }> = {
        'data-changed': dataChangedWebhookPayloadFromJSON,
        'sync-finished': syncFinishedWebhookPayloadFromJSON,
        'integration-created': integrationCreatedWebhookPayloadFromJSON,
        'integration-deleted': integrationDeletedWebhookPayloadFromJSON,
        'integration-state-changed': integrationStateChangedWebhookPayloadFromJSON,
      }
      expect(new Set(receiver.types())).toEqual(new Set(Object.keys(parsers)))
      for (const { raw, json } of receiver.received) {
        const notes = json.data.changed_models?.some((model: { name: string }) => model.name === 'ats_notes') ?? false
        expect([json.type, parsers[json.type]?.(raw.toString('utf8')).ok]).toEqual([json.type, !notes])
      }
    } finally {
      await receiver.close()
    }
  })
})
