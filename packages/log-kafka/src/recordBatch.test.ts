import { createRequire } from 'node:module'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from './crc32c.ts'
import { type DecodeOptions, decodeRecordSet } from './recordBatch.ts'

const require = createRequire(import.meta.url)
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as (input: object) => { buffer: Buffer }
const { RecordBatch: encodeBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(input: object): Promise<{ buffer: Buffer }>
}

interface Input {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestampMs: number
}

const ALL: DecodeOptions = { offset: 0, aborted: [], recordsMax: 1e9, bytesMax: 1e9 }
const byteArrays = fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)))
const input: fc.Arbitrary<Input> = fc.record({
  key: byteArrays,
  value: byteArrays,
  timestampMs: fc.integer({ min: 0, max: 4_102_444_800_000 }),
})

/** A batch as kafkajs' producer encodes it, at an offset of the log. */
async function batchOf(records: readonly Input[], baseOffset: number, more: object = {}): Promise<Buffer> {
  const firstTimestamp = records[0]!.timestampMs
  const { buffer } = await encodeBatch({
    compression: 0,
    firstTimestamp,
    maxTimestamp: firstTimestamp,
    producerId: 7,
    producerEpoch: 0,
    firstSequence: 0,
    transactional: false,
    lastOffsetDelta: records.length - 1,
    records: records.map(({ key, value, timestampMs }, i) =>
      encodeRecord({ key, value, headers: { h: 'x' }, offsetDelta: i, timestampDelta: timestampMs - firstTimestamp }),
    ),
    ...more,
  })
  const bytes = Buffer.from(buffer)
  bytes.writeBigInt64BE(BigInt(baseOffset))
  return bytes
}

/** Changes the header's attributes and the records behind it, with a right length and checksum. */
function rewritten(batch: Buffer, attributes: number, records = batch.subarray(61)): Buffer {
  const out = Buffer.concat([batch.subarray(0, 61), records])
  out.writeInt32BE(out.length - 12, 8)
  out.writeInt16BE(attributes, 21)
  out.writeUInt32BE(crc32c(out, 21, out.length), 17)
  return out
}

/** What the broker writes at the end of a transaction: 0 aborts, 1 commits. */
async function marker(offset: number, type: number): Promise<Buffer> {
  const key = Buffer.from([0, 0, 0, type])
  return rewritten(await batchOf([{ key, value: Buffer.alloc(6), timestampMs: 1 }], offset), 0x30)
}

const text = (value: string, timestampMs = 1): Input => ({ key: null, value: Buffer.from(value), timestampMs })
const valuesOf = (set: Buffer, options: Partial<DecodeOptions> = {}) => {
  const { records, nextOffset } = decodeRecordSet(set, { ...ALL, ...options })
  return [records.map(({ offset, value }) => `${offset}${value}`).join(' '), nextOffset]
}

describe('record batches', () => {
  it('are read as kafkajs writes them, whole, in parts of any size, and cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(input, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(),
        async (batches, recordsMax, cut) => {
          const encoded: Buffer[] = []
          let next = 3
          for (const batch of batches) {
            encoded.push(await batchOf(batch, next))
            next += batch.length
          }
          const set = Buffer.concat(encoded)
          const expected = batches.flat().map((one, i) => ({ offset: i + 3, ...one }))
          expect(decodeRecordSet(set, ALL)).toEqual({ records: expected, nextOffset: next })
          const found: object[] = []
          for (let offset = 3; offset < next; ) {
            const part = decodeRecordSet(set, { ...ALL, offset, recordsMax })
            found.push(...part.records)
            expect(part.records.length).toBeLessThanOrEqual(recordsMax)
            offset = part.nextOffset
          }
          expect(found).toEqual(expected)
          const { records, nextOffset } = decodeRecordSet(set.subarray(0, cut % set.length), ALL)
          expect(records).toEqual(expected.slice(0, records.length))
          expect(nextOffset).toBe(records.length === 0 ? 0 : records.at(-1)!.offset + 1)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('of aborted transactions are passed over, control records too, and reading goes on behind them', async () => {
    const inTransaction = (value: string, offset: number, producerId: number) =>
      batchOf([text(value)], offset, { transactional: true, producerId })
    const set = Buffer.concat([
      await inTransaction('a', 0, 7),
      await inTransaction('b', 1, 8),
      // A data record whose key looks like an abort marker must not end the filter.
      await batchOf([{ ...text('c'), key: Buffer.alloc(4) }], 2, { transactional: true }),
      await marker(3, 0),
      await inTransaction('d', 4, 7),
      await marker(5, 1),
    ])
    const aborted = [{ producerId: 7, firstOffset: 0 }]
    expect(valuesOf(set, { aborted })).toEqual(['1b 4d', 6])
    expect(valuesOf(set, { aborted, offset: 2 })).toEqual(['4d', 6])
    expect(valuesOf(set)).toEqual(['0a 1b 2c 4d', 6])
    expect(valuesOf(await marker(9, 1), { offset: 9 })).toEqual(['', 10])
  })

  it('whose records were compacted away still tell where they end', async () => {
    const batch = await batchOf([text('a'), text('b'), text('c')], 10)
    const emptied = Buffer.from(batch)
    emptied.writeInt32BE(0, 57)
    expect(valuesOf(rewritten(emptied, 0, Buffer.alloc(0)), { offset: 10 })).toEqual(['', 13])
  })

  it('are uncompressed from gzip and zstd; what cannot be is an error that says what to do', async () => {
    const batch = await batchOf([text('a'), text('b')], 0)
    const records = batch.subarray(61)
    expect(valuesOf(rewritten(batch, 1, gzipSync(records)))).toEqual(['0a 1b', 2])
    expect(valuesOf(rewritten(batch, 4, zstdCompressSync(records)))).toEqual(['0a 1b', 2])
    expect(() => valuesOf(rewritten(batch, 3, records))).toThrow(/lz4.*compression\.type/)
  })

  it('with a flipped bit are refused', async () => {
    const batch = await batchOf([text('hello')], 5)
    for (let at = 21; at < batch.length; at += 7) {
      const broken = Buffer.from(batch)
      broken[at]! ^= 1
      expect(() => valuesOf(broken)).toThrow('offset 5')
    }
  })
})

describe('CRC-32C', () => {
  it('is that of the standard', () => {
    const of = (bytes: Buffer): number => crc32c(bytes, 0, bytes.length)
    expect(of(Buffer.from('123456789'))).toBe(0xe3069283)
    expect(of(Buffer.alloc(32))).toBe(0x8a9136aa)
    expect(of(Buffer.alloc(0))).toBe(0)
  })
})
