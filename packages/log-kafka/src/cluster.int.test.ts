import { classify, systemClock } from '@tidemark/base'
import type { EventLog, Task, TaskOptions } from '@tidemark/log'
import { afterAll, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { Connection } from './connection.ts'
import { readFetchAnswer } from './fetchAnswer.ts'
import { sendFetch } from './kafkajs.ts'
import { record, Scene, values } from './testing/logs.ts'

const { kafka, skipped } = await findKafka({ nodes: 3, own: true })
afterAll(() => kafka?.stop())

const PARTITIONS = 3

/** Counts in slices of one record per output partition until told to stop, as the processor would: any failure opens the task anew. */
async function count(
  log: EventLog,
  options: TaskOptions,
  output: string,
  isOver: () => boolean,
  onCommit: (position: number) => void,
): Promise<string[]> {
  const failures: string[] = []
  let task: Task | undefined
  while (!isOver()) {
    try {
      task ??= await log.openTask(options)
      const { position } = task
      const outputs = Array.from({ length: PARTITIONS }, (_, partition) =>
        record(output, 'k', `${position}`, partition),
      )
      await task.commit({ outputs, state: [], position: position + 1 })
      onCommit(task.position)
    } catch (error) {
      failures.push(classify(error).code)
      await task?.close()
      task = undefined
      await systemClock.sleep(50)
    }
  }
  await task?.close()
  return failures
}

describe.skipIf(skipped !== undefined)(`three brokers${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  it('may be killed and stopped one after another: every slice is there once, in order, on all partitions', async () => {
    const scene = new Scene(kafka!.brokers)
    try {
      const { log } = await scene.open({ transactionTimeoutMs: 15_000, requestTimeoutMs: 3000 })
      const input = await scene.topic(log, 'in')
      const output = await scene.topic(log, 'out', PARTITIONS)
      const options = { group: `${scene.prefix}g`, topic: input, partition: 0 }
      let over = false
      let counted = 0
      const counting = count(
        log,
        options,
        output,
        () => over,
        (position) => {
          counted = position
        },
      )
      /** Each fault is one that it gets over. */
      const further = async (): Promise<void> => {
        const goal = counted + 5
        for (let i = 0; i < 600 && counted < goal; i++) await systemClock.sleep(100)
        expect(counted).toBeGreaterThanOrEqual(goal)
      }
      const { local } = kafka!
      for (const node of [0, 1, 2]) {
        await further()
        await local!.kill(node)
        await further()
        await local!.restart(node)
      }
      await further()
      local!.pause(1)
      await further()
      local!.resume(1)
      await further()
      over = true
      const failures = await counting
      const { position } = await log.openTask(options)
      for (let partition = 0; partition < PARTITIONS; partition++) {
        expect(await values(log, output, partition)).toEqual(Array.from({ length: position }, (_, i) => `${i}`))
      }
      // Nobody else owns the task, and nothing of this may stop it for good.
      expect(failures.filter((code) => !['LOG_UNAVAILABLE', 'TASK_FENCED'].includes(code))).toEqual([])
      process.stderr.write(
        `  ${position} slices, ${failures.length} failed and were gone over: ${failures.join(' ')}\n`,
      )
    } finally {
      await scene.dispose()
    }
  }, 180_000)

  it('answer reads as leaders only: a follower that is behind would call offsets out of range that are not lost', async () => {
    const scene = new Scene(kafka!.brokers)
    const connection = new Connection({ brokers: kafka!.brokers, clientId: 'test', clock: systemClock })
    try {
      const { log } = await scene.open()
      const topic = await scene.topic(log, 'in')
      await log.append([record(topic, null, 'one')])
      const leader = await connection.leaderOf(topic, 0)
      const codes = new Map<string, Set<number>>()
      for (const nodeId of [1, 2, 3]) {
        const partition = { topic, partition: 0, offset: 0, bytesMax: 1000 }
        const answer = await connection.onBroker(nodeId, (broker) =>
          sendFetch(broker, [partition], { waitMs: 0, bytesMax: 1000 }),
        )
        const who = nodeId === leader.nodeId ? 'leader' : 'follower'
        const errorCode = readFetchAnswer(answer).partitions[0]?.errorCode ?? -1
        codes.set(who, (codes.get(who) ?? new Set()).add(errorCode))
      }
      expect(codes).toEqual(new Map([...codes.keys()].map((who) => [who, new Set([who === 'leader' ? 0 : 6])])))
    } finally {
      await connection.close()
      await scene.dispose()
    }
  })

  it('take appends while one of them is dead', async () => {
    const scene = new Scene(kafka!.brokers)
    try {
      const { log } = await scene.open({ requestTimeoutMs: 3000 })
      const topic = await scene.topic(log, 'in', PARTITIONS)
      await log.append([0, 1, 2].map((partition) => record(topic, null, 'before', partition)))
      await kafka!.local!.kill(0)
      for (let i = 0; i < 20; i++)
        await log.append([0, 1, 2].map((partition) => record(topic, null, `${i}`, partition)))
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const found = await values(log, topic, partition)
        expect([...new Set(found)]).toEqual(['before', ...Array.from({ length: 20 }, (_, i) => `${i}`)])
      }
      await kafka!.local!.restart(0)
    } finally {
      await scene.dispose()
    }
  }, 120_000)
})
