import { describe, expect, it } from 'vitest'
import type { AppendRecord } from '../log.ts'
import {
  bytes,
  disposing,
  itWith,
  type LogCapabilities,
  type LogHarness,
  numbered,
  readAll,
  record,
  textOf,
  topicOf,
  values,
} from './harness.ts'

export function recordCases(openHarness: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  appendCases(openHarness, capabilities)
  fetchCases(openHarness)
}

function appendCases(openHarness: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  describe('append', () => {
    const open = disposing(openHarness)

    it('keeps the order of each partition and gives neighbouring offsets from 0 on', async () => {
      const harness = await open()
      const { log } = harness
      const a = await topicOf(harness, 'a')
      const b = await topicOf(harness, 'b')
      const offsets = await log.append([
        record(a, 0, 'a0'),
        record(b, 1, 'b0'),
        record(a, 1, 'x0'),
        record(a, 0, 'a1'),
        record(b, 1, 'b1'),
        record(a, 0, 'a2'),
      ])
      expect(offsets).toEqual([0, 0, 0, 1, 1, 2])
      expect(await values(log, a, 0)).toEqual(['a0', 'a1', 'a2'])
      expect(await values(log, a, 1)).toEqual(['x0'])
      expect(await values(log, b, 1)).toEqual(['b0', 'b1'])
      expect(await log.bounds(b, 0)).toEqual({ start: 0, end: 0 })
    })

    it('of nothing does nothing', async () => {
      const { log } = await open()
      expect(await log.append([])).toEqual([])
    })

    it('keeps binary and empty keys and values, tombstones, records without a key, and timestamps', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
      const inputs: Omit<AppendRecord, 'topic' | 'partition'>[] = [
        { key: every, value: every, timestampMs: 0 },
        { key: Buffer.alloc(0), value: Buffer.alloc(0), timestampMs: 1 },
        { key: null, value: bytes('x'), timestampMs: 1_772_355_600_123 },
        { key: bytes('k'), value: null, timestampMs: 4_102_444_800_000 },
        { key: Buffer.from([0, 0, 0, 0, 255]), value: Buffer.from([0]), timestampMs: 5 },
        {
          key: new Uint8Array([1, 2]),
          value: new Uint8Array(bytes('in a larger buffer').buffer, 0, 4),
          timestampMs: 6,
        },
      ]
      await harness.log.append(inputs.map((input) => ({ topic, partition: 1, ...input })))
      const found = await readAll(harness.log, topic, 1)
      const copy = (value: Uint8Array | null): Buffer | null => (value === null ? null : Buffer.from(value))
      expect(found).toEqual(
        inputs.map(({ key, value, timestampMs }, offset) => ({
          offset,
          timestampMs,
          key: copy(key),
          value: copy(value),
        })),
      )
      for (const { key, value } of found)
        for (const part of [key, value]) expect(part === null || Buffer.isBuffer(part)).toBe(true)
    })

    itWith([capabilities.atomicAppend])('is all or nothing: a bad record takes the good ones with it', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      await log.append([record(topic, 0, 'before')])
      const huge = record(topic, 1, null, { value: Buffer.alloc(capabilities.tooLargeBytes) })
      await expect(log.append([record(topic, 0, 'good'), huge])).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
      const lost = record(`${topic}-missing`, 0, 'x')
      await expect(log.append([record(topic, 0, 'good'), lost])).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
      expect(await values(log, topic, 0)).toEqual(['before'])
      expect(await log.bounds(topic, 1)).toEqual({ start: 0, end: 0 })
      await log.append([record(topic, 0, 'after')])
      expect(await values(log, topic, 0)).toEqual(['before', 'after'])
    })

    it('takes 1,000 concurrent small appends, each in order with what was appended before it', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      const offsets = await Promise.all(
        Array.from({ length: 1000 }, (_, i) => log.append([record(topic, i % 2, `v${i}`)])),
      )
      const even = await readAll(log, topic, 0)
      const odd = await readAll(log, topic, 1)
      expect([even.length, odd.length]).toEqual([500, 500])
      for (const [i, [offset]] of offsets.entries()) {
        expect(textOf((i % 2 === 0 ? even : odd).find((found) => found.offset === offset)?.value)).toBe(`v${i}`)
      }
    })

    it('takes one call of many records over all partitions', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't', { partitions: 4 })
      const payload = 'x'.repeat(300)
      const records = Array.from({ length: 4000 }, (_, i) => record(topic, i % 4, `${i} ${payload}`))
      const offsets = await log.append(records)
      for (let partition = 0; partition < 4; partition++) {
        const found = await readAll(log, topic, partition)
        const sent = records.map(({ value }, i) => ({ partition: i % 4, value, offset: offsets[i] }))
        expect(found.map(({ offset, value }) => `${offset} ${value}`)).toEqual(
          sent.filter((one) => one.partition === partition).map(({ offset, value }) => `${offset} ${value}`),
        )
      }
    })

    it('survives a reopening, and goes on at the next offset', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      await harness.log.append(numbered(topic, 0, 5))
      const log = await harness.reopen()
      const [offset] = await log.append([record(topic, 0, 'v5')])
      expect(offset).toBe(5)
      expect(await values(log, topic, 0)).toEqual(['v0', 'v1', 'v2', 'v3', 'v4', 'v5'])
    })

    it('throws LOG_CLOSED after close, like every other call', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      const task = await log.openTask({ group: `${topic}-g`, topic, partition: 0 })
      await log.close()
      await log.close()
      const closed = { code: 'LOG_CLOSED' }
      await expect(log.append([record(topic, 0, 'x')])).rejects.toMatchObject(closed)
      await expect(log.fetch({ topic, partition: 0, offset: 0 })).rejects.toMatchObject(closed)
      await expect(log.listTopics()).rejects.toMatchObject(closed)
      await expect(log.bounds(topic, 0)).rejects.toMatchObject(closed)
      await expect(log.positions('g', topic)).rejects.toMatchObject(closed)
      await expect(log.commitPositions('g', topic, new Map([[0, 0]]))).rejects.toMatchObject(closed)
      await expect(log.openTask({ group: 'g', topic, partition: 0 })).rejects.toMatchObject(closed)
      await expect(task.commit({ outputs: [], state: [], position: 1 })).rejects.toMatchObject(closed)
    })
  })
}

