import { afterEach, describe, expect, it } from 'vitest'
import { ATTEMPTS_AT_MS } from './delivery.ts'
import { signKnit } from './signature.ts'
import { type KnitRig, startKnitRig } from './testkit.ts'

let rig: KnitRig

afterEach(() => rig.close())

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

const start = (dataType: string, more: object = {}) => rig.call('POST', 'sync.start', { dataType, ...more })

async function initial(dataType = 'ats_jobs'): Promise<void> {
  expect((await start(dataType)).status).toBe(200)
  await rig.knit.settled()
}

const openJob = (): string => {
  for (const job of rig.world.company('int-1').tables.jobs.values()) if (job.fields.status === 'OPEN') return job.id
  throw new RangeError('no open job')
}
const remoteOf = (id: string): string => rig.world.company('int-1').find('jobs', id).remoteId

describe('an initial run', () => {
  it('sends one request per active record, with both headers, and closes with both counters', async () => {
    rig = await startKnitRig()
    await initial('ats_applications')
    const { receiver } = rig
    const fresh = receiver.of('record.new')
    expect(fresh).toHaveLength(30)
    expect(new Set(fresh.map(({ eventId }) => eventId)).size).toBe(30)
    expect(fresh[0]).toMatchObject({
      ...{ syncType: 'initial_sync', syncDataType: 'ats_applications', triggeredAt: String(rig.clock.now()) },
      ...{ syncJobId: expect.stringMatching(/^sj_/) as string, syncRunId: expect.stringMatching(/^s[rn]_/) as string },
    })
    expect(fresh[0].recordId).toBe(fresh[0].eventData.info.id)
    for (const { headers, raw } of receiver.received) {
      expect(headers['x-knit-signature']).toBe(signKnit(rig.knit.apiKey, raw))
      expect(headers['x-knit-integration-id']).toBe('int-1')
    }
    expect(receiver.of('sync.events.processed')[0].eventData).toMatchObject({
      ...{ status: 'processed', processed: 30, emitted: 30, complete: false },
    })
    expect(receiver.of('sync.events.allConsumed')[0].eventData).toMatchObject({
      ...{ status: 'completed', processed: 30, emitted: 30, consumed: 30, complete: true },
    })
    expect(receiver.received.at(-1)?.json.eventType).toBe('sync.events.allConsumed')
  })

  it('shows no inactive job, unless they are included', async () => {
    rig = await startKnitRig()
    await initial()
    const shown = rig.receiver.of('record.new').map(({ eventData }) => eventData.info.status)
    expect(shown).not.toContain('CLOSED')
    expect(shown.length).toBeLessThan(8)
    rig.receiver.received.length = 0
    await start('ats_jobs', { includeInactiveRecords: true })
    await rig.knit.settled()
    expect(rig.receiver.of('record.new')).toHaveLength(8)
  })

  it('shows only the models that are subscribed; others begin a fresh initial run', async () => {
    rig = await startKnitRig()
    const { body } = await start('ats_jobs', { models: ['job_info'] })
    await rig.knit.settled()
    expect(Object.keys(rig.receiver.of('record.new')[0].eventData)).toEqual(['info', 'customFields'])
    rig.receiver.received.length = 0
    const { syncJobId } = body.data
    await rig.call('POST', 'sync.update', { dataType: 'ats_jobs', syncJobId, models: ['job_info', 'job_stages'] })
    await rig.knit.settled()
    const [again] = rig.receiver.of('record.new')
    expect(again).toMatchObject({ syncType: 'initial_sync', syncJobId })
    expect(Object.keys(again.eventData)).toEqual(['info', 'stages', 'customFields'])
    rig.receiver.received.length = 0
    await rig.call('POST', 'sync.update', { dataType: 'ats_jobs', syncJobId, models: ['job_stages', 'job_info'] })
    await rig.knit.settled()
    expect(rig.receiver.received).toEqual([])
  })
})

