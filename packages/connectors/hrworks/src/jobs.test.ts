import { seededRandom } from '@tidemark/base'
import { drive } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeHrworks, startFakeHrworks } from '../test/fakeHrworks.ts'
import { HrworksClient } from './client.ts'
import { type JobOutcome, submitAndWait, waitForJob } from './jobs.ts'
import { parseOptions } from './options.ts'

let fake: FakeHrworks
let clock: ManualClock
let client: HrworksClient
const { signal } = new AbortController()

beforeEach(async () => {
  fake = await startFakeHrworks()
  clock = new ManualClock()
  const options = {
    integration: 'hrworks:acme',
    base_url: fake.baseUrl,
    access_key: 'key',
    secret_access_key: 'secret',
  }
  client = new HrworksClient(parseOptions(options), { clock, random: seededRandom(1) })
})

afterEach(async () => {
  await client.close()
  await fake.close()
})

/** The outcome of a job whose polls are answered one after the other. */
async function outcomeOf(...states: readonly object[]): Promise<JobOutcome> {
  fake.answer = (_request, count) => ({ body: states[Math.min(count, states.length - 1)] })
  return await drive(clock, waitForJob({ client, clock }, { jobsPath: '/webhooks/jobs', jobId: 'a/b', signal }))
}

describe('a job', () => {
  it('is asked for by its id until it is finished', async () => {
    const location = 'https://api.hrworks.de/v2/applicant-management/job-applications/1f00aa'
    const done = { status: 'finished', result: [{ recordId: 0, resourceLocation: location, errors: [], warnings: [] }] }
    const outcome = await outcomeOf({ status: 'pending' }, done)
    expect(outcome).toEqual({
      ...{ kind: 'finished', jobId: 'a/b', results: [{ recordId: 0, id: '1f00aa', resourceLocation: location }] },
    })
    expect(fake.seen.map(({ path }) => path)).toEqual(['/webhooks/jobs/a%2Fb', '/webhooks/jobs/a%2Fb'])
  })

  it('that was refused in part tells what was written and what was not', async () => {
    const outcome = await outcomeOf({
      status: 'FINISHED',
      generalErrors: [{ code: 'limit' }],
      dataErrors: [{ recordId: 1, attribute: 'email', message: 'is no address' }],
      result: [
        { recordId: 0, data: { id: 7 }, errors: [] },
        { recordId: 2, errors: [{ message: 'is known already' }] },
      ],
    })
    expect(outcome).toEqual({
      kind: 'failed',
      jobId: 'a/b',
      problems: [
        { recordId: null, attribute: null, message: 'limit' },
        { recordId: 1, attribute: 'email', message: 'is no address' },
        { recordId: 2, attribute: null, message: 'is known already' },
      ],
      results: [{ recordId: 0, id: '7', resourceLocation: null }],
    })
  })

  it('is finished when it says what came of it, whatever it calls that', async () => {
    expect(
      await outcomeOf({ status: 'erledigt', result: [] }, { status: 'erledigt', result: [{ recordId: 0 }] }),
    ).toMatchObject({
      kind: 'finished',
    })
    expect(fake.seen).toHaveLength(2)
  })

  it('is waited for as long as planned', async () => {
    const startMs = clock.now()
    const polls: number[] = []
    fake.answer = () => {
      polls.push(clock.now() - startMs)
      return { body: { status: 'pending' } }
    }
    const outcome = await drive(clock, waitForJob({ client, clock }, { jobsPath: '/jobs', jobId: 'x', signal }), 1000)
    expect(outcome).toMatchObject({ kind: 'unknown', jobId: 'x' })
    const gaps = polls.map((at, index) => at - (polls[index - 1] ?? 0))
    for (const [index, least] of [1000, 2000, 4000, 5000, 5000].entries())
      expect(gaps[index]).toBeGreaterThanOrEqual(least)
    expect(polls.at(-1)).toBeGreaterThanOrEqual(115_000)
  })
})

describe('a write', () => {
  const submit = () =>
    drive(
      clock,
      submitAndWait(
        { client, clock },
        {
          method: 'DELETE',
          path: '/webhooks',
          query: [
            ['numbers', '1'],
            ['numbers', '2'],
          ],
          jobsPath: '/webhooks/jobs',
          signal,
        },
      ).catch((error: unknown) => ({ error })),
    )

  it('that is accepted is a job', async () => {
    fake.answer = ({ method }) => ({ body: method === 'DELETE' ? { jobId: 12 } : { status: 'finished' } })
    expect(await submit()).toEqual({ kind: 'finished', jobId: '12', results: [] })
    expect(fake.seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'DELETE /webhooks?numbers=1&numbers=2',
      'GET /webhooks/jobs/12',
    ])
  })

  it.each([
    ['an answer without a job', { body: {} }, 'PROVIDER_ANSWER_INVALID'],
    ['an answer that is no JSON', { body: '<html>' }, 'PROVIDER_ANSWER_INVALID'],
    ['a missing permission', { status: 403, body: {} }, 'PROVIDER_REFUSED'],
    ['an outage', { status: 503, body: '' }, 'PROVIDER_UNAVAILABLE'],
  ])('is sent once: %s', async (_what, answer, code) => {
    fake.answer = () => answer
    expect(await submit()).toMatchObject({ error: { code } })
    expect(fake.seen).toHaveLength(1)
  })
})
