/** Listings: all pages in order, an end only after the last, and the failures that pass. For tests only. */
import { TidemarkError } from '@tidemark/base'
import { expect, it } from 'vitest'
import type { Page } from '../connector.ts'
import { lacks, type Rig } from './rig.ts'
import { RATE_LIMIT_SECONDS } from './standIn.ts'

export function listingCases(rig: Rig): void {
  const ofListings = it.skipIf(rig.kind === 'push')

  it('says whether the provider sends by itself', () => {
    expect(rig.source.pushes === true).toBe(rig.kind === 'push')
  })

  it('knows the models of every stream, and its configured integrations', () => {
    const { source, standIn } = rig
    expect(source.streams).toContain(standIn.stream)
    for (const stream of source.streams) expect(source.modelsOf(stream).length).toBeGreaterThan(0)
    expect(source.integrations).toContain(standIn.integrationId)
  })

  ofListings('delivers every page in order and ends after the last', async () => {
    rig.standIn.script(['page', 'page', 'last_page'])
    const { all: pages, error } = await rig.fetch()
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(3)
    expect(rig.standIn.requests()).toBe(3)
    for (const page of pages) {
      expect(page.body.byteLength).toBeGreaterThan(0)
      expect(page.requestedAtMs).toBeLessThanOrEqual(page.receivedAtMs)
      expect(page.notOffered).toBeNull()
    }
    const keys = pages.flatMap(({ mapped }) => mapped.records.map(({ model, remoteKey }) => `${model}/${remoteKey}`))
    expect(new Set(keys).size, 'different records on each page').toBeGreaterThanOrEqual(3)
  })

  it('maps the same bytes to the same records', async () => {
    rig.standIn.script(['last_page'])
    const [first, second] = [await rig.fetch(), await rig.fetch()]
    expect(Buffer.from(first.all[0]?.body ?? [])).toEqual(Buffer.from(second.all[0]?.body ?? []))
    expect(first.all[0]?.mapped).toEqual(second.all[0]?.mapped)
  })

  ofListings('maps to models of the stream only, children under their parent', async () => {
    const { source, standIn } = rig
    standIn.script(['last_page'])
    const mapped = (await rig.fetch()).all[0]?.mapped
    expect(mapped?.records.length).toBeGreaterThan(0)
    const models = source.modelsOf(standIn.stream)
    for (const record of mapped?.records ?? []) expect(models).toContain(record.model)
    for (const list of mapped?.childLists ?? [])
      for (const child of list.children) expect(child.startsWith(`${list.parentRemoteKey}:`)).toBe(true)
  })

  it('reports a stream that is not offered as one page that says so', async ({ skip }) => {
    skip(lacks(rig, 'not_offered'), 'the provider offers every listing')
    rig.standIn.script(['not_offered'])
    const { all: pages, error } = await rig.fetch()
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(1)
    expect(pages[0]?.notOffered).toEqual(expect.any(String))
    expect(pages[0]?.mapped).toEqual({ records: [], childLists: [], failures: [] })
  })

  it('shows no secret in pages', async () => {
    rig.standIn.script(['last_page'])
    const { route, headers } = (await rig.fetch()).all[0] as Page
    for (const secret of rig.standIn.secrets) expect(JSON.stringify({ route, headers })).not.toContain(secret)
  })
}

export function failureCases(rig: Rig): void {
  const ofListings = it.skipIf(rig.kind === 'push')

  ofListings('tries again after a failure that passes, a cut connection and an unreadable answer', async () => {
    rig.standIn.script(['page', 'unavailable', 'cut', 'html', 'last_page'])
    const retries: string[] = []
    const { all: pages, error } = await rig.fetch({ onRetry: ({ code }) => retries.push(code) })
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(2)
    expect(retries).toEqual(['PROVIDER_UNAVAILABLE', 'PROVIDER_UNAVAILABLE', 'PROVIDER_ANSWER_INVALID'])
  })

  ofListings('does not end normally when a page fails half way through, however often it is tried', async () => {
    rig.standIn.script(['page', 'cut'])
    const { all: pages, error } = await rig.fetch()
    expect(pages).toHaveLength(1)
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
    expect(rig.standIn.requests()).toBeLessThan(30)
  })

  it('waits as long as a rate limit says', async () => {
    rig.standIn.script(['rate_limited', 'last_page'])
    const before = rig.clock.now()
    const { all: pages, error } = await rig.fetch()
    expect(error).toBeUndefined()
    expect(pages).toHaveLength(1)
    const waited = `the stand-in asked for ${RATE_LIMIT_SECONDS} s, and Retry-After may be read in other units`
    expect(rig.clock.now() - before, waited).toBeGreaterThanOrEqual(RATE_LIMIT_SECONDS * 1000)
  })

  it('reports at once that the provider is not ready', async ({ skip }) => {
    skip(lacks(rig, 'not_ready'), 'the provider is always ready')
    rig.standIn.script(['not_ready'])
    expect((await rig.fetch()).error).toMatchObject({ code: 'PROVIDER_NOT_READY' })
    expect(rig.standIn.requests()).toBe(1)
  })

  it('rejects when it is aborted, also while it waits', async () => {
    rig.standIn.script(['rate_limited'])
    const aborter = new AbortController()
    const { error } = await rig.fetch({ signal: aborter.signal, onRetry: () => aborter.abort() })
    expect(error).toBeDefined()
    expect(rig.standIn.requests()).toBe(1)
  })

  it('rejects once it is closed', async () => {
    rig.standIn.script(['last_page'])
    await rig.source.close()
    expect((await rig.fetch()).error).toBeInstanceOf(TidemarkError)
  })
}
