import { seededRandom } from '@tidemark/base'
import type { Page, Source, WebhookEffect } from '@tidemark/connector'
import { drive } from '@tidemark/connector/contract'
import { type ModelName, publicId, recordKey } from '@tidemark/model'
import { createManualClock, type ManualClock, World } from '@tidemark/sandbox'
import { createKnitSimulator, type KnitSimulator, type KnitSimulatorOptions } from '@tidemark/sandbox/knit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DiffedState } from '../test/diffed.ts'
import { type Receiver, startReceiver } from '../test/receiver.ts'
import { checkAccess, checkScope } from './check.ts'
import { KnitClient } from './client.ts'
import { connector } from './index.ts'
import { parseOptions } from './options.ts'
import { setSyncTime, startSync, updateSync } from './syncs.ts'

const ID = 'int-1'
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

let clock: ManualClock
let world: World
let knit: KnitSimulator
let source: Source
let receiver: Receiver
let url: string

const options = (more: object = {}) => ({ base_url: url, api_key: 'first-key', integrations: [ID], ...more })
const create = (more: object = {}): Source =>
  connector.create(connector.parseOptions(options(more)), { clock, random: seededRandom(1) })

async function startAll(more: Partial<KnitSimulatorOptions> = {}): Promise<void> {
  clock = createManualClock()
  world = new World({ seed: 5, now: () => clock.now(), onMutation: () => undefined })
  const company = world.found({ jobs: 10, candidates: 30, applications: 45 }, 'workable', ID)
  knit = createKnitSimulator({ clock, apiKey: 'first-key', accounts: [{ company, app: 'workable' }], ...more })
  url = (await knit.start()).url
  source = create()
  receiver = await startReceiver(source, await DiffedState.open(), () => clock.now())
  knit.setWebhookTarget(receiver.url)
}

beforeEach(() => startAll())

afterEach(async () => {
  await source.close()
  await knit.stop()
  await receiver.close()
})

async function fetchAll(stream: string): Promise<Page[]> {
  const pages: Page[] = []
  const signal = new AbortController().signal
  for await (const page of source.fetch({ integrationId: ID, stream, signal })) pages.push(page)
  await knit.settled()
  return pages
}

async function advance(ms: number): Promise<void> {
  await clock.advance(ms)
  await knit.settled()
}

const company = () => world.company(ID)
const key = (model: ModelName, remote: string): string => recordKey(ID, model, remote)
const openJob = () => {
  for (const job of company().tables.jobs.values()) if (job.fields.status === 'OPEN') return job
  throw new RangeError('no open job')
}
const pendingApplication = () => {
  for (const app of company().tables.applications.values()) if (app.fields.outcome === 'PENDING') return app
  throw new RangeError('no pending application')
}

