import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { disposing, type LogHarness, topicOf } from './harness.ts'

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

export function assignmentCases(openHarness: () => Promise<LogHarness>): void {
  describe('assignments', () => {
    const open = disposing(openHarness)

    it('give a lone member every partition, until it ends its membership', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't', { partitions: 3 })
      const stopping = new AbortController()
      const events: string[] = []
      const assigned = Promise.withResolvers<void>()
      const running = harness.log.assignments({
        group: `${harness.topicPrefix}g`,
        topic,
        signal: stopping.signal,
        onAssigned: async (partitions, signal) => {
          events.push(`has ${[...partitions].sort().join(' ')}`)
          assigned.resolve()
          await untilAborted(signal)
          await sleep(20)
          events.push('let go')
        },
      })
      await assigned.promise
      stopping.abort()
      await running
      expect(events).toEqual(['has 0 1 2', 'let go'])
    })

    it('last when the work ends before them', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      const stopping = new AbortController()
      const assigned = Promise.withResolvers<void>()
      let isOver = false
      const onAssigned = async (): Promise<void> => assigned.resolve()
      const running = harness.log
        .assignments({ group: `${harness.topicPrefix}g`, topic, signal: stopping.signal, onAssigned })
        .finally(() => {
          isOver = true
        })
      await assigned.promise
      await sleep(50)
      expect(isOver).toBe(false)
      stopping.abort()
      await running
    })

    it('end with the error of the one who works on them, and want an existing topic', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      const { signal } = new AbortController()
      const onAssigned = async (): Promise<void> => {
        throw new Error('broken')
      }
      const options = { group: `${harness.topicPrefix}g`, topic, signal, onAssigned }
      await expect(harness.log.assignments(options)).rejects.toThrow('broken')
      const unknown = { ...options, topic: `${harness.topicPrefix}missing` }
      await expect(harness.log.assignments(unknown)).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
    })

    it('end when the log is closed', async () => {
      const harness = await open()
      const topic = await topicOf(harness, 't')
      const assigned = Promise.withResolvers<void>()
      const running = harness.log.assignments({
        group: `${harness.topicPrefix}g`,
        topic,
        signal: new AbortController().signal,
        onAssigned: (_, signal) => {
          assigned.resolve()
          return untilAborted(signal)
        },
      })
      await assigned.promise
      await harness.log.close()
      await running
    })
  })
}
