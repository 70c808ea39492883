import { describe, expect } from 'vitest'
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

const HOUR = 3_600_000
const NOW = Date.parse('2026-03-01T09:00:00Z')

export function cleanupCases(openHarness: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  retentionCases(openHarness, capabilities)
  compactionCases(openHarness, capabilities)
}

function retentionCases(openHarness: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  describe('retention', () => {
    const open = disposing(openHarness)
    const it = itWith([capabilities.retention])

    it('removes old records from the start, and tells readers that they are gone', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't', { retentionMs: HOUR })
      for (const ago of [3, 2, 0]) {
        await log.append(numbered(topic, 0, 10).map((one) => ({ ...one, timestampMs: NOW - ago * HOUR })))
      }
      await harness.maintain?.(NOW)
      expect(await log.bounds(topic, 0)).toEqual({ start: 20, end: 30 })
      await expect(log.fetch({ topic, partition: 0, offset: 19 })).rejects.toMatchObject({
        code: 'OFFSET_OUT_OF_RANGE',
      })
      expect((await readAll(log, topic, 0)).map(({ offset }) => offset)).toEqual(
        Array.from({ length: 10 }, (_, i) => 20 + i),
      )
      expect(await log.offsetAt(topic, 0, 0)).toBe(20)
    })

    it('of everything keeps the end, also after a reopening', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't', { retentionMs: HOUR })
      await harness.log.append(numbered(topic, 0, 5).map((one) => ({ ...one, timestampMs: NOW - 2 * HOUR })))
      await harness.maintain?.(NOW)
      expect(await harness.log.bounds(topic, 0)).toEqual({ start: 5, end: 5 })
      const log = await harness.reopen()
      expect(await log.append([record(topic, 0, 'next', { timestampMs: NOW })])).toEqual([5])
      expect(await values(log, topic, 0)).toEqual(['next'])
    })

    it('keeps everything where none is set, and what an old record lies behind', async () => {
      const harness = await open()
      const { log } = harness
      const kept = await topicOf(harness, 'kept')
      await log.append([record(kept, 0, 'old', { timestampMs: 0 })])
      const topic = await topicOf(harness, 't', { retentionMs: HOUR })
      for (const timestampMs of [NOW, 0]) await log.append([record(topic, 0, 'x', { timestampMs })])
      await harness.maintain?.(NOW)
      expect(await log.bounds(kept, 0)).toEqual({ start: 0, end: 1 })
      expect(await log.bounds(topic, 0)).toEqual({ start: 0, end: 2 })
    })
  })
}

function compactionCases(openHarness: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  describe('compaction', () => {
    const open = disposing(openHarness)
    const it = itWith([capabilities.compaction])
    const keyed = (topic: string, key: string, value: string | null) =>
      record(topic, 0, value, { key: bytes(key), timestampMs: NOW })

    async function contents(harness: LogHarness, topic: string, from?: number): Promise<string[]> {
      return (await readAll(harness.log, topic, 0, from)).map(
        ({ offset, key, value }) => `${offset} ${key} ${textOf(value)}`,
      )
    }

    it('keeps the last record of each key at its offset', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't', { cleanup: 'compact' })
      const writes = ['a1', 'b1', 'a2', 'c1', 'a3', 'b2', 'd1']
      for (const [key, version] of writes.map((text) => [text[0]!, text[1]!] as const)) {
        await harness.log.append([keyed(topic, key, version)])
      }
      await harness.maintain?.(NOW)
      const kept = ['3 c 1', '4 a 3', '5 b 2', '6 d 1']
      expect(await contents(harness, topic)).toEqual(kept)
      expect(await harness.log.bounds(topic, 0)).toEqual({ start: 0, end: 7 })
      for (let from = 0; from < 7; from++) {
        expect(await contents(harness, topic, from)).toEqual(kept.filter((text) => Number(text[0]) >= from))
      }
      await harness.log.append([keyed(topic, 'c', '2'), keyed(topic, 'e', '1')])
      await harness.log.append([keyed(topic, 'c', '3'), keyed(topic, 'c', '4'), keyed(topic, 'c', '5')])
      await harness.maintain?.(NOW)
      expect(await contents(harness, topic)).toEqual(['4 a 3', '5 b 2', '6 d 1', '8 e 1', '11 c 5'])
    })

    it('drops tombstones only after their delay, and what they deleted at once', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't', { cleanup: 'compact' })
      const { deleteRetentionMs } = capabilities
      await harness.log.append([keyed(topic, 'a', '1'), keyed(topic, 'b', '1'), keyed(topic, 'a', null)])
      await harness.maintain?.(NOW)
      expect(await contents(harness, topic)).toEqual(['1 b 1', '2 a null'])
      await harness.maintain?.(NOW + deleteRetentionMs - 1)
      expect(await contents(harness, topic)).toEqual(['1 b 1', '2 a null'])
      await harness.maintain?.(NOW + deleteRetentionMs)
      expect(await contents(harness, topic)).toEqual(['1 b 1'])
      expect(await harness.log.bounds(topic, 0)).toEqual({ start: 0, end: 3 })
      expect(await harness.log.fetch({ topic, partition: 0, offset: 2 })).toEqual({
        records: [],
        nextOffset: 3,
        endOffset: 3,
      })
    })

    it('gives back its work after a reopening', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't', { cleanup: 'compact' })
      for (let i = 0; i < 300; i++) await harness.log.append([keyed(topic, `k${i % 7}`, `v${i}`)])
      await harness.maintain?.(NOW)
      const log = await harness.reopen()
      expect((await readAll(log, topic, 0)).map(({ value }) => textOf(value))).toEqual(
        Array.from({ length: 7 }, (_, i) => `v${293 + i}`),
      )
      expect(await log.append([keyed(topic, 'k', 'v')])).toEqual([300])
    })
  })
}
