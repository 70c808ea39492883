import { expect, it } from 'vitest'
import { recordsOf, startTenant } from '../test/tenant.ts'

it('reads a company in which people come, move, are edited, merged, anonymized, and vanish', async () => {
  const tenant = await startTenant()
  try {
    for (let round = 0; round < 4; round++) {
      for (let act = 0; act < 150; act++) tenant.world.act()
      const pages = new Map<string, Awaited<ReturnType<typeof tenant.fetch>>['pages']>()
      for (const stream of tenant.source.streams) {
        const fetched = await tenant.fetch(stream)
        expect(fetched.error).toBeUndefined()
        pages.set(stream, fetched.pages)
      }
      const { tables } = tenant.company
      expect(recordsOf(pages.get('users') ?? [], 'users').size).toBe(tables.users.size)
      expect(recordsOf(pages.get('jobs') ?? [], 'jobs').size).toBe(tables.jobs.size)
      expect(recordsOf(pages.get('applications') ?? [], 'applications').size).toBe(tables.applications.size)
      const candidates = recordsOf(pages.get('candidates') ?? [], 'candidates')
      const applied = new Set(Array.from(tables.applications.values(), ({ fields }) => fields.candidate_id))
      expect(candidates.size).toBe(applied.size)
    }
  } finally {
    await tenant.close()
  }
})
