import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPositionCodec } from './position.ts'

const selection = (count: number) =>
  Array.from({ length: count }, (_, partition) => ({ topic: 'ats.jobs.changes', partition }))
const offset = fc.oneof(fc.nat(300), fc.maxSafeNat())

describe('a position', () => {
  test('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.array(offset, { minLength: 1, maxLength: 40 }), (offsets) => {
        const codec = createPositionCodec(selection(offsets.length))
        expect(codec.decode(codec.encode(offsets))).toEqual(offsets)
      }),
    )
  })

  test('of another selection is refused with what to do', () => {
    const text = createPositionCodec(selection(3)).encode([1, 2, 3])
    const other = [...selection(2), { topic: 'ats.tags.changes', partition: 0 }]
    for (const codec of [createPositionCodec(other), createPositionCodec(selection(4))]) {
      expect(() => codec.decode(text)).toThrow(/another selection of models.*from=earliest/s)
    }
  })

  test('is never read from what is none', () => {
    const codec = createPositionCodec(selection(3))
    const good = codec.encode([300, 0, 5])
    for (const text of [
      '',
      '0',
      'x',
      '!!!',
      good.slice(0, -2),
      `${good}AA`,
      `${good}=`,
      Buffer.from('hello').toString('base64url'),
    ]) {
      expect(() => codec.decode(text)).toThrow(/cannot be resumed/)
    }
  })

  test('of any text is refused or a position', () => {
    const codec = createPositionCodec(selection(2))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        try {
          expect(codec.decode(Buffer.from(bytes).toString('base64url'))).toHaveLength(2)
        } catch (error) {
          expect(error).toMatchObject({ status: 400 })
        }
      }),
    )
  })

  test('of all models and eight partitions stays short', () => {
    const codec = createPositionCodec(selection(160))
    expect(codec.encode(Array.from({ length: 160 }, () => 10_000)).length).toBeLessThan(500)
  })
})
