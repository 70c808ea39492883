import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createManualClock } from '../manual-clock.ts'
import type { SandboxOptions } from '../options.ts'
import { type Item, type Rig, startReceiver, startRig } from '../testkit.ts'

let rig: Rig
let receiver: Awaited<ReturnType<typeof startReceiver>>

beforeEach(async () => {
  receiver = await startReceiver()
})
afterEach(async () => {
  await rig.close()
  await receiver.close()
})

const DAY_MS = 86_400_000
const start = async (options: SandboxOptions = {}): Promise<void> => {
  rig = await startRig({ webhookTarget: receiver.url, ...options })
}
const finished = (): Item[] =>
  receiver.received.filter((each) => each.json.type === 'sync-finished').map((each) => each.json.data)
const candidate = async (remoteId: string, query = ''): Promise<Item> =>
  (await rig.get(`/ats/candidates?remote_ids=${remoteId}${query}`)).body.data.results[0]

describe('first sync', () => {
  it('refuses reads with 409 until it ends, and tells by webhooks', async () => {
    await start()
    const id = rig.sandbox.createIntegration({ tool: 'personio', candidates: 7, organization: 'Bag End Ltd' })
    await rig.clock.advance(4999)
    const pending = await rig.get('/ats/candidates', id)
    expect([pending.status, pending.body.error.code]).toEqual([409, 'INTEGRATION.SETUP_SYNC_PENDING'])
    expect((await rig.get(`/integrations/${encodeURIComponent(id)}`)).body.data.setup_status).toBe('FINAL_SYNC_PENDING')
    await rig.clock.advance(1)
    expect(await rig.all('candidates', '', id)).toHaveLength(7)
    await rig.sandbox.settled()
    expect([...receiver.types()].sort()).toEqual([
      ...['data-changed', 'integration-created', 'integration-state-changed', 'sync-finished'],
    ])
    expect(finished()).toMatchObject([
      {
        sync_state: 'SUCCEEDED',
        sync_duration_seconds: 5,
        integration_id: id,
        integration_tool: 'personio',
        end_user: { organization_name: 'Bag End Ltd' },
      },
    ])
  })

  it('answers the older 503 with only a message when asked to', async () => {
    await start({ setupErrors: 'legacy-503', initial: 'connecting' })
    const { status, body } = await rig.get('/ats/jobs')
    expect(status).toBe(503)
    expect(Object.keys(body.error)).toEqual(['message'])
    await rig.clock.advance(5000)
    expect((await rig.get('/ats/jobs')).status).toBe(200)
  })

  it('that fails is repeated, and no data is shown before one succeeds', async () => {
    await start({ initial: 'connecting' })
    rig.sandbox.faults.add({ kind: 'sync_failed', syncState: 'AUTHENTICATION_FAILED' })
    await rig.clock.advance(5000)
    expect((await rig.get('/ats/jobs')).status).toBe(409)
    await rig.clock.advance(5000)
    expect((await rig.get('/ats/jobs')).status).toBe(200)
    await rig.sandbox.settled()
    expect(finished().map((each) => each.sync_state)).toEqual(['AUTHENTICATION_FAILED', 'SUCCEEDED'])
  })
})

describe('deletions', () => {
  it('that the ATS announces are seen at once; those that vanish only by the next full sync, not by a delta', async () => {
    await start({ sync: { fullIntervalMs: 3_600_000, deltaIntervalMs: 600_000, durationMs: 1000 } })
    const { world } = rig.sandbox
    world.deleteCandidate(rig.id, '1')
    expect(await candidate('1')).toBeUndefined()
    expect((await candidate('1', '&include_deleted=true')).remote_deleted_at).not.toBeNull()
    world.vanishCandidate(rig.id, '2')
    expect((await candidate('2')).remote_deleted_at).toBeNull()
    await rig.clock.advance(3_500_000)
    await rig.sandbox.settled()
    expect(finished().length).toBeGreaterThanOrEqual(5)
    expect((await candidate('2')).remote_deleted_at).toBeNull()
    await rig.clock.advance(110_000)
    expect(await candidate('2')).toBeUndefined()
    const since = new Date(rig.clock.now() - 120_000).toISOString()
    const seen = await rig.all('candidates', `updated_after=${since}&include_deleted=true`)
    expect(seen.map((each) => each.remote_id)).toEqual(['2'])
  })

  it('show all fields null after 14 days, and nothing after 28', async () => {
    await start({ sync: { fullIntervalMs: null, deltaIntervalMs: null } })
    rig.sandbox.world.deleteCandidate(rig.id, '1')
    await rig.clock.advance(14 * DAY_MS - 1)
    expect((await candidate('1', '&include_deleted=true')).first_name).not.toBeNull()
    await rig.clock.advance(1)
    const blank = await candidate('1', '&include_deleted=true')
    expect(blank).toMatchObject({
      remote_id: '1',
      first_name: null,
      email_addresses: [],
      remote_url: null,
      applications: [],
    })
    expect(blank.remote_deleted_at).not.toBeNull()
    await rig.clock.advance(14 * DAY_MS)
    expect(await candidate('1', '&include_deleted=true')).toBeUndefined()
  })

  it('of an anonymized candidate keep an empty record or look like any deletion', async () => {
    await start()
    rig.sandbox.world.anonymizeCandidate(rig.id, '1', 'blank')
    expect(await candidate('1')).toMatchObject({ first_name: null, email_addresses: [], remote_deleted_at: null })
    rig.sandbox.world.anonymizeCandidate(rig.id, '2', 'delete')
    expect(await candidate('2')).toBeUndefined()
  })
})

