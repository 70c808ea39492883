import { describe, expect, it } from 'vitest'
import { disposing, type LogHarness, record, textOf, topicOf } from './harness.ts'

const LONG = 20_000

export function waitCases(openHarness: () => Promise<LogHarness>): void {
  describe('a waiting fetch', () => {
    const open = disposing(openHarness)

    it('wakes when a record is appended to its partition', async () => {
      const harness = await open()
      const { log } = harness
      const topic = await topicOf(harness, 't')
      await log.append([record(topic, 0, 'old')])
      const waiting = [1, 2].map(() => log.fetch({ topic, partition: 0, offset: 1, waitMs: LONG }))
      await log.append([record(topic, 1, 'elsewhere')])
      await log.append([record(topic, 0, 'new')])
      for (const { records, nextOffset } of await Promise.all(waiting)) {
        expect(records.map(({ value }) => textOf(value))).toEqual(['new'])
        expect(nextOffset).toBe(2)
      }
    })

    it('wakes when a task commits an output to its partition', async () => {
      const harness = await open()
      const { log, topicPrefix } = harness
      const topic = await topicOf(harness, 't')
      const task = await log.openTask({ group: `${topicPrefix}g`, topic, partition: 0 })
      const waiting = log.fetch({ topic, partition: 1, offset: 0, waitMs: LONG })
      await task.commit({ outputs: [record(topic, 1, 'out')], state: [], position: 0 })
      expect((await waiting).records.map(({ value }) => textOf(value))).toEqual(['out'])
    })

    it('ends empty when its time is over', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      const result = await harness.log.fetch({ topic, partition: 0, offset: 0, waitMs: 30 })
      expect(result).toEqual({ records: [], nextOffset: 0, endOffset: 0 })
    })

    it('ends empty when its signal aborts, before or while it waits', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      const controller = new AbortController()
      const request = { topic, partition: 0, offset: 0, waitMs: LONG, signal: controller.signal }
      const waiting = harness.log.fetch(request)
      controller.abort()
      expect((await waiting).records).toEqual([])
      expect((await harness.log.fetch(request)).records).toEqual([])
    })

    it('ends when the log is closed', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      const waiting = harness.log.fetch({ topic, partition: 0, offset: 0, waitMs: LONG })
      await harness.log.close()
      expect((await waiting).records).toEqual([])
    })
  })
}
