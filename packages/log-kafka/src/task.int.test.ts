import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { Partitioners } from 'kafkajs'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { openKafka } from './kafka.ts'
import { newClient } from './kafkajs.ts'
import { LocalState } from './localState.ts'
import { bytes, entriesOf, readAll, record, Scene, stateSlice, values } from './testing/logs.ts'

const { kafka, skipped } = await findKafka()
afterAll(() => kafka?.stop())

describe.skipIf(skipped !== undefined)(`a task on Kafka${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  let scene: Scene
  beforeEach(() => {
    scene = new Scene(kafka!.brokers)
  })
  afterEach(() => scene.dispose())

  async function setUp() {
    const stateDir = scene.folder()
    const stateTopics = () => [`${scene.prefix}state`]
    const kafkaLog = await scene.open({ stateDir, stateTopics })
    const input = await scene.topic(kafkaLog.log, 'in')
    const output = await scene.topic(kafkaLog.log, 'out')
    const state = await scene.topic(kafkaLog.log, 'state', 1, 'compact')
    const options = { group: `${scene.prefix}g`, topic: input, partition: 0 }
    return { kafkaLog, log: kafkaLog.log, stateDir, stateTopics, input, output, state, options }
  }

  it('restores its state from the topic when there is none, tombstones included', async () => {
    const { kafkaLog, log, stateDir, stateTopics, state, options } = await setUp()
    const task = await log.openTask(options)
    await task.commit(stateSlice(state, 3, { a: '1', b: '1' }))
    await task.commit(stateSlice(state, 7, { a: '2', b: null, c: '1' }))
    await kafkaLog.close()
    rmSync(stateDir, { recursive: true })
    const again = await (await scene.open({ stateDir, stateTopics })).log.openTask(options)
    expect(again.position).toBe(7)
    expect(entriesOf(again.state)).toEqual(['a=2', 'c=1'])
    expect(scene.said).toContain('info state rebuilt')
  })

  it('brings state that is behind up to date with the records since, and leaves state that is current alone', async () => {
    const { kafkaLog, log, stateDir, stateTopics, state, options } = await setUp()
    await (await log.openTask(options)).commit(stateSlice(state, 3, { a: '1', b: '1' }))
    await kafkaLog.close()
    const old = scene.folder(stateDir)
    const second = await scene.open({ stateDir, stateTopics })
    await (await second.log.openTask(options)).commit(stateSlice(state, 5, { a: null, c: '2' }))
    expect(scene.said.filter((line) => line.startsWith('info state'))).toEqual([])
    await second.close()
    const third = await (await scene.open({ stateDir: old, stateTopics })).log.openTask(options)
    expect(third.position).toBe(5)
    expect(entriesOf(third.state)).toEqual(['b=1', 'c=2'])
    expect(scene.said).toContain('info state caught up')
  })

  it('builds state anew that is ahead of the log, half restored, of another cluster, or too old', async () => {
    const { kafkaLog, log, stateDir, stateTopics, state, options } = await setUp()
    await (await log.openTask(options)).commit(stateSlice(state, 3, { a: '1' }))
    await kafkaLog.close()
    const path = join(stateDir, 'tasks', encodeURIComponent(options.group), `${options.topic}-0`)
    for (const wrong of [
      { position: 9 },
      { clusterId: 'another' },
      { position: 2, writtenAtMs: 1 },
      { position: 2, restored: { [state]: 999 } },
    ]) {
      const local = LocalState.open(path)
      await local.apply([{ key: bytes('ghost'), value: bytes('x') }], { ...local.mark, ...wrong })
      await local.close()
      scene.said.length = 0
      const opened = await scene.open({ stateDir, stateTopics })
      const task = await opened.log.openTask(options)
      expect([wrong, task.position, entriesOf(task.state)]).toEqual([wrong, 3, ['a=1']])
      expect(scene.said).toContain('info state rebuilt')
      await opened.close()
    }
  })

  it('refuses to guess when its state is behind and no topics are configured to restore it', async () => {
    const { kafkaLog, log, stateDir, input, options } = await setUp()
    const own = { ...options, group: `${options.group}2` }
    await kafkaLog.close()
    const first = await scene.open({ stateDir })
    await (await first.log.openTask(own)).commit({
      outputs: [],
      state: [{ key: bytes('a'), value: bytes('1') }],
      position: 4,
    })
    await first.log.commitPositions(own.group, input, new Map([[0, 6]]))
    await first.close()
    const second = await scene.open({ stateDir })
    await expect(second.log.openTask(own)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_CORRUPT' })
    expect(log).toBeDefined()
  })

  it('goes on from the position kept with its state when the brokers have forgotten the group', async () => {
    const { kafkaLog, log, stateDir, stateTopics, state, options } = await setUp()
    await (await log.openTask(options)).commit(stateSlice(state, 3, { a: '1' }))
    await kafkaLog.close()
    const admin = newClient({ brokers: scene.brokers, clientId: 'test' }).admin()
    await admin.connect()
    await admin.deleteGroups([options.group])
    await admin.disconnect()
    const task = await (await scene.open({ stateDir, stateTopics })).log.openTask(options)
    expect(task.position).toBe(3)
    expect(scene.said.some((line) => line.startsWith('warn the brokers have forgotten'))).toBe(true)
  })

  it('of a process that was replaced commits nothing any more, and the new one knows where to go on', async () => {
    const { log, output, state, options, stateTopics } = await setUp()
    const zombie = await log.openTask(options)
    await zombie.commit(stateSlice(state, 2, { a: 'old' }))
    const other = (await scene.open({ stateTopics })).log
    const owner = await other.openTask(options)
    expect([owner.position, entriesOf(owner.state)]).toEqual([2, ['a=old']])
    const late = { outputs: [record(output, 'k', 'late')], state: [], position: 9 }
    await expect(zombie.commit(late)).rejects.toMatchObject({ code: 'TASK_FENCED' })
    await owner.commit({ outputs: [record(output, 'k', 'good')], state: [], position: 3 })
    expect(await values(other, output)).toEqual(['good'])
    expect(await other.positions(options.group, options.topic)).toEqual(new Map([[0, 3]]))
  })

  it('ends the transaction that a dead owner left open; its records are never seen, those after it are', async () => {
    const { log, output, options } = await setUp()
    const producer = newClient({ brokers: scene.brokers, clientId: 'dead' }).producer({
      transactionalId: `${options.group}.${options.topic}.0`,
      createPartitioner: Partitioners.DefaultPartitioner,
      maxInFlightRequests: 1,
    })
    await producer.connect()
    const abandoned = await producer.transaction()
    await abandoned.send({ topic: output, messages: [{ partition: 0, key: 'k', value: 'abandoned' }] })
    await producer.disconnect()
    await log.append([record(output, 'k', 'behind it')])
    // Until somebody ends it, nothing behind it is stable.
    expect(await values(log, output)).toEqual([])
    const waiting = log.fetch({ topic: output, partition: 0, offset: 0, waitMs: 20_000 })
    const task = await log.openTask(options)
    expect(task.position).toBe(0)
    expect((await waiting).records.map(({ value }) => String(value))).toEqual(['behind it'])
    expect((await readAll(log, output)).map(({ offset }) => offset)).toEqual([1])
  })

  it('takes slices far above the limits of one request, over several topics and partitions, in order', async () => {
    const { log, options, state } = await setUp()
    const wide = await scene.topic(log, 'wide', 3)
    const task = await log.openTask(options)
    const payload = 'x'.repeat(3000)
    const outputs = Array.from({ length: 4000 }, (_, i) =>
      i % 4 === 3 ? record(state, `k${i}`, `${i} ${payload}`) : record(wide, null, `${i} ${payload}`, i % 4),
    )
    const offsets = await task.commit({ outputs, state: [], position: 1 })
    for (const [topic, partition] of [
      [wide, 0],
      [wide, 1],
      [wide, 2],
      [state, 0],
    ] as const) {
      const found = (await readAll(log, topic, partition)).map(({ offset, value }) => `${offset} ${value}`)
      const sent = outputs.map((one, i) => ({ ...one, offset: offsets[i] }))
      expect(found).toEqual(
        sent
          .filter((one) => one.topic === topic && one.partition === partition)
          .map((one) => `${one.offset} ${one.value}`),
      )
    }
    const huge = { outputs: [record(wide, null, 'x'.repeat(4_500_000))], state: [], position: 2 }
    await expect(task.commit(huge)).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
  })

  it('commits hundreds of slices one after another, each exactly once', async () => {
    const { log, output, options } = await setUp()
    const task = await log.openTask(options)
    for (let i = 0; i < 300; i++) {
      await task.commit({
        outputs: [record(output, 'k', `${i}`)],
        state: [{ key: bytes('n'), value: bytes(`${i}`) }],
        position: i + 1,
      })
    }
    expect(await values(log, output)).toEqual(Array.from({ length: 300 }, (_, i) => `${i}`))
    expect(entriesOf(task.state)).toEqual(['n=299'])
  })
})

describe.skipIf(skipped !== undefined)('partitions shared by two logs', () => {
  it('are dealt evenly, given up before they are dealt anew, and all taken over when the other leaves', async () => {
    const scene = new Scene(kafka!.brokers)
    try {
      const [a, b] = [await scene.open(), await scene.open()]
      const topic = await scene.topic(a.log, 'in', 5)
      const group = `${scene.prefix}g`
      const owners = new Map<number, string>()
      const seen: string[] = []
      const own = (name: string) => async (partitions: readonly number[], signal: AbortSignal) => {
        for (const partition of partitions) {
          if (owners.has(partition)) seen.push(`${partition} is still owned by ${owners.get(partition)}`)
          owners.set(partition, name)
        }
        await systemClock.sleep(60_000, signal)
        for (const partition of partitions) owners.delete(partition)
      }
      const counts = (): string => [...owners.values()].sort().join('')
      const reach = async (wanted: string[]): Promise<void> => {
        for (let i = 0; i < 300 && !wanted.includes(counts()); i++) await systemClock.sleep(50)
        expect(wanted).toContain(counts())
      }
      const [stopA, stopB] = [new AbortController(), new AbortController()]
      const runA = a.log.assignments({ group, topic, signal: stopA.signal, onAssigned: own('a') })
      await reach(['aaaaa'])
      const runB = b.log.assignments({ group, topic, signal: stopB.signal, onAssigned: own('b') })
      await reach(['aaabb', 'aabbb'])
      stopA.abort()
      await runA
      await reach(['bbbbb'])
      stopB.abort()
      await runB
      expect([counts(), seen]).toEqual(['', []])
    } finally {
      await scene.dispose()
    }
  })
})

it('a log without a broker says so, with the address, and that it may be tried again', async () => {
  const opening = openKafka({
    brokers: ['127.0.0.1:1'],
    clientId: 'test',
    stateDir: `/nonexistent/${randomUUID()}`,
    clock: systemClock,
    operationTimeoutMs: 300,
  })
  await expect(opening).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
    next: 'retry',
    message: expect.stringContaining('127.0.0.1:1'),
  })
})