describe('a first fetch', () => {
  it('makes Knit send everything that is active, with references that lead to it', async () => {
    expect((await fetchAll('jobs')).map(({ notOffered }) => notOffered)).toEqual([
      expect.stringMatching(/^Knit sends the records of jobs itself, .*sync job sj_\w+/),
    ])
    await fetchAll('applications')
    const { state } = receiver
    const { tables } = company()
    const active = [...tables.jobs.values()].filter(
      ({ fields }) => !['CLOSED', 'ARCHIVED'].includes(fields.status ?? ''),
    )
    expect([...state.live('jobs').keys()].sort()).toEqual(active.map((job) => key('jobs', job.remoteId)).sort())
    expect(state.live('applications').size).toBe(tables.applications.size)
    expect(state.live('interviews').size).toBe(tables.interviews.size)
    expect(state.live('offers').size).toBe(tables.offers.size)
    for (const app of tables.applications.values()) {
      const candidate = tables.candidates.get(app.fields.candidate_id)
      const stage = tables.application_stages.get(app.fields.current_stage_id ?? '')
      expect(state.get(ID, 'applications', app.remoteId)).toMatchObject({
        candidate_id: publicId(recordKey(ID, 'candidates', candidate?.remoteId ?? '')),
        current_stage_id: publicId(recordKey(ID, 'application-stages', stage?.remoteId ?? '')),
      })
      expect(state.get(ID, 'candidates', candidate?.remoteId ?? '')).toMatchObject({
        ...{ first_name: candidate?.fields.first_name, last_name: candidate?.fields.last_name },
      })
    }
    for (const job of active) {
      const stages = [...state.live('job-stages').keys()].filter((each) =>
        each.startsWith(`${key('job-stages', job.remoteId)}:`),
      )
      expect(stages).toHaveLength(job.links.stages?.length ?? 0)
    }
    expect(receiver.effects.flatMap((effect) => (effect.kind === 'records' ? effect.mapped.failures : []))).toEqual([])
    const runs = receiver.effects.flatMap((effect) => (effect.kind === 'pushed_run' ? [effect] : []))
    expect(runs).toMatchObject([{ outcome: 'complete' }, { outcome: 'complete' }])
    for (const { run, events } of runs) {
      const sent = receiver.effects.filter((effect) => effect.kind === 'records' && effect.run?.id === run.id)
      expect([run.isComplete, events]).toEqual([true, sent.length])
    }
  })

  it('of applications before jobs keeps the references', async () => {
    await fetchAll('applications')
    const app = pendingApplication()
    const job = company().find('jobs', app.fields.job_id)
    const job_id = publicId(recordKey(ID, 'jobs', job.remoteId))
    expect(receiver.state.get(ID, 'applications', app.remoteId)).toMatchObject({ job_id })
    await fetchAll('jobs')
    expect(receiver.state.outcomes['stale']).toBeUndefined()
  })

  it('is told that another run is under way, and obeys a rate limit', async () => {
    await knit.stop()
    await receiver.close()
    await startAll({ runMs: MINUTE_MS })
    knit.faults.add({ kind: 'rate_limited', retryAfterSeconds: 9 })
    knit.faults.add({ kind: 'cut' })
    const before = clock.now()
    const first = fetchAll('jobs')
    let isDone = false
    void first.finally(() => {
      isDone = true
    })
    while (!isDone) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      if (!isDone && clock.now() - before < 15_000) await clock.advance(500)
    }
    expect(await first).toHaveLength(1)
    expect(clock.now() - before).toBeGreaterThanOrEqual(9000)
    await expect(fetchAll('jobs')).rejects.toMatchObject({ code: 'PROVIDER_NOT_READY' })
  })

  it.each([
    ['an unknown integration', 'int-9', 'PROVIDER_REFUSED'],
    ['an integration that is not active', ID, 'PROVIDER_REFUSED'],
  ])('of %s is refused at once', async (_what, integrationId, code) => {
    knit.activate(ID, ['no access'])
    const fetching = async (): Promise<void> => {
      const signal = new AbortController().signal
      for await (const _page of source.fetch({ integrationId, stream: 'jobs', signal })) expect.unreachable()
    }
    await expect(fetching()).rejects.toMatchObject({ code })
    await knit.settled()
  })
})

