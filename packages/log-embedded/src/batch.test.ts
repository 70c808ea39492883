import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  allRecords,
  type BatchRecord,
  BatchWriter,
  countOf,
  isBatch,
  lastOf,
  recordBytes,
  takeRecords,
} from './batch.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 50 }))
const batch = fc
  .record({
    base: fc.oneof(fc.nat(), fc.integer({ min: 2 ** 40, max: 2 ** 41 })),
    gaps: fc.array(fc.record({ gap: fc.nat(5), key: bytes, value: bytes, timestampMs: fc.maxSafeInteger() }), {
      maxLength: 30,
    }),
    after: fc.nat(5),
  })
  .map(({ base, gaps, after }) => {
    let offset = base
    const records: BatchRecord[] = gaps.map(({ gap, ...record }) => {
      const one = { offset: offset + gap, ...record }
      offset = one.offset + 1
      return one
    })
    return { base, records, last: Math.max(base, offset - 1) + after }
  })

const plain = (record: BatchRecord) => ({
  ...record,
  key: record.key && Buffer.from(record.key),
  value: record.value && Buffer.from(record.value),
})

describe('a batch', () => {
  it('gives back the records it was packed from', () => {
    const writer = new BatchWriter()
    fc.assert(
      fc.property(batch, ({ base, records, last }) => {
        const packed = Buffer.from(writer.pack(base, last, records))
        expect(isBatch(packed)).toBe(true)
        expect(countOf(packed)).toBe(records.length)
        expect(lastOf(packed, base)).toBe(last)
        expect(allRecords(packed, base)).toEqual(records.map(plain))
        expect(packed.length).toBe(records.reduce((sum, record) => sum + recordBytes(record), 16))
      }),
    )
  })

  it('can be read on from any offset in portions of any size', () => {
    const writer = new BatchWriter()
    const sizes = fc.record({ recordsMax: fc.integer({ min: 1, max: 8 }), bytesMax: fc.nat(120) })
    fc.assert(
      fc.property(batch, sizes, fc.nat(40), ({ base, records, last }, take, skip) => {
        const packed = Buffer.from(writer.pack(base, last, records))
        const found: unknown[] = []
        for (let at = base + skip; at <= last; ) {
          const out: ReturnType<typeof allRecords> = []
          const { next, bytesTaken } = takeRecords(packed, base, at, { ...take, bytesTaken: 0 }, out)
          expect(next).toBeGreaterThan(at)
          expect(out.length).toBeLessThanOrEqual(take.recordsMax)
          expect(out.length <= 1 || bytesTaken <= take.bytesMax).toBe(true)
          found.push(...out)
          at = next
        }
        expect(found).toEqual(records.filter(({ offset }) => offset >= base + skip).map(plain))
      }),
    )
  })

  it('is recognized as damaged when any byte is another, or it is cut short', () => {
    const writer = new BatchWriter()
    fc.assert(
      fc.property(batch, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ base, records, last }, at, flip) => {
        const packed = Buffer.from(writer.pack(base, last, records))
        expect(isBatch(packed.subarray(0, at % packed.length))).toBe(false)
        packed[at % packed.length]! ^= flip
        expect(isBatch(packed)).toBe(false)
      }),
    )
  })
})
