/** Credentials that are refused, revoked or expire: never an end, and never an absence. For tests only. */
import { expect, it } from 'vitest'
import type { Page } from '../connector.ts'
import type { Rig } from './rig.ts'

export function credentialCases(rig: Rig): void {
  const ofListings = it.skipIf(rig.kind === 'push')
  const ofTokens = it.runIf(rig.hasTokens)

  it.skipIf(rig.hasTokens)('stops after one try when the credentials are refused', async () => {
    rig.standIn.script(['authentication'])
    expect((await rig.fetch()).error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect(rig.standIn.requests()).toBe(1)
  })

  ofTokens('stops after one try when no token is given for the credentials', async () => {
    rig.standIn.script(['last_page'])
    rig.standIn.tokens?.script(['refused'])
    expect((await rig.fetch()).error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect([rig.standIn.tokens?.requests(), rig.standIn.requests()]).toEqual([1, 0])
  })

  ofListings('ends when the credentials are revoked half way through', async () => {
    rig.standIn.script(['page', 'authentication'])
    const { all: pages, error } = await rig.fetch()
    expect(pages).toHaveLength(1)
    expect(error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect(rig.standIn.requests()).toBeLessThan(5)
  })

  ofTokens('ends when the credentials are revoked half way through, so that there is no new token', async () => {
    rig.standIn.script(['page', 'authentication'])
    rig.standIn.tokens?.script(['granted', 'refused'])
    const { all: pages, error } = await rig.fetch()
    expect(pages).toHaveLength(1)
    expect(error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect([rig.standIn.tokens?.requests(), rig.standIn.requests()]).toEqual([2, 2])
  })

  ofTokens('renews a token once that expires half way through, and loses or repeats nothing', async () => {
    const seen = (pages: readonly Page[]): string[][] =>
      pages.map(({ route, mapped }) => [route, ...mapped.records.map(({ remoteKey }) => remoteKey)])
    rig.standIn.script(['page', 'page', 'last_page'])
    const undisturbed = await rig.fetch()
    rig.standIn.script(['page', 'authentication', 'page', 'last_page'])
    rig.standIn.tokens?.script(['granted'])
    const { all: pages, error } = await rig.fetch()
    expect(error).toBeUndefined()
    expect(seen(pages)).toEqual(seen(undisturbed.all))
    expect(new Set(seen(pages).map(String)).size).toBe(3)
    expect([rig.standIn.tokens?.requests(), rig.standIn.requests()]).toEqual([1, 4])
  })

  it('takes refused credentials for no absence of a record', async ({ skip }) => {
    skip(rig.standIn.pointRead === null, 'there are no point reads')
    rig.standIn.script(['authentication'])
    const { all: answers, error } = await rig.read()
    expect(error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
    expect(answers.flatMap(({ absent }) => absent)).toEqual([])
    expect(rig.standIn.requests()).toBeLessThan(5)
  })

  it('says of refused credentials that they are, not which permissions are missing', async () => {
    rig.standIn.script(['authentication'])
    expect(await rig.check()).toMatchObject({ all: [], error: { code: 'PROVIDER_AUTHENTICATION' } })
  })
}