describe('changes', () => {
  it('arrive with the next delta run: an edit, a rejection, a closed job, a deleted candidate', async () => {
    await fetchAll('jobs')
    await fetchAll('applications')
    const [job, app] = [openJob(), pendingApplication()]
    world.rejectApplication(ID, app.id, 'Afraid of heights')
    world.editCandidate(ID, app.fields.candidate_id, { first_name: 'Renamed' })
    world.closeJob(ID, job.id)
    const doomed = [...company().tables.applications.values()].find(
      ({ fields }) => fields.candidate_id !== app.fields.candidate_id,
    )
    const person = company().find('candidates', doomed?.fields.candidate_id ?? '')
    world.deleteCandidate(ID, person.id)
    await advance(DAY_MS)
    const { state } = receiver
    expect(state.get(ID, 'applications', app.remoteId)).toMatchObject({
      ...{ outcome: 'DECLINED', rejection_reason_name: 'Afraid of heights' },
    })
    const candidate = company().find('candidates', app.fields.candidate_id)
    expect(state.get(ID, 'candidates', candidate.remoteId)).toMatchObject({ first_name: 'Renamed' })
    expect(state.get(ID, 'jobs', job.remoteId)).toMatchObject({
      ...{ status: 'CLOSED', remote_deleted_at: expect.any(Number) as number },
    })
    expect(state.get(ID, 'applications', doomed?.remoteId ?? '')?.['remote_deleted_at']).toEqual(expect.any(Number))
    expect(state.get(ID, 'candidates', person.remoteId)?.['remote_deleted_at']).toBeNull()
    world.openJob(ID, job.id)
    await advance(DAY_MS)
    expect(state.get(ID, 'jobs', job.remoteId)).toMatchObject({ status: 'OPEN', remote_deleted_at: null })
  })

  it('take a stage and a member off a job', async () => {
    await fetchAll('jobs')
    const job = openJob()
    const [first, ...rest] = job.links.stages ?? []
    world.setJobStages(ID, job.id, rest)
    world.setHiringTeam(ID, job.id, [])
    await advance(DAY_MS)
    const stage = company().find('application_stages', first ?? '')
    expect(
      receiver.state.get(ID, 'job-stages', `${job.remoteId}:${stage.remoteId}`)?.['remote_deleted_at'],
    ).not.toBeNull()
    const team = [...receiver.state.live('job-hiring-team').keys()]
    expect(team.filter((each) => each.startsWith(`${key('job-hiring-team', job.remoteId)}:`))).toEqual([])
  })

  it('that arrive four days late do not overwrite newer ones', async () => {
    const job = openJob()
    knit.faults.add({ kind: 'held', recordId: job.remoteId, attempts: 10 })
    world.editJob(ID, job.id, { department: 'Old' })
    await fetchAll('jobs')
    world.editJob(ID, job.id, { department: 'New' })
    for (let hour = 0; hour < 96; hour++) await advance(60 * MINUTE_MS)
    expect(knit.attempts.some((each) => each.recordId === job.remoteId && each.attempt === 11)).toBe(true)
    expect(receiver.state.outcomes['stale']).toBeGreaterThan(0)
    expect(receiver.state.get(ID, 'jobs', job.remoteId)?.['department']).toBe('New')
  })

  it.each([
    ['triggered_at', 'Old'],
    ['updated_at', 'New'],
  ])(
    'without triggeredAt are ordered by arrival, or by their update: %s ends with the %s one',
    async (scale, winner) => {
      await knit.stop()
      await receiver.close()
      await startAll({ triggeredAt: false })
      receiver.source = create({ record_version: scale })
      const job = openJob()
      knit.faults.add({ kind: 'held', recordId: job.remoteId, attempts: 8 })
      world.editJob(ID, job.id, { department: 'Old' })
      await fetchAll('jobs')
      await advance(MINUTE_MS)
      world.editJob(ID, job.id, { department: 'New' })
      for (let hour = 0; hour < 49; hour++) await advance(60 * MINUTE_MS)
      expect(receiver.state.get(ID, 'jobs', job.remoteId)?.['department']).toBe(winner)
      await receiver.source.close()
    },
  )

  it('a late deletion does not end a record that was seen again since', async () => {
    await fetchAll('jobs')
    const job = openJob()
    knit.faults.add({ kind: 'held', recordId: job.remoteId, eventType: 'record.deleted', attempts: 8 })
    world.closeJob(ID, job.id)
    await advance(DAY_MS)
    world.openJob(ID, job.id)
    for (let hour = 0; hour < 48; hour++) await advance(60 * MINUTE_MS)
    expect(knit.attempts.some(({ eventType, status }) => eventType === 'record.deleted' && status === 200)).toBe(true)
    expect(receiver.state.get(ID, 'jobs', job.remoteId)).toMatchObject({ status: 'OPEN', remote_deleted_at: null })
  })

  it('through duplicates, another order, lost and forged attempts and a failed run end in the same state', async () => {
    for (const kind of ['duplicate', 'wrong_signature', 'held'] as const) knit.faults.add({ kind, count: 8 })
    knit.faults.add({ kind: 'reordered', count: 2 })
    knit.faults.add({ kind: 'sync_failed', dataType: 'ats_jobs' })
    await fetchAll('applications')
    await fetchAll('jobs')
    for (let day = 0; day < 4; day++) {
      for (let i = 0; i < 40; i++) world.act(ID)
      for (let hour = 0; hour < 24; hour++) await advance(60 * MINUTE_MS)
    }
    await advance(5 * DAY_MS)
    expect(knit.open).toBe(0)
    const dirty = receiver.state
    receiver.state = await DiffedState.open()
    await fetchAll('applications')
    await fetchAll('jobs')
    for (const model of ['jobs', 'applications'] as const)
      expect([...dirty.live(model).keys()].sort()).toEqual([...receiver.state.live(model).keys()].sort())
    for (const model of ['jobs', 'applications', 'candidates', 'interviews', 'offers', 'users'] as const) {
      expect(receiver.state.live(model).size).toBeGreaterThan(0)
      for (const [at, record] of receiver.state.live(model))
        expect([at, dirty.live(model).get(at)]).toEqual([at, record])
    }
  })
})