function fetchCases(openHarness: () => Promise<LogHarness>): void {
  describe('fetch', () => {
    const open = disposing(openHarness)

    it('goes on from any offset', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      for (let i = 0; i < 5; i++) await log.append(numbered(topic, 0, 4, i * 4))
      for (let from = 0; from < 20; from++) {
        const { records, nextOffset, endOffset } = await log.fetch({ topic, partition: 0, offset: from, waitMs: 5000 })
        expect(textOf(records[0]?.value)).toBe(`v${from}`)
        expect(records[0]?.offset).toBe(from)
        expect(nextOffset).toBe(records.at(-1)!.offset + 1)
        expect(endOffset).toBe(20)
        expect((await readAll(log, topic, 0, from)).length).toBe(20 - from)
      }
    })

    it('never returns more records than asked for, at any size', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      await log.append(numbered(topic, 0, 30))
      await log.append(numbered(topic, 0, 3, 30))
      for (const recordsMax of [1, 7, 1000]) {
        const found: (string | null)[] = []
        for (let at = 0; at < 33; ) {
          const { records, nextOffset } = await log.fetch({ topic, partition: 0, offset: at, recordsMax, waitMs: 5000 })
          expect(records.length).toBeGreaterThan(0)
          expect(records.length).toBeLessThanOrEqual(recordsMax)
          found.push(...records.map(({ value }) => textOf(value)))
          at = nextOffset
        }
        expect(found).toEqual(Array.from({ length: 33 }, (_, i) => `v${i}`))
      }
    })

    it('bounds the bytes, but always returns one record', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      await log.append(Array.from({ length: 20 }, () => record(topic, 0, 'x'.repeat(1000))))
      const some = await log.fetch({ topic, partition: 0, offset: 0, bytesMax: 5500, waitMs: 5000 })
      expect(some.records.length).toBeGreaterThan(0)
      expect(some.records.length).toBeLessThanOrEqual(6)
      const one = await log.fetch({ topic, partition: 0, offset: some.nextOffset, bytesMax: 10, waitMs: 5000 })
      expect(one.records.length).toBe(1)
    })

    it('returns bytes that stay as they are while later calls read and write', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      await log.append(numbered(topic, 0, 50))
      const held = await log.fetch({ topic, partition: 0, offset: 0, waitMs: 5000 })
      for (let i = 0; i < 20; i++) {
        await log.append(numbered(topic, 0, 50, 1000))
        await log.fetch({ topic, partition: 0, offset: 50 })
      }
      expect(held.records.slice(0, 50).map(({ value }) => textOf(value))).toEqual(
        Array.from({ length: 50 }, (_, i) => `v${i}`),
      )
    })

    it('is empty at the end, and throws OFFSET_OUT_OF_RANGE beyond it and below the start', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      const empty = await log.fetch({ topic, partition: 0, offset: 0 })
      expect(empty).toEqual({ records: [], nextOffset: 0, endOffset: 0 })
      await log.append(numbered(topic, 0, 3))
      expect(await log.fetch({ topic, partition: 0, offset: 3 })).toEqual({ records: [], nextOffset: 3, endOffset: 3 })
      for (const offset of [4, -1]) {
        await expect(log.fetch({ topic, partition: 0, offset })).rejects.toMatchObject({
          code: 'OFFSET_OUT_OF_RANGE',
          message: expect.stringContaining(topic),
        })
      }
    })

    it('finds the first offset at or after a time, also when clocks went back', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      expect(await log.offsetAt(topic, 0, 5)).toBe(0)
      const times = [10, 20, 20, 15, 30, 5, 40]
      for (const timestampMs of times.slice(0, 4)) await log.append([record(topic, 0, 'x', { timestampMs })])
      await log.append(times.slice(4).map((timestampMs) => record(topic, 0, 'x', { timestampMs })))
      for (const [time, offset] of [
        [0, 0],
        [10, 0],
        [11, 1],
        [20, 1],
        [21, 4],
        [31, 6],
        [40, 6],
        [41, 7],
      ] as const) {
        expect([time, await log.offsetAt(topic, 0, time)]).toEqual([time, offset])
      }
    })
  })
}