describe('later syncs', () => {
  it('bring what a tool without events did, with the times of the sync', async () => {
    await start({ upstream: 'tool', integrations: [{ tool: 'personio', candidates: 5, jobs: 2, applications: 3 }] })
    rig.sandbox.world.editCandidate(rig.id, '1', { title: 'King' })
    expect((await candidate('1')).title).not.toBe('King')
    const before = (await candidate('1')).remote_updated_at
    await rig.clock.advance(3 * 3_600_000 + 1000)
    const after = await candidate('1')
    expect(after).toMatchObject({ title: 'King', changed_at: new Date(rig.clock.now()).toISOString() })
    expect(after.remote_updated_at > before).toBe(true)
    await rig.sandbox.settled()
    expect(receiver.types().sort()).toEqual(['data-changed', 'sync-finished'])
  })

  it('run their full kind in its own rhythm although deltas run in between', async () => {
    await start({ sync: { fullIntervalMs: 10 * 3_600_000, deltaIntervalMs: 3 * 3_600_000, durationMs: 0 } })
    rig.sandbox.world.vanishCandidate(rig.id, '2')
    await rig.clock.advance(10 * 3_600_000 - 1)
    expect((await candidate('2')).remote_deleted_at).toBeNull()
    await rig.clock.advance(1)
    expect(await candidate('2')).toBeUndefined()
  })

  it('that fail change nothing, and one that partially fails notices no deletion', async () => {
    await start({ upstream: 'none' })
    const { faults, world } = rig.sandbox
    world.editCandidate(rig.id, '1', { title: 'King' })
    world.vanishCandidate(rig.id, '2')
    faults.add({ kind: 'sync_failed', integrationId: rig.id })
    rig.sandbox.syncNow(rig.id)
    expect((await candidate('1')).title).not.toBe('King')
    faults.add({ kind: 'sync_failed', syncState: 'PARTIALLY_FAILED' })
    rig.sandbox.syncNow(rig.id)
    expect((await candidate('1')).title).toBe('King')
    expect((await candidate('2')).remote_deleted_at).toBeNull()
    rig.sandbox.syncNow(rig.id)
    expect(await candidate('2')).toBeUndefined()
    await rig.sandbox.settled()
    expect(finished().map((each) => each.sync_state)).toEqual(['FAILED', 'PARTIALLY_FAILED', 'SUCCEEDED'])
  })

  it('are not run for an integration that is not active, whose running one is cancelled', async () => {
    await start()
    await fetch(`${rig.url}/force-sync`, {
      method: 'POST',
      headers: { authorization: `Bearer ${rig.sandbox.apiKey}`, 'x-integration-id': rig.id },
    })
    rig.sandbox.setIntegrationState(rig.id, { state: 'INACTIVE' })
    const { status, body } = await rig.get('/ats/jobs')
    expect([status, body.error.code]).toEqual([409, 'INTEGRATION.INACTIVE'])
    await rig.clock.advance(DAY_MS)
    await rig.sandbox.settled()
    expect(finished().map((each) => each.sync_state)).toEqual(['CANCELLED'])
    rig.sandbox.setIntegrationState(rig.id, { state: 'ACTIVE' })
    expect((await rig.get('/ats/jobs')).status).toBe(200)
  })
})

describe('life and rest', () => {
  it('of a company that was founded earlier go on as if the sandbox had run all the time', async () => {
    const foundedAtMs = Date.UTC(2026, 0, 5, 9)
    const people = async (): Promise<Item[]> => {
      const rows = await rig.all('candidates')
      return rows.map(({ changed_at: _, applications: __, ...rest }) => rest)
    }
    const options = { foundedAtMs, actionsPerMinute: 60 }
    await start(options)
    await rig.clock.advance(600_000)
    // Who vanished silently is still in Kombo's copy; a newly connected Kombo never saw them.
    rig.sandbox.syncNow(rig.id)
    const grown = await people()
    await rig.close()
    const clock = createManualClock(foundedAtMs + 600_000)
    await start({ ...options, clock })
    const byId = (a: Item, b: Item): number => (a.id < b.id ? -1 : 1)
    expect((await people()).sort(byId)).toEqual(grown.sort(byId))
    expect(grown.length).toBeGreaterThan(100)
  })

  it('goes on after stop() and start() on the same port, and does the same for the same seed', async () => {
    const run = async (interrupted: boolean): Promise<Item[]> => {
      await start({ seed: 42 })
      rig.sandbox.startActivity(30)
      await rig.clock.advance(60_000)
      if (interrupted) {
        await rig.sandbox.stop()
        expect(rig.clock.sleepers).toBe(0)
        await expect(fetch(`${rig.url}/check-api-key`)).rejects.toThrow()
        expect((await rig.sandbox.start()).url).toBe(rig.url)
      }
      await rig.clock.advance(60_000)
      rig.sandbox.stopActivity()
      const { mutations } = rig.sandbox.stats
      await rig.clock.advance(60_000)
      expect(rig.sandbox.stats.mutations).toBe(mutations)
      expect(mutations).toBeGreaterThan(20)
      return await rig.all('candidates', 'include_deleted=true')
    }
    const first = await run(false)
    await rig.close()
    expect(await run(true)).toEqual(first)
  })
})
