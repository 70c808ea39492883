import { seededRandom } from '@tidemark/base'
import { drive } from '@tidemark/connector/contract'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeHrworks, failure, startFakeHrworks, tokenUntil } from '../test/fakeHrworks.ts'
import { tokenExpiryMs } from './auth.ts'
import { HrworksClient, type ReadAnswer } from './client.ts'
import { parseOptions } from './options.ts'

let fake: FakeHrworks
let clock: ManualClock
let client: HrworksClient

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

const lasting = (seconds: number): string => tokenUntil(clock.now() / 1000 + seconds)

const read = async (): Promise<ReadAnswer<unknown> | { readonly error: unknown }> =>
  drive(
    clock,
    client
      .read({
        path: '/x',
        query: [
          ['posts', 'a b'],
          ['posts', 'c'],
        ],
        signal: new AbortController().signal,
        parse: (json) => json,
      })
      .catch((error: unknown) => ({ error })),
  )

describe('tokens', () => {
  it('say when they expire', () => {
    expect(tokenExpiryMs(tokenUntil(1_800_000_000))).toBe(1_800_000_000_000)
    for (const text of ['', 'opaque', 'a.b.c', 'a.e30.c', `a.${Buffer.from('{"exp":"soon"}').toString('base64url')}.c`])
      expect(tokenExpiryMs(text)).toBeUndefined()
  })

  it('are sent with every request, whose query repeats its keys', async () => {
    await read()
    expect(fake.seen[0]?.path).toBe('/x?posts=a+b&posts=c')
    expect(fake.seen[0]?.headers).toMatchObject({
      authorization: `Bearer ${tokenUntil(4_102_444_800)}`,
      accept: 'application/json',
    })
  })

  it('are renewed with less than 60 seconds left', async () => {
    fake.authenticate = () => ({ body: { token: lasting(100) } })
    await read()
    await clock.advance(39_000)
    await read()
    expect(fake.minted()).toBe(1)
    await clock.advance(2000)
    await read()
    expect(fake.minted()).toBe(2)
  })

  it('that are refused are replaced once, and then it is a matter of the credentials', async () => {
    fake.answer = () => failure(401)
    expect(await read()).toMatchObject({ error: { code: 'PROVIDER_AUTHENTICATION' } })
    expect([fake.minted(), fake.seen.length]).toEqual([2, 2])
  })

  it.each([401, 403])('are not asked for again when the key pair is refused with %s', async (status) => {
    fake.authenticate = () => failure(status, 'wrong pair')
    const answer = await read()
    expect(answer).toMatchObject({ error: { code: 'PROVIDER_AUTHENTICATION' } })
    expect(String('error' in answer && answer.error)).toMatch(/wrong pair.*access_key/)
    expect(String('error' in answer && answer.error)).not.toContain('"secret"')
    expect([fake.minted(), fake.seen.length]).toEqual([1, 0])
  })

  it('are asked for again when what comes is none', async () => {
    let count = 0
    fake.authenticate = () => (count++ === 0 ? { body: { token: 'opaque' } } : { body: { token: lasting(900) } })
    expect(await read()).toMatchObject({ kind: 'ok' })
    expect(fake.minted()).toBe(2)
  })
})

describe('answers', () => {
  it('of 404 in HTML come from a gateway and say nothing', async () => {
    fake.answer = (_request, count) => (count === 0 ? { status: 404, body: '<html>' } : failure(404))
    expect(await read()).toMatchObject({ kind: 'missing', status: 404 })
    expect(fake.seen).toHaveLength(2)
  })

  it.each([
    [400, 'PROVIDER_REFUSED'],
    [302, 'PROVIDER_ANSWER_INVALID'],
  ])('of %s end the request with %s', async (status, code) => {
    fake.answer = () => failure(status, 'nothing to be done')
    expect(await read()).toMatchObject({
      error: { code, message: expect.stringContaining('nothing to be done') as string },
    })
    expect(fake.seen).toHaveLength(1)
  })
})