describe('a delta run', () => {
  it('sends what has changed since: new, modified, closed or gone, reopened', async () => {
    rig = await startKnitRig()
    await initial()
    const { world, id } = rig
    const edited = openJob()
    world.editJob(id, edited, { department: 'Moon Landing' })
    const created = world.createJob(id)
    rig.receiver.received.length = 0
    await rig.advance(DAY_MS)
    expect(rig.receiver.of('record.modified').map(({ recordId }) => recordId)).toEqual([remoteOf(edited)])
    expect(rig.receiver.of('record.new').map(({ recordId }) => recordId)).toEqual([remoteOf(created)])
    world.closeJob(id, created)
    rig.receiver.received.length = 0
    await rig.advance(DAY_MS)
    expect(rig.receiver.of('record.deleted')).toMatchObject([
      { recordId: remoteOf(created), eventData: { jobId: '' }, syncType: 'delta_sync' },
    ])
    world.openJob(id, created)
    rig.receiver.received.length = 0
    await rig.advance(DAY_MS)
    expect(rig.receiver.of('record.new').map(({ recordId }) => recordId)).toEqual([remoteOf(created)])
  })

  it('without a change still reports both counters, with nothing emitted', async () => {
    rig = await startKnitRig()
    await initial()
    rig.receiver.received.length = 0
    await rig.advance(DAY_MS)
    expect(rig.receiver.received.map(({ json }) => json.eventType).sort()).toEqual([
      ...['sync.events.allConsumed', 'sync.events.processed'],
    ])
    expect(rig.receiver.of('sync.events.allConsumed')[0].eventData).toMatchObject({ emitted: 0, consumed: 0 })
  })

  it('counts from the end of the last run, unless the slot is honoured or set', async () => {
    rig = await startKnitRig()
    await initial()
    const planned = (): number | null => rig.knit.plannedRun('int-1', 'ats_jobs')
    const first = rig.clock.now() + DAY_MS
    expect(planned()).toBe(first)
    await rig.clock.advance(60 * MINUTE_MS)
    await start('ats_jobs', { honorScheduler: true })
    expect(planned()).toBe(first)
    await start('ats_jobs')
    expect(planned()).toBe(first + 60 * MINUTE_MS)
    const time = { dataType: 'ats_jobs', startHour: 23, startMinute: 15, frequency: 'standard' }
    expect((await rig.call('POST', 'sync.startTime', time)).status).toBe(200)
    expect(new Date(planned() ?? 0).toISOString()).toBe('2026-01-05T23:15:00.000Z')
  })

  it('does not begin while the sync is paused', async () => {
    rig = await startKnitRig()
    await initial()
    rig.receiver.received.length = 0
    await rig.call('POST', 'sync.pause', { dataType: 'ats_jobs' })
    expect((await start('ats_jobs')).status).toBe(409)
    await rig.advance(DAY_MS)
    expect(rig.receiver.received).toEqual([])
    await rig.call('POST', 'sync.resume', { dataType: 'ats_jobs' })
    await rig.advance(DAY_MS)
    expect(rig.receiver.of('sync.events.processed')).toHaveLength(1)
  })
})

describe('delivery', () => {
  it('counts 200 only: 202, a closed connection and no answer are tried again, for four days', async () => {
    rig = await startKnitRig()
    rig.receiver.answer = ({ json }) => (json.eventType === 'record.new' ? 202 : 200)
    await initial()
    const jobs = rig.receiver.of('record.new').length
    expect(rig.receiver.of('sync.events.processed')).toHaveLength(1)
    expect(rig.receiver.of('sync.events.allConsumed')).toEqual([])
    rig.receiver.answer = ({ json }) => (json.eventType === 'record.new' ? null : 200)
    await rig.advance(MINUTE_MS)
    expect(rig.receiver.of('record.new')).toHaveLength(2 * jobs)
    rig.receiver.answer = () => 200
    await rig.advance(4 * MINUTE_MS)
    expect(rig.receiver.of('sync.events.allConsumed')[0].eventData).toMatchObject({ consumed: jobs, emitted: jobs })
    expect(rig.knit.open).toBe(0)
  })

  it('is given up after the last attempt', async () => {
    rig = await startKnitRig()
    rig.receiver.answer = ({ json }) => (json.eventType === 'record.new' ? 500 : 200)
    await initial()
    const jobs = rig.receiver.of('record.new').length
    for (const [index, afterMs] of ATTEMPTS_AT_MS.entries())
      await rig.advance(afterMs - (ATTEMPTS_AT_MS[index - 1] ?? 0))
    const tries = rig.receiver.of('record.new').filter(({ syncType }) => syncType === 'initial_sync')
    expect(tries).toHaveLength(jobs * ATTEMPTS_AT_MS.length)
    expect(rig.knit.stats.dropped).toBe(jobs)
    expect(rig.receiver.of('sync.events.allConsumed').every(({ syncType }) => syncType === 'delta_sync')).toBe(true)
  })

  it('times out', async () => {
    rig = await startKnitRig({ webhookTarget: 'http://127.0.0.1:9/nobody', timeoutMs: 50 })
    await initial()
    expect(rig.knit.attempts.every(({ status }) => status === null)).toBe(true)
    rig.knit.setWebhookTarget(rig.receiver.url)
    await rig.advance(MINUTE_MS)
    expect(rig.receiver.of('sync.events.allConsumed')).toHaveLength(1)
  })
})

