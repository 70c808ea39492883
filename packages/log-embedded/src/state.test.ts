import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sortedWrites } from './state.ts'

it('state writes are put in key order, of equal keys the last', () => {
  const writes = fc.array(
    fc.record({ key: fc.uint8Array({ maxLength: 2, max: 3 }), value: fc.constant(Buffer.from('v')) }),
  )
  fc.assert(
    fc.property(writes, (given) => {
      const numbered = given.map(({ key }, i) => ({ key, value: Buffer.from(String(i)) }))
      const sorted = sortedWrites(numbered)
      const last = new Map(numbered.map(({ key, value }) => [Buffer.from(key).toString('hex'), value]))
      const keys = [...last.keys()].sort()
      expect(sorted.map(({ key }) => Buffer.from(key).toString('hex'))).toEqual(keys)
      expect(sorted.map(({ value }) => value)).toEqual(keys.map((key) => last.get(key)))
    }),
  )
})
