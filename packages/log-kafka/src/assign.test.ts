import fc from 'fast-check'
import { expect, it } from 'vitest'
import { assignPartitions } from './assign.ts'

const owners = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 })

it('deals every partition to exactly one member, evenly, whatever they claim to have owned', () => {
  fc.assert(
    fc.property(owners, fc.nat(20), fc.array(fc.array(fc.nat(25))), (ids, partitions, claims) => {
      const members = ids.map((id, i) => ({ id, owned: claims[i] ?? [] }))
      const assigned = assignPartitions(members, partitions)
      const counts = [...assigned.values()].map((mine) => mine.length)
      expect([...assigned.values()].flat().sort((a, b) => a - b)).toEqual(
        Array.from({ length: partitions }, (_, i) => i),
      )
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      expect(assignPartitions([...members].reverse(), partitions)).toEqual(assigned)
    }),
  )
})

it('moves no partition that need not move when a member comes or goes', () => {
  const first = assignPartitions(
    ['a', 'b'].map((id) => ({ id, owned: [] })),
    12,
  )
  const grown = assignPartitions(
    ['a', 'b', 'c'].map((id) => ({ id, owned: first.get(id) ?? [] })),
    12,
  )
  for (const id of ['a', 'b']) for (const partition of grown.get(id)!) expect(first.get(id)).toContain(partition)
  const shrunk = assignPartitions(
    ['a', 'c'].map((id) => ({ id, owned: grown.get(id)! })),
    12,
  )
  for (const id of ['a', 'c']) expect(shrunk.get(id)).toEqual(expect.arrayContaining(grown.get(id)!))
})
