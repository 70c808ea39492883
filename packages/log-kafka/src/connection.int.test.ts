import { systemClock } from '@tidemark/base'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { Scene } from './testing/logs.ts'

const { kafka, skipped } = await findKafka()
afterAll(() => kafka?.stop())

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length

describe.skipIf(skipped !== undefined)(`connections${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  let scene: Scene
  beforeEach(() => {
    scene = new Scene(kafka?.brokers ?? [])
  })
  afterEach(() => scene.dispose())

  it('are shared by requests that meet, and closed with the log: the process can end', async () => {
    const before = sockets()
    const { log, close } = await scene.open()
    const topics = await Promise.all(Array.from({ length: 20 }, (_, i) => scene.topic(log, `t${i}`)))
    const other = await scene.open()
    await Promise.all(
      topics.flatMap((topic) => [
        other.log.bounds(topic, 0),
        other.log.fetch({ topic, partition: 0, offset: 0, waitMs: 30 }),
      ]),
    )
    expect(sockets() - before).toBeLessThan(20)
    await Promise.all([close(), other.close()])
    for (let i = 0; i < 100 && sockets() > before; i++) await systemClock.sleep(20)
    expect(sockets()).toBe(before)
  })
})
