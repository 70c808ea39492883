import { openPglite } from '@tidemark/store-embedded'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { columnLists, isoOf } from './columnLists.ts'

describe('rows read as lists of columns', () => {
  it('have every value under its name, and nothing for absent ones', () => {
    const { lists, columns, rows } = columnLists('tags', ['name', 'id', 'changed_at'])
    expect(columns).toBe(`t."id", t."changed_at" at time zone 'UTC' as "changed_at", t."name"`)
    expect(lists).toBe('json_build_array(json_agg(r."id"), json_agg(r."changed_at"), json_agg(r."name"))')
    const times = ['2026-01-01T00:00:00.5', null]
    expect(rows([['a', 'b'], times, ['Hobbit', null]])).toEqual([
      { id: 'a', changed_at: '2026-01-01T00:00:00.500Z', name: 'Hobbit' },
      { id: 'b', changed_at: null, name: null },
    ])
    expect(rows([null, null, null])).toEqual([])
  })

  it('have times as they are, whatever the zone of the session', async () => {
    const store = await openPglite({ dataDir: 'memory' })
    const any = fc.integer({ min: Date.UTC(1, 0, 3), max: Date.UTC(9999, 11, 29) })
    const times = [...fc.sample(any, 300), 0, 10, 100, 1000].map((ms) => new Date(ms).toISOString())
    try {
      for (const zone of ['UTC', 'Asia/Kathmandu']) {
        await store.script(`set time zone '${zone}'`)
        const [row] = await store.query<{ lists: string[] }>(
          `select json_agg(t at time zone 'UTC') as lists from unnest($1::timestamptz[]) t`,
          [times],
        )
        expect(row?.lists.map(isoOf)).toEqual(times)
      }
    } finally {
      await store.close()
    }
  })
})
