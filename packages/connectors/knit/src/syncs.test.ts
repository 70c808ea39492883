import { seededRandom } from '@tidemark/base'
import { drive } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKnit, failure, type Scripted, startFakeKnit, success } from '../test/fakeKnit.ts'
import { checkScope } from './check.ts'
import { KnitClient } from './client.ts'
import { parseOptions } from './options.ts'
import { KNIT_MODELS } from './streams.ts'
import { setSyncTime, startSync, updateSync } from './syncs.ts'

let fake: FakeKnit
let clock: ManualClock
let client: KnitClient

beforeEach(async () => {
  fake = await startFakeKnit()
  clock = new ManualClock()
  const options = parseOptions({ base_url: fake.baseUrl, api_key: 'key', integrations: ['int-1'] })
  client = new KnitClient(options, { clock, random: seededRandom(1) })
})

afterEach(async () => {
  await client.close()
  await fake.close()
})

const signal = new AbortController().signal
const call = { integrationId: 'int-1', dataType: 'ats_applications', signal } as const
const start = () => run(startSync(client, call))

/** Moves the clock on until the work is done; a failure is held back until then. */
async function run<T>(work: Promise<T>): Promise<T> {
  const outcome = await drive(
    clock,
    work.then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error
      },
    ),
  )
  return outcome()
}

describe('requests', () => {
  it('start a sync of all models, active records only, without moving the daily run', async () => {
    expect(await start()).toMatchObject({ syncJobId: 'sj_1', http: { route: `POST ${fake.baseUrl}/sync.start` } })
    expect(fake.seen[0]).toMatchObject({
      method: 'POST',
      path: '/v1.0/sync.start',
      headers: { authorization: 'Bearer key', 'x-knit-integration-id': 'int-1', 'content-type': 'application/json' },
    })
    expect(fake.seen[0]?.body).toEqual({
      dataType: 'ats_applications',
      models: KNIT_MODELS.ats_applications,
      syncType: 'initial_sync',
      honorScheduler: true,
      includeInactiveRecords: false,
    })
  })

  it('change only what is given', async () => {
    const sync = { ...call, syncJobId: 'sj_1' }
    await drive(
      clock,
      updateSync(client, { ...sync, models: ['application_info'], destination: 'https://x.example/h' }),
    )
    await run(updateSync(client, { ...sync, frequency: 'medium' }))
    const named = { dataType: 'ats_applications', syncJobId: 'sj_1' }
    expect(fake.seen.map(({ path, body }) => [path, body])).toEqual([
      ['/v1.0/sync.update', { ...named, models: ['application_info'], destination: 'https://x.example/h' }],
      ['/v1.0/sync.update', { ...named, frequency: 'medium' }],
    ])
  })

  it('set the time of day', async () => {
    await run(setSyncTime(client, { ...call, startHour: 0, startMinute: 5, frequency: 'standard' }))
    const body = { dataType: 'ats_applications', startHour: 0, startMinute: 5, frequency: 'standard' }
    expect(fake.seen[0]).toMatchObject({ path: '/v1.0/sync.startTime', body })
  })

  it.each([
    [24, 0],
    [-1, 0],
    [3, 60],
    [3.5, 0],
  ])('are not made for %d:%d', async (startHour, startMinute) => {
    const setting = setSyncTime(client, { ...call, startHour, startMinute, frequency: 'standard' })
    await expect(setting).rejects.toThrow(RangeError)
    expect(fake.seen).toEqual([])
  })
})

describe('failures', () => {
  it.each([
    [400, 'PROVIDER_REFUSED', 1],
    [401, 'PROVIDER_AUTHENTICATION', 1],
    [403, 'PROVIDER_REFUSED', 1],
    [404, 'PROVIDER_REFUSED', 1],
    [409, 'PROVIDER_NOT_READY', 1],
    [500, 'PROVIDER_UNAVAILABLE', 6],
    [503, 'PROVIDER_UNAVAILABLE', 6],
    [302, 'PROVIDER_ANSWER_INVALID', 1],
  ])('%d is %s, after %d tries', async (status, code, tries) => {
    fake.answer = () => failure(status)
    await expect(start()).rejects.toMatchObject({ code, fields: { status } })
    expect(fake.seen).toHaveLength(tries)
  })

  it('repeat what Knit says, but not without end', async () => {
    fake.answer = () => failure(400, `syncs are off ${'x'.repeat(5000)}`)
    await expect(start()).rejects.toSatisfy(
      ({ message }: Error) => message.includes('syncs are off') && message.length < 600,
    )
  })

  it('in an answer of success are refusals', async () => {
    fake.answer = () => ({ body: { success: false, error: { msg: 'not enabled' } } })
    await expect(start()).rejects.toMatchObject({ code: 'PROVIDER_REFUSED' })
    expect(fake.seen).toHaveLength(1)
  })

  it.each<[string, Scripted]>([
    ['no JSON', { body: '<html>' }],
    ['no object', { body: '7' }],
    ['no data', { body: { success: true } }],
    ['no sync job', success({ syncJobId: '' })],
  ])('of the form, such as %s, are tried again', async (_what, scripted) => {
    fake.answer = (_request, count) => (count < 2 ? scripted : success({ syncJobId: 'sj_2' }))
    expect((await start()).syncJobId).toBe('sj_2')
    fake.answer = () => scripted
    await expect(start()).rejects.toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
  })
})

describe('a check', () => {
  const check = (apps: unknown) => {
    fake.answer = () => success({ apps })
    return run(checkScope(client, { integrationId: 'int-1', signal }))
  }
  const app = { id: 'workable', category: 'ATS', integrationId: 'int-1', isActive: true }

  it.each([
    ['active', [app]],
    ['active', [{ ...app, integrationId: 'int-0', isActive: false }, app]],
    ['inactive', [{ ...app, isActive: false }]],
    ['inactive', [{ ...app, isActive: 'yes' }]],
    ['other_category', [{ ...app, category: 'HRIS' }]],
    ['unknown', []],
    ['unknown', [null, 7]],
  ])('finds %s', async (state, apps) => {
    expect(await check(apps)).toMatchObject({ state })
  })

  it('needs a list of apps', async () => {
    await expect(check(undefined)).rejects.toMatchObject({ code: 'PROVIDER_ANSWER_INVALID' })
  })
})
