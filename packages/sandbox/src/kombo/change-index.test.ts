import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChangeIndex, type Indexed } from './change-index.ts'

interface Item extends Indexed {
  readonly name: number
}

describe('change index', () => {
  it('lists the rows in the order of their last touch, from any time, after any touches and drops', () => {
    const step = fc.record({ name: fc.nat(12), later: fc.nat(3), drop: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(300), (steps, fromMs) => {
        const index = new ChangeIndex<Item>()
        const items = Array.from({ length: 13 }, (_, name): Item => ({ name, seq: 0, effectiveMs: 0 }))
        let model: { name: number; atMs: number }[] = []
        let nowMs = 0
        for (const { name, later, drop } of steps) {
          nowMs += later
          model = model.filter((each) => each.name !== name)
          if (drop && name % 2 === 0) index.drop(items[name] as Item)
          else {
            index.touch(items[name] as Item, nowMs)
            model.push({ name, atMs: nowMs })
          }
        }
        const names = (afterSeq: number): number[] => {
          const out: number[] = []
          index.scan(afterSeq, (item) => out.push(item.name) > 0)
          return out
        }
        expect(index.size).toBe(model.length)
        expect(names(0)).toEqual(model.map((each) => each.name))
        expect(names(index.before(fromMs))).toEqual(
          model.filter((each) => each.atMs >= fromMs).map((each) => each.name),
        )
      }),
      { numRuns: 200 },
    )
  })

  it('stays small when the same rows are touched again and again', () => {
    const index = new ChangeIndex<Item>()
    const items = Array.from({ length: 3 }, (_, name): Item => ({ name, seq: 0, effectiveMs: 0 }))
    for (let i = 0; i < 20_000; i++) index.touch(items[i % 3] as Item, i)
    const order: number[] = []
    index.scan(0, (item) => order.push(item.name) > 0)
    expect(order).toEqual([0, 1, 2].map((n) => (20_000 - 3 + n) % 3))
    expect(items.map((item) => item.effectiveMs)).toEqual([19_998, 19_999, 19_997])
  })
})