describe('a run', () => {
  type Run = Extract<WebhookEffect, { kind: 'pushed_run' }>
  const ends = (): Run[] => receiver.effects.filter((effect) => effect.kind === 'pushed_run')
  const arrived = ({ run }: Run): number => receiver.received.get(run.id)?.size ?? 0

  it('has sent as many events as it says, duplicates counted once; only an initial one is of everything', async () => {
    knit.faults.add({ kind: 'duplicate', count: 3 })
    await fetchAll('jobs')
    const [initial] = ends()
    expect(initial).toMatchObject({ outcome: 'complete', run: { stream: 'jobs', isComplete: true } })
    expect(arrived(initial as Run)).toBe(initial?.events)
    await advance(DAY_MS)
    expect(ends().slice(1).length).toBeGreaterThan(0)
    for (const { run } of ends().slice(1)) expect(run.isComplete).toBe(false)
  })

  it('does not end while one event is on its way, and tells when it has failed', async () => {
    knit.faults.add({ kind: 'held', eventType: 'record.new' })
    await fetchAll('jobs')
    expect(ends()).toEqual([])
    await advance(MINUTE_MS)
    expect(ends()).toMatchObject([{ outcome: 'complete' }])
    knit.faults.add({ kind: 'sync_failed' })
    await fetchAll('jobs')
    expect(ends().at(-1)).toMatchObject({ outcome: 'failed', events: null })
  })
})

describe('acknowledgement', () => {
  it('is 200 alone: after a 202 the event comes again', async () => {
    receiver.status = 202
    await fetchAll('jobs')
    expect(receiver.effects).toEqual([])
    receiver.status = 200
    await advance(MINUTE_MS)
    expect(receiver.state.live('jobs').size).toBeGreaterThan(0)
    expect(receiver.effects.some(({ kind }) => kind === 'pushed_run')).toBe(true)
  })

  it('goes on through a rotation of the key with both configured', async () => {
    receiver.source = create({ second_api_key: 'next-key' })
    knit.rotateKey('next-key')
    await fetchAll('jobs')
    expect(knit.open).toBe(0)
    knit.endRotation()
    await expect(fetchAll('jobs')).rejects.toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    await receiver.source.close()
  })
})

describe('steering', () => {
  const signal = new AbortController().signal
  const withClient = async <T>(work: (client: KnitClient) => Promise<T>): Promise<T> => {
    const client = new KnitClient(parseOptions(options()), { clock, random: seededRandom(1) })
    try {
      return await drive(clock as never, work(client))
    } finally {
      await client.close()
    }
  }
  const call = { integrationId: ID, dataType: 'ats_jobs', signal } as const

  it('another choice of models begins a fresh initial run, another time of day moves the next one', async () => {
    await withClient(async (client) => {
      const { syncJobId } = await startSync(client, call)
      await knit.settled()
      const runs = knit.stats.runs
      await updateSync(client, { ...call, syncJobId, models: ['job_info', 'job_stages'] })
      await knit.settled()
      expect(knit.stats.runs).toBe(runs + 1)
      await updateSync(client, { ...call, syncJobId, frequency: 'high' })
      expect(knit.stats.runs).toBe(runs + 1)
      await setSyncTime(client, { ...call, startHour: 3, startMinute: 30, frequency: 'standard' })
      expect(new Date(knit.plannedRun(ID, 'ats_jobs') ?? 0).toISOString()).toMatch(/T03:30:00/)
      await expect(
        setSyncTime(client, { ...call, startHour: 24, startMinute: 0, frequency: 'standard' }),
      ).rejects.toThrow(/no time of day/)
      await expect(updateSync(client, { ...call, syncJobId: 'sj_none' })).rejects.toMatchObject({
        code: 'PROVIDER_REFUSED',
      })
    })
  })

  it('a run on top of the daily one leaves its time alone, and is a delta when asked to be', async () => {
    await fetchAll('jobs')
    const planned = knit.plannedRun(ID, 'ats_jobs')
    await clock.advance(MINUTE_MS)
    const before = receiver.effects.length
    for await (const page of source.fetch({ integrationId: ID, stream: 'jobs', signal, updatedAfterMs: clock.now() }))
      expect(page.mapped.records).toEqual([])
    await knit.settled()
    expect(knit.plannedRun(ID, 'ats_jobs')).toBe(planned)
    expect(
      receiver.effects
        .slice(before)
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['ignored', 'pushed_run'])
  })

  it('a check tells whether the integration is active', async () => {
    await withClient(async (client) => {
      const scope = { integrationId: ID, signal }
      expect(await checkScope(client, scope)).toMatchObject({ state: 'active', app: 'workable' })
      expect((await checkAccess(client, scope)).every(({ ok }) => ok)).toBe(true)
      knit.activate(ID, ['no access'])
      await knit.settled()
      expect(await checkScope(client, scope)).toMatchObject({ state: 'inactive' })
      const checks = await source.checkAccess({ integrationId: 'int-9', signal })
      expect(checks.map(({ model, ok }) => [model, ok])).toContainEqual(['candidates', false])
      knit.rotateKey('another')
      knit.endRotation()
      await expect(source.checkAccess(scope)).rejects.toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    })
  })
})
