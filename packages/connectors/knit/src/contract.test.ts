import { seededRandom } from '@tidemark/base'
import type { Page } from '@tidemark/connector'
import { type Answer, connectorContract, drive, RATE_LIMIT_SECONDS, type StandIn } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { describe, expect, it } from 'vitest'
import { failure, type Scripted, startFakeKnit, success } from '../test/fakeKnit.ts'
import { sign } from './auth.ts'
import { connector } from './index.ts'

const started = success({ syncJobId: 'sj_1' })

const ANSWERS: Readonly<Record<Answer, Scripted>> = {
  page: started,
  last_page: started,
  // A start that succeeds is a stream that is not listed.
  not_offered: started,
  unavailable: { status: 502, body: '<html>Bad Gateway</html>' },
  cut: { ...started, cut: true },
  garbage: { body: '<html>maintenance</html>' },
  rate_limited: { ...failure(429), headers: { 'retry-after': String(RATE_LIMIT_SECONDS) } },
  authentication: failure(401),
  not_ready: failure(409),
}

async function start(): Promise<StandIn> {
  const fake = await startFakeKnit()
  const rawBody = Buffer.from('{"eventId":"e_1","eventType":"sync.heartbeat","syncDataType":"ats_jobs"}')
  let since = 0
  return {
    options: {
      base_url: fake.baseUrl,
      api_key: 'the-api-key',
      second_api_key: 'the-next-key',
      integrations: ['int-1'],
    },
    integrationId: 'int-1',
    stream: 'jobs',
    secrets: ['the-api-key', 'the-next-key'],
    script: (answers) => {
      since = fake.seen.length
      fake.answer = (_request, count) => ANSWERS[answers[Math.min(count - since, answers.length - 1)] ?? 'last_page']
    },
    requests: () => fake.seen.length - since,
    webhook: () => ({
      headers: { 'x-knit-signature': sign('the-api-key', rawBody), 'x-knit-integration-id': 'int-1' },
      query: {},
      rawBody,
    }),
    close: () => fake.close(),
  }
}

connectorContract(connector, start, { kind: 'push' })

describe('instead of a listing', () => {
  async function fetchAll(answers: readonly Answer[]) {
    const standIn = await start()
    const clock = new ManualClock()
    const source = connector.create(connector.parseOptions(standIn.options), { clock, random: seededRandom(1) })
    const retries: string[] = []
    const pages: Page[] = []
    const work = async (): Promise<unknown> => {
      try {
        const options = { integrationId: 'int-1', stream: 'jobs', signal: new AbortController().signal }
        for await (const page of source.fetch({ ...options, onRetry: ({ code }) => retries.push(code) }))
          pages.push(page)
        return undefined
      } catch (error) {
        return error
      }
    }
    standIn.script(answers)
    const error = await drive(clock, work())
    const requests = standIn.requests()
    await source.close()
    await standIn.close()
    return { pages, error, retries, requests }
  }

  it('one request starts the sync, and its answer is the only page', async () => {
    const { pages, error, requests } = await fetchAll(['last_page'])
    expect(error).toBeUndefined()
    expect(requests).toBe(1)
    expect(pages).toHaveLength(1)
    expect(pages[0]?.notOffered).toBe(
      'Knit sends the records of jobs itself, one webhook each; sync job sj_1 has begun a run',
    )
    expect(pages[0]?.mapped).toEqual({ records: [], childLists: [], failures: [] })
    expect(pages[0]?.body.byteLength).toBeGreaterThan(0)
  })

  it('a start is tried again after a failure that passes, a cut connection and an unreadable answer', async () => {
    const { pages, error, retries } = await fetchAll(['unavailable', 'cut', 'garbage', 'last_page'])
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(1)
    expect(retries).toEqual(['PROVIDER_UNAVAILABLE', 'PROVIDER_UNAVAILABLE', 'PROVIDER_ANSWER_INVALID'])
  })

  it('a start that keeps failing ends in an error, after a bounded number of tries', async () => {
    const { pages, error, requests } = await fetchAll(['cut'])
    expect(pages).toEqual([])
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
    expect(requests).toBeLessThan(30)
  })
})
