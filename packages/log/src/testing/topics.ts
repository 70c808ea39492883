import { describe, expect, it } from 'vitest'
import type { TopicSpec } from '../log.ts'
import { disposing, type LogCapabilities, type LogHarness, numbered, record, topicOf } from './harness.ts'

export function topicCases(openHarness: () => Promise<LogHarness>, _capabilities: LogCapabilities): void {
  describe('topics', () => {
    const open = disposing(openHarness)
    const spec = (name: string, more: Partial<TopicSpec> = {}): TopicSpec => ({
      name,
      partitions: 2,
      cleanup: 'delete',
      retentionMs: null,
      ...more,
    })

    it('are created once, and listed in name order with their settings', async () => {
      const { log, topicPrefix: p } = await open()
      const specs = [
        spec(`${p}b`, { cleanup: 'compact' }),
        spec(`${p}a`, { partitions: 3, retentionMs: 86_400_000 }),
        spec(`${p}B-1.x_y`),
      ]
      expect(await log.ensureTopics(specs)).toEqual([])
      expect(await log.ensureTopics(specs)).toEqual([])
      const listed = (await log.listTopics()).filter(({ name }) => name.startsWith(p))
      expect(listed).toEqual([specs[2], specs[1], specs[0]])
    })

    it('that exist with other settings are reported and left as they are', async () => {
      const { log, topicPrefix: p } = await open()
      await log.ensureTopics([spec(`${p}t`, { retentionMs: 86_400_000 })])
      expect(await log.ensureTopics([spec(`${p}t`, { cleanup: 'compact' }), spec(`${p}new`)])).toEqual([
        { topic: `${p}t`, setting: 'cleanup', expected: 'compact', found: 'delete' },
        { topic: `${p}t`, setting: 'retentionMs', expected: 'null', found: '86400000' },
      ])
      const listed = (await log.listTopics()).filter(({ name }) => name.startsWith(p))
      expect(listed).toEqual([spec(`${p}new`), spec(`${p}t`, { retentionMs: 86_400_000 })])
    })

    it('with another partition count throw TOPIC_MISMATCH', async () => {
      const { log, topicPrefix: p } = await open()
      await log.ensureTopics([spec(`${p}t`)])
      await expect(log.ensureTopics([spec(`${p}t`, { partitions: 4 })])).rejects.toMatchObject({
        code: 'TOPIC_MISMATCH',
        message: expect.stringContaining(`${p}t`),
      })
      expect((await log.listTopics()).find(({ name }) => name === `${p}t`)?.partitions).toBe(2)
    })

    it('that do not exist throw TOPIC_UNKNOWN everywhere', async () => {
      const { log, topicPrefix: p } = await open()
      const topic = `${p}missing`
      const unknown = { code: 'TOPIC_UNKNOWN', message: expect.stringContaining(topic) }
      await expect(log.append([record(topic, 0, 'x')])).rejects.toMatchObject(unknown)
      await expect(log.fetch({ topic, partition: 0, offset: 0 })).rejects.toMatchObject(unknown)
      await expect(log.bounds(topic, 0)).rejects.toMatchObject(unknown)
      await expect(log.offsetAt(topic, 0, 0)).rejects.toMatchObject(unknown)
      await expect(log.openTask({ group: `${p}g`, topic, partition: 0 })).rejects.toMatchObject(unknown)
    })

    it('have only the partitions they were created with', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      for (const partition of [2, -1]) {
        const unknown = { code: 'TOPIC_UNKNOWN' }
        await expect(harness.log.append([record(topic, partition, 'x')])).rejects.toMatchObject(unknown)
        await expect(harness.log.bounds(topic, partition)).rejects.toMatchObject(unknown)
      }
    })
  })

  describe('positions', () => {
    const open = disposing(openHarness)

    it('are kept per group, topic and partition', async () => {
      const harness = await open()
      const { log, topicPrefix: p } = harness
      const a = await topicOf(harness, 'a', { partitions: 3 })
      const ab = await topicOf(harness, 'ab', { partitions: 3 })
      await log.append([0, 1, 2].flatMap((partition) => numbered(a, partition, 9)))
      expect(await log.positions(`${p}g`, a)).toEqual(new Map())
      await log.commitPositions(
        `${p}g`,
        a,
        new Map([
          [0, 5],
          [2, 7],
        ]),
      )
      await log.commitPositions(`${p}g`, a, new Map([[2, 8]]))
      await log.commitPositions(`${p}h`, a, new Map([[0, 1]]))
      expect(await log.positions(`${p}g`, a)).toEqual(
        new Map([
          [0, 5],
          [2, 8],
        ]),
      )
      expect(await log.positions(`${p}h`, a)).toEqual(new Map([[0, 1]]))
      expect(await log.positions(`${p}g`, ab)).toEqual(new Map())
    })

    it('and topics are still there after the log was opened again', async () => {
      const harness = await open()
      const { topicPrefix: p } = harness
      const topic = await topicOf(harness, 't', { cleanup: 'compact' })
      // With keys: Kafka refuses a record without one in a compacted topic.
      const key = Buffer.from('k')
      await harness.log.append(numbered(topic, 1, 3).map((record) => ({ ...record, key })))
      await harness.log.commitPositions(`${p}g`, topic, new Map([[1, 2]]))
      const log = await harness.reopen()
      expect((await log.listTopics()).filter(({ name }) => name.startsWith(p))).toEqual([compacted(topic)])
      expect(await log.positions(`${p}g`, topic)).toEqual(new Map([[1, 2]]))
    })
  })
}

const compacted = (name: string): TopicSpec => ({ name, partitions: 2, cleanup: 'compact', retentionMs: null })
