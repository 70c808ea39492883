import { afterAll, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { record, Scene, values } from './testing/logs.ts'

const { kafka, skipped } = await findKafka()
afterAll(() => kafka?.stop())

describe.skipIf(skipped !== undefined)(`the first offset${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  const inScene = async (work: (scene: Scene) => Promise<void>): Promise<void> => {
    const scene = new Scene(kafka!.brokers)
    try {
      await work(scene)
    } finally {
      await scene.dispose()
    }
  }

  it('of an empty partition can be set, over more than one portion; what took the offsets is gone', () =>
    inScene(async (scene) => {
      const { log, startAt } = await scene.open()
      const topic = await scene.topic(log, 'a', 2)
      await startAt(topic, 1, 230_001)
      expect(await log.bounds(topic, 1)).toEqual({ start: 230_001, end: 230_001 })
      expect(await log.bounds(topic, 0)).toEqual({ start: 0, end: 0 })
      expect(await log.append([record(topic, null, 'first', 1)])).toEqual([230_001])
      await startAt(topic, 1, 230_001)
      expect(await values(log, topic, 1)).toEqual(['first'])
      await expect(log.fetch({ topic, partition: 1, offset: 230_000 })).rejects.toMatchObject({
        code: 'OFFSET_OUT_OF_RANGE',
      })
      expect(await log.offsetAt(topic, 1, 0)).toBe(230_001)
    }))

  it('is set by a second call when the first was interrupted', () =>
    inScene(async (scene) => {
      const { log, startAt } = await scene.open()
      const topic = await scene.topic(log, 'a')
      await log.append(Array.from({ length: 500 }, () => ({ ...record(topic, null, null), timestampMs: 0 })))
      await startAt(topic, 0, 800)
      expect(await log.bounds(topic, 0)).toEqual({ start: 800, end: 800 })
    }))

  it('is not set where records would be lost', () =>
    inScene(async (scene) => {
      const { log, startAt } = await scene.open()
      const topic = await scene.topic(log, 'a')
      await log.append([record(topic, null, 'a'), record(topic, null, 'b')])
      for (const offset of [1, 2, 3, 100]) {
        await expect(startAt(topic, 0, offset)).rejects.toMatchObject({ code: 'TOPIC_MISMATCH' })
      }
      expect(await values(log, topic)).toEqual(['a', 'b'])
    }))
})
