import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { World } from '../world/world.ts'
import { decodeCursor } from './cursor.ts'
import { ENDPOINTS, type Endpoint } from './endpoints.ts'
import { type ListingOptions, listPage } from './listing.ts'
import { Mirror } from './mirror.ts'

const CANDIDATES = ENDPOINTS.find((endpoint) => endpoint.name === 'candidates') as Endpoint
const STABLE: ListingOptions = { ordering: 'stable', updatedAfter: 'inclusive', pageSizeMax: 250 }

function setup(seed: number) {
  let nowMs = Date.UTC(2026, 0, 5)
  const world = new World({
    seed,
    now: () => nowMs,
    onMutation: (mutation) => void mirror.ingest(mutation.changed, mutation.deleted, nowMs),
  })
  const company = world.found({ jobs: 5, candidates: 40, applications: 60 }, 'greenhouse')
  const mirror = new Mirror(company, { blankAfterMs: 1e12, removeAfterMs: 1e12, absentModels: [] })
  mirror.ingestAll(nowMs)
  const page = (query: Record<string, string>, options = STABLE) =>
    listPage({ endpoint: CANDIDATES, integrationId: 'i', mirror, query, absentFields: [] }, options)
  return {
    world,
    company,
    page,
    later: (ms: number): void => {
      nowMs += ms
    },
    now: () => nowMs,
    id: company.integrationId,
  }
}

const NAMES = { include_deleted: 'true' }

describe('listing', () => {
  it('in stable order never skips a row, whatever changes between the pages, and shows its last state last', () => {
    const between = fc.array(fc.record({ acts: fc.nat(12), ms: fc.nat(2) }), { maxLength: 30 })
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 1, max: 9 }), between, (seed, size, steps) => {
        const { world, page, later, company } = setup(seed)
        const atStart = [...company.tables.candidates.values()].map((rec) => rec.id)
        const seen = new Map<string, unknown>()
        let cursor: string | null = null
        for (let i = 0; ; i++) {
          const query: Record<string, string> = {
            ...NAMES,
            page_size: String(size),
            ...(cursor === null ? {} : { cursor }),
          }
          const { rows, next } = page(query)
          for (const row of rows) seen.set(row.id, row.rec)
          if (next === null) break
          cursor = next
          later(steps[i]?.ms ?? 0)
          for (let n = 0; n < (steps[i]?.acts ?? 0); n++) world.act()
        }
        for (const id of atStart) expect(seen.has(id)).toBe(true)
        for (const rec of company.tables.candidates.values()) expect(seen.get(rec.id)).toEqual(rec)
      }),
      { numRuns: 60 },
    )
  })

  it('by page numbers skips a row when an earlier one changes between the pages', () => {
    const { world, page, later, id, company } = setup(4)
    const numbered = { ...STABLE, ordering: 'numbered' as const }
    const first = page({ page_size: '10' }, numbered)
    later(1000)
    world.editCandidate(id, first.rows[0]?.id as string, { title: 'Moved to the end' })
    const seen = first.rows.map((row) => row.id)
    for (let next = first.next; next !== null; ) {
      const following = page({ page_size: '10', cursor: next }, numbered)
      seen.push(...following.rows.map((row) => row.id))
      next = following.next
    }
    expect(seen).toHaveLength(company.tables.candidates.size)
    expect(new Set(seen).size).toBe(company.tables.candidates.size - 1)
  })

  it('updated_after lists exactly what changed since, in inclusive and exclusive reading', () => {
    const { world, page, later, now, id } = setup(9)
    later(1000)
    const at = new Date(now()).toISOString()
    world.editCandidate(id, '3', { title: 'a' })
    later(1000)
    world.editCandidate(id, '4', { title: 'b' })
    const remote = (rows: readonly { rec: { remoteId: string } }[]) => rows.map((row) => row.rec.remoteId)
    expect(remote(page({ updated_after: at }).rows)).toEqual(['3', '4'])
    expect(remote(page({ updated_after: at }, { ...STABLE, updatedAfter: 'exclusive' }).rows)).toEqual(['4'])
    expect(remote(page({ updated_after: at.replace('Z', '') }).rows)).toEqual(['3', '4'])
    expect(page({ updated_after: '2027-01-01' }).rows).toEqual([])
    expect(page({ updated_after: '2020-01-01' }).rows).toHaveLength(40)
  })

  it('refuses a cursor with other filters, and text that is no cursor', () => {
    const { page } = setup(2)
    const { next } = page({ page_size: '5', ...NAMES })
    const cursor = next as string
    expect(decodeCursor(cursor)).toMatchObject({ page: 2 })
    expect(Buffer.from(cursor, 'base64').toString()).toMatch(/^\{"page":2,/)
    expect(page({ page_size: '7', ...NAMES, cursor }).rows).toHaveLength(7)
    expect(() => page({ page_size: '5', cursor })).toThrow(/other filters/)
    expect(() => page({ page_size: '5', ...NAMES, updated_after: '2020-01-01', cursor })).toThrow(/other filters/)
    for (const wrong of [
      '',
      'nonsense',
      Buffer.from('{"page":1}').toString('base64'),
      Buffer.from('null').toString('base64'),
    ]) {
      expect(() => page({ cursor: wrong })).toThrow(/not a cursor/)
    }
  })
})
