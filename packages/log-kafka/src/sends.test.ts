import type { AppendRecord } from '@tidemark/log'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkSize, encodedBytes, type Message, planSends, readOffsets, type SendLimits } from './sends.ts'

const append: fc.Arbitrary<AppendRecord> = fc.record({
  topic: fc.constantFrom('a', 'b'),
  partition: fc.nat(2),
  key: fc.option(fc.uint8Array({ maxLength: 20 })),
  value: fc.option(fc.uint8Array({ maxLength: 200 })),
  timestampMs: fc.nat(),
})
const limitsOf = (batch: number, request: number): SendLimits => ({
  messageBytesMax: () => batch,
  batchBytesMax: 1e9,
  requestBytesMax: request,
})

describe('a plan of requests', () => {
  it('carries each record once, in order per partition, each topic once per request, within the limits', () => {
    fc.assert(
      fc.property(
        fc.array(append, { maxLength: 60 }),
        fc.integer({ min: 500, max: 2000 }),
        fc.nat(5000),
        (records, batch, request) => {
          const sends = planSends(records, limitsOf(batch, request))
          const indexes = sends.flatMap((send) => send.batches.flatMap((one) => one.indexes))
          expect([...indexes].sort((a, b) => a - b)).toEqual(records.map((_, i) => i))
          for (const send of sends) {
            const topics = send.topics.map(({ topic }) => topic)
            expect(new Set(topics).size).toBe(topics.length)
            for (const one of send.batches) {
              const bytes = one.indexes.reduce((sum, i) => sum + encodedBytes(records[i]!), 0)
              expect(bytes).toBeLessThanOrEqual(batch)
            }
          }
          for (const topic of ['a', 'b']) {
            for (const partition of [0, 1, 2]) {
              const batches = sends.flatMap((send) => send.batches)
              const own = batches.filter((one) => one.topic === topic && one.partition === partition)
              const order = own.flatMap((one) => one.indexes)
              expect(order).toEqual([...order].sort((a, b) => a - b))
            }
          }
        },
      ),
    )
  })

  it('looks to kafkajs like its own grouping by partition', () => {
    const records = Array.from({ length: 9 }, (_, i): AppendRecord => {
      return { topic: 't', partition: i % 3, key: null, value: Buffer.from(`${i}`), timestampMs: i }
    })
    const [send] = planSends(records, limitsOf(1e6, 1e6))
    const { messages } = send!.topics[0]!
    const grouped = messages.reduce<Record<number, Message[]>>(() => ({}), {})
    for (const partition of [0, 1, 2]) {
      expect(grouped[partition]!.map(({ value }) => Number(value)).every((n) => n % 3 === partition)).toBe(true)
      expect(grouped[partition]).toHaveLength(3)
    }
    expect(messages.map(({ partition }) => partition).reduce((a, b) => a + b)).toBe(9)
    expect(messages.find(({ value }) => value === undefined)).toBeUndefined()
  })

  it('gives each record the offset of its batch, or fails when the broker told none', () => {
    const records = [0, 1, 0].map(
      (partition): AppendRecord => ({ topic: 't', partition, key: null, value: null, timestampMs: 0 }),
    )
    const [send] = planSends(records, limitsOf(1e6, 1e6))
    const offsets = [-1, -1, -1]
    readOffsets(
      send!,
      [
        { topicName: 't', partition: 0, baseOffset: '40' },
        { topicName: 't', partition: 1, baseOffset: '7' },
      ],
      offsets,
    )
    expect(offsets).toEqual([40, 7, 41])
    expect(() => readOffsets(send!, [{ topicName: 't', partition: 0, baseOffset: '40' }], offsets)).toThrow('t/1')
  })

  it('refuses a record that fits into no batch of its topic', () => {
    const record = { topic: 't', partition: 0, key: null, value: Buffer.alloc(1000), timestampMs: 0 }
    expect(() => checkSize(record, 1000)).toThrow(expect.objectContaining({ code: 'RECORD_TOO_LARGE' }))
    checkSize(record, 1300)
  })
})
