import { seededRandom } from '@tidemark/base'
import type { Page } from '@tidemark/connector'
import { type Answer, connectorContract, drive } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { describe, expect, it } from 'vitest'
import { startStandIn } from '../test/standIn.ts'
import { connector } from './index.ts'

connectorContract(connector, startStandIn, { kind: 'push' })

describe('instead of a listing', () => {
  async function fetchAll(answers: readonly Answer[]) {
    const standIn = await startStandIn()
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
    const { pages, error, retries } = await fetchAll(['unavailable', 'cut', 'html', 'last_page'])
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