describe('faults', () => {
  it('a duplicate has the same event id, and is consumed once', async () => {
    rig = await startKnitRig()
    rig.knit.faults.add({ kind: 'duplicate', eventType: 'record.new', count: 2 })
    await initial()
    const ids = rig.receiver.of('record.new').map(({ eventId }) => eventId)
    expect(ids.length - new Set(ids).size).toBe(2)
    expect(rig.receiver.of('sync.events.allConsumed')[0].eventData.consumed).toBe(new Set(ids).size)
  })

  it('a reordered run begins with its end', async () => {
    rig = await startKnitRig({ concurrency: 1 })
    rig.knit.faults.add({ kind: 'reordered' })
    await initial()
    expect(rig.receiver.received[0]?.json.eventType).toBe('sync.events.processed')
    const ids = rig.receiver.of('record.new').map(({ recordId }) => Number(recordId))
    expect(ids).toEqual([...ids].sort((a, b) => b - a))
  })

  it('a held event arrives after a newer one, with the time of its own run', async () => {
    rig = await startKnitRig({ periods: { standard: 60 * MINUTE_MS } })
    const job = openJob()
    rig.knit.faults.add({ kind: 'held', recordId: remoteOf(job), attempts: 4 })
    await initial()
    rig.world.editJob('int-1', job, { department: 'Later' })
    await rig.advance(60 * MINUTE_MS)
    const seen = (): string[] =>
      rig.receiver.received
        .filter(({ json }) => json.recordId === remoteOf(job))
        .map(({ json }) => `${json.eventType} ${json.triggeredAt}`)
    expect(seen()).toHaveLength(1)
    const modified = seen()[0]
    await rig.advance(60 * MINUTE_MS)
    expect(seen()).toEqual([modified, `record.new ${rig.clock.now() - 120 * MINUTE_MS}`])
  })

  it('a wrong signature is followed by a right one', async () => {
    rig = await startKnitRig()
    rig.receiver.answer = ({ headers, raw }) =>
      headers['x-knit-signature'] === signKnit(rig.knit.apiKey, raw) ? 200 : 401
    rig.knit.faults.add({ kind: 'wrong_signature', eventType: 'record.new' })
    await initial()
    expect(rig.knit.attempts.filter(({ status }) => status === 401)).toHaveLength(1)
    await rig.advance(MINUTE_MS)
    expect(rig.receiver.of('sync.events.allConsumed')).toHaveLength(1)
  })

  it('a run that fails half way says so and does not end; the rest comes with the next', async () => {
    rig = await startKnitRig()
    rig.knit.faults.add({ kind: 'sync_failed', after: 2 })
    await initial()
    expect(rig.receiver.of('record.new')).toHaveLength(2)
    expect(rig.receiver.of('sync.failed')).toMatchObject([{ recordId: expect.stringMatching(/^s[rn]_/) as string }])
    expect(rig.receiver.of('sync.events.processed')).toEqual([])
    await rig.advance(DAY_MS)
    expect(rig.receiver.of('sync.events.allConsumed')).toHaveLength(1)
  })

  it('after a key rotation events are signed with the new key, calls are accepted with both', async () => {
    rig = await startKnitRig()
    const before = { authorization: `Bearer ${rig.knit.apiKey}` }
    rig.knit.rotateKey('the-new-key')
    expect((await rig.call('GET', 'integration.details', undefined, before)).status).toBe(200)
    await initial()
    for (const { headers, raw } of rig.receiver.received)
      expect(headers['x-knit-signature']).toBe(signKnit('the-new-key', raw))
    rig.knit.endRotation()
    expect((await rig.call('GET', 'integration.details', undefined, before)).status).toBe(401)
  })
})

it('a long run beats, and refuses another one', async () => {
  rig = await startKnitRig({ runMs: 3 * MINUTE_MS })
  await start('ats_jobs')
  expect((await start('ats_jobs')).status).toBe(409)
  await rig.advance(2 * MINUTE_MS)
  expect(rig.receiver.of('sync.heartbeat')).toHaveLength(2)
  expect(rig.receiver.of('record.new')).toEqual([])
  await rig.advance(MINUTE_MS)
  expect(rig.receiver.of('sync.events.allConsumed')).toHaveLength(1)
})

it('an activation is announced, with errors or without', async () => {
  rig = await startKnitRig({ triggeredAt: false })
  rig.knit.activate('int-1')
  rig.knit.activate('int-1', ['no access'])
  await rig.knit.settled()
  const data = rig.receiver.of('app.integration.activate').map(({ eventData }) => eventData)
  expect(data).toEqual([{ app: 'workable' }, { app: 'workable', errors: [{ message: 'no access' }] }])
  expect(rig.receiver.received[0]?.json).not.toHaveProperty('triggeredAt')
  expect((await start('ats_jobs')).status).toBe(403)
})
