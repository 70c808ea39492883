import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type KnitRig, startKnitRig } from './testkit.ts'

let rig: KnitRig

beforeAll(async () => {
  rig = await startKnitRig({ pageSize: 4 })
})

afterAll(() => rig.close())

describe('a call', () => {
  it.each([
    ['a wrong key', { authorization: 'Bearer wrong' }, 401],
    ['an unknown integration', { 'x-knit-integration-id': 'int-9' }, 404],
    ['no integration', { 'x-knit-integration-id': '' }, 400],
  ])('with %s is refused', async (_what, headers, status) => {
    const answer = await rig.call('POST', 'sync.start', { dataType: 'ats_jobs' }, headers)
    expect(answer).toMatchObject({ status, body: { success: false, error: { msg: expect.any(String) as string } } })
  })

  it.each([
    ['sync.start', { dataType: 'employee' }],
    ['sync.start', { dataType: 'ats_jobs', models: ['job_nothing'] }],
    ['sync.start', { dataType: 'ats_jobs', syncType: 'sometimes' }],
    ['sync.start', { dataType: 'ats_jobs', startHour: 24 }],
    ['sync.startTime', { dataType: 'ats_jobs' }],
    ['sync.update', { dataType: 'ats_jobs', frequency: 'hourly' }],
  ])('%s %o is not valid', async (name, body) => {
    expect((await rig.call('POST', name, body)).status).toBe(400)
  })

  it('that does not exist is not found', async () => {
    expect((await rig.call('GET', 'ats.everything')).status).toBe(404)
  })

  it.each([
    ['rate_limited', 429],
    ['server_error', 500],
    ['garbage', 200],
  ] as const)('can fail by %s', async (kind, status) => {
    rig.knit.faults.add({ kind, call: 'integration.details', retryAfterSeconds: 3 })
    const answer = await rig.call('GET', 'integration.details')
    expect(answer.status).toBe(status)
    if (kind === 'rate_limited') expect(answer.headers.get('retry-after')).toBe('3')
    expect((await rig.call('GET', 'integration.details')).status).toBe(200)
  })

  it('can be cut', async () => {
    rig.knit.faults.add({ kind: 'cut' })
    await expect(rig.call('GET', 'integration.details')).rejects.toThrow()
  })
})

describe('reads', () => {
  it('tell what is connected', async () => {
    expect((await rig.call('GET', 'integration.details')).body.data).toEqual({
      apps: [{ id: 'workable', category: 'ATS', integrationId: 'int-1', isActive: true }],
    })
  })

  it('list jobs and applications page by page, inactive ones too', async () => {
    for (const [name, key, count] of [
      ['ats.job.list', 'jobs', 8],
      ['ats.application.list', 'applications', 30],
    ] as const) {
      const ids: string[] = []
      let token: string | null = ''
      while (token !== null) {
        const { body } = await rig.call('GET', token === '' ? name : `${name}?nextPageToken=${token}`)
        ids.push(...body.data[key].map((each: { info: { id: string } }) => each.info.id))
        token = body.data.nextPageToken
      }
      expect(new Set(ids).size).toBe(count)
    }
  })

  it('give one record, an application only with its candidate', async () => {
    const { body } = await rig.call('GET', 'ats.application.list')
    const { info } = body.data.applications[0]
    const one = await rig.call('GET', `ats.application.get?applicationId=${info.id}&candidateId=${info.candidate.id}`)
    expect(one.body.data.application.info).toEqual(info)
    expect((await rig.call('GET', `ats.application.get?applicationId=${info.id}`)).status).toBe(400)
    expect((await rig.call('GET', `ats.application.get?applicationId=${info.id}&candidateId=0`)).status).toBe(404)
    const job = await rig.call('GET', `ats.job.get?jobId=${info.jobId}`)
    expect(job.body.data.job.info.id).toBe(info.jobId)
    expect((await rig.call('GET', 'ats.job.get?jobId=0')).status).toBe(404)
    const { email } = info.candidate.emails[0]
    const found = await rig.call('POST', 'ats.candidates.search', { email })
    expect(found.body.data.candidates).toEqual([info.candidate])
  })

  it('tell the state of a sync', async () => {
    const { body } = await rig.call('POST', 'sync.start', { dataType: 'ats_jobs' })
    const status = await rig.call('GET', `sync.status?syncJobId=${body.data.syncJobId}`)
    expect(status.body.data).toMatchObject({ status: 'IDLE', lastRun: { syncType: 'initial_sync' } })
    expect((await rig.call('GET', 'sync.status?syncJobId=sj_none')).status).toBe(404)
  })
})
