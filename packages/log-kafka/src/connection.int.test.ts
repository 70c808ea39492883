import { createRequire } from 'node:module'
import { systemClock } from '@tidemark/base'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { Connection } from './connection.ts'
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

  it('ask again of a topic that a broker has not heard of yet, and say so when it never does', async () => {
    const connection = new Connection({ brokers: scene.brokers, clientId: 'new', clock: systemClock })
    let asked = 0
    const heardAt = (times: number) => async (): Promise<string> => {
      if (++asked < times) throw Object.assign(new Error('no'), { type: 'UNKNOWN_TOPIC_OR_PARTITION' })
      return 'known'
    }
    try {
      expect(await connection.onAnyBroker('Asking', heardAt(4))).toBe('known')
      const never = connection.onAnyBroker('Asking', heardAt(Number.POSITIVE_INFINITY))
      await expect(never).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
    } finally {
      await connection.close()
    }
  })

  it('are opened anew when kafkajs waits for what never comes', async () => {
    const { log } = await scene.open()
    const topic = await scene.topic(log, 'hung')
    const require = createRequire(import.meta.url)
    const { prototype } = require('kafkajs/src/network/connection') as { prototype: { connect(): Promise<unknown> } }
    const { connect } = prototype
    let hung = 0
    prototype.connect = function () {
      return ++hung <= 2 ? new Promise(() => undefined) : connect.call(this)
    }
    const said: string[] = []
    const warn = (_: object, message: string) => void said.push(message)
    const logger = { debug: () => undefined, info: () => undefined, warn, error: warn }
    const { brokers } = scene
    const connection = new Connection({ brokers, clientId: 'hung', clock: systemClock, callTimeoutMs: 200, logger })
    try {
      const asked = Promise.all([connection.partitionsOf(topic), connection.clusterId()])
      expect((await asked)[0]).toHaveLength(1)
      expect(hung).toBeGreaterThan(2)
      expect(said.filter((message) => message.includes('does not end'))).toHaveLength(2)
    } finally {
      prototype.connect = connect
      await connection.close()
    }
  })
})
