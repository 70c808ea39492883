import { describe, expect, it } from 'vitest'
import type { Slice, StateReader } from '../log.ts'
import {
  bytes,
  disposing,
  itWith,
  type LogCapabilities,
  type LogHarness,
  record,
  textOf,
  topicOf,
  values,
} from './harness.ts'

const slice = (position: number, more: Partial<Slice> = {}): Slice => ({ outputs: [], state: [], position, ...more })
const put = (key: string, value: string | null) => ({ key: bytes(key), value: value === null ? null : bytes(value) })
const entries = (state: StateReader, prefix = ''): string[] =>
  [...state.scan(bytes(prefix))].map(({ key, value }) => `${key}=${value}`)

export function taskCases(openHarness: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  describe('a task', () => {
    const open = disposing(openHarness)

    async function setUp() {
      const harness = await open()
      const input = await topicOf(harness, 'in')
      const output = await topicOf(harness, 'out')
      return {
        harness,
        log: harness.log,
        input,
        output,
        options: { group: `${harness.topicPrefix}g`, topic: input, partition: 1 },
      }
    }

    it('starts at position 0 with empty state', async () => {
      const { log, options } = await setUp()
      const task = await log.openTask(options)
      expect(task.position).toBe(0)
      expect(entries(task.state)).toEqual([])
      expect(task.state.get(bytes('k'))).toBeUndefined()
    })

    it('commits outputs, state and position together', async () => {
      const { log, input, output, options } = await setUp()
      const task = await log.openTask(options)
      const outputs = [record(output, 0, 'a'), record(output, 1, 'b'), record(output, 0, 'c')]
      expect(await task.commit(slice(3, { outputs, state: [put('k', 'v')] }))).toEqual([0, 0, 1])
      expect(task.position).toBe(3)
      expect(textOf(task.state.get(bytes('k')))).toBe('v')
      expect(await values(log, output, 0)).toEqual(['a', 'c'])
      expect(await log.positions(options.group, input)).toEqual(new Map([[1, 3]]))
    })

    it('goes on where it was after the log was opened again', async () => {
      const { harness, options, output } = await setUp()
      const task = await harness.log.openTask(options)
      await task.commit(slice(3, { outputs: [record(output, 0, 'a')], state: [put('k', 'v')] }))
      await task.commit(slice(5, { state: [put('k', 'w'), put('l', '')] }))
      const log = await harness.reopen()
      const again = await log.openTask(options)
      expect(again.position).toBe(5)
      expect(entries(again.state)).toEqual(['k=w', 'l='])
      expect(await values(log, output, 0)).toEqual(['a'])
    })

    it('fences the task opened before it: that one commits nothing any more', async () => {
      const { log, output, options } = await setUp()
      const old = await log.openTask(options)
      await old.commit(slice(1, { state: [put('k', 'old')] }))
      const young = await log.openTask(options)
      expect(young.position).toBe(1)
      const late = slice(2, { outputs: [record(output, 0, 'late')], state: [put('k', 'late')] })
      await expect(old.commit(late)).rejects.toMatchObject({ code: 'TASK_FENCED' })
      await young.commit(slice(2, { outputs: [record(output, 0, 'young')], state: [put('k', 'young')] }))
      await expect(old.commit(slice(3))).rejects.toMatchObject({ code: 'TASK_FENCED' })
      expect(await values(log, output, 0)).toEqual(['young'])
      expect(textOf(young.state.get(bytes('k')))).toBe('young')
      expect(young.position).toBe(2)
    })

    it('is not fenced by tasks of other groups and partitions, and does not share their state', async () => {
      const { log, input, options } = await setUp()
      const tasks = [
        await log.openTask(options),
        await log.openTask({ ...options, partition: 0 }),
        await log.openTask({ ...options, group: `${options.group}2` }),
      ]
      for (const [i, task] of tasks.entries()) await task.commit(slice(i + 1, { state: [put('k', `${i}`)] }))
      expect(tasks.map(({ state }) => entries(state))).toEqual([['k=0'], ['k=1'], ['k=2']])
      expect(await log.positions(options.group, input)).toEqual(
        new Map([
          [0, 2],
          [1, 1],
        ]),
      )
    })

    it('is dead after a failed commit; a new one goes on from its position', async () => {
      const { log, output, options } = await setUp()
      const task = await log.openTask(options)
      await task.commit(slice(1, { state: [put('k', 'kept')] }))
      const failing = {
        outputs: [record(output, 0, 'lost'), record(`${output}-missing`, 0, 'x')],
        state: [put('k', 'lost')],
      }
      await expect(task.commit(slice(2, failing))).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
      await expect(task.commit(slice(2))).rejects.toThrow()
      expect(entries(task.state)).toEqual(['k=kept'])
      const next = await log.openTask(options)
      expect(next.position).toBe(1)
      await next.commit(slice(2, { outputs: [record(output, 0, 'good')] }))
      expect(await values(log, output, 0)).toEqual(['good'])
    })

    itWith([capabilities.atomicAppend])(
      'applies none of the commits that were started after a failing one',
      async () => {
        const { log, output, options } = await setUp()
        const task = await log.openTask(options)
        const started = [
          task.commit(slice(1, { outputs: [record(output, 0, 'one')] })),
          task.commit(slice(2, { outputs: [record(`${output}-missing`, 0, 'x')] })),
          task.commit(slice(3, { outputs: [record(output, 0, 'three')] })),
        ]
        const settled = await Promise.allSettled(started)
        expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
        expect(await values(log, output, 0)).toEqual(['one'])
        expect((await log.openTask(options)).position).toBe(1)
      },
    )

    it('never moves its position back', async () => {
      const { log, input, options } = await setUp()
      const task = await log.openTask(options)
      await task.commit(slice(5))
      await task.commit(slice(5))
      await expect(task.commit(slice(4))).rejects.toThrow()
      expect(await log.positions(options.group, input)).toEqual(new Map([[1, 5]]))
    })

    it('shows in its state what was committed, never what is on its way', async () => {
      const { log, options } = await setUp()
      const task = await log.openTask(options)
      await task.commit(slice(1, { state: [put('k', 'old')] }))
      const committing = task.commit(slice(2, { state: [put('k', 'new')] }))
      expect(textOf(task.state.get(bytes('k')))).toBe('old')
      await committing
      expect(textOf(task.state.get(bytes('k')))).toBe('new')
    })

    it('commits nothing after it was closed', async () => {
      const { log, options } = await setUp()
      const task = await log.openTask(options)
      await task.close()
      await expect(task.commit(slice(1))).rejects.toThrow()
      expect((await log.openTask(options)).position).toBe(0)
    })

    it('keeps its state in key byte order, whatever the order of the writes', async () => {
      const { log, options } = await setUp()
      const task = await log.openTask(options)
      const keys = [[255, 1], [0], [], [97, 0, 98], [97], [128], [97, 0], [255], [97, 0, 98, 0]].map((key) =>
        Buffer.from(key),
      )
      await task.commit(slice(1, { state: keys.map((key) => ({ key, value: Buffer.from(key.toString('hex')) })) }))
      const sorted = [...keys].sort(Buffer.compare)
      expect([...task.state.scan(Buffer.alloc(0))].map(({ key }) => key)).toEqual(sorted)
      expect([...task.state.scan(Buffer.from([97, 0]))].map(({ value }) => value.toString())).toEqual([
        '6100',
        '610062',
        '61006200',
      ])
      expect([...task.state.scan(Buffer.from([255]))].map(({ value }) => value.toString())).toEqual(['ff', 'ff01'])
      expect(entries(task.state, 'zz')).toEqual([])
      for (const key of keys) expect(textOf(task.state.get(key))).toBe(key.toString('hex'))
    })

    it('takes the last of several writes of one key, and deletes', async () => {
      const { log, options } = await setUp()
      const task = await log.openTask(options)
      await task.commit(
        slice(1, { state: [put('b', '1'), put('a', '1'), put('b', '2'), put('c', '1'), put('c', null)] }),
      )
      expect(entries(task.state)).toEqual(['a=1', 'b=2'])
      await task.commit(slice(2, { state: [put('b', null), put('missing', null), put('a', null), put('a', '3')] }))
      expect(entries(task.state)).toEqual(['a=3'])
    })

    it('scans more entries than one portion, with copies that stay', async () => {
      const { log, options } = await setUp()
      const task = await log.openTask(options)
      const keys = Array.from({ length: 1000 }, (_, i) => `k${String(i).padStart(4, '0')}`)
      await task.commit(slice(1, { state: keys.map((key) => put(key, `${key}!`)) }))
      const scanned = [...task.state.scan(bytes('k'))]
      await task.commit(slice(2, { state: keys.map((key) => put(key, 'changed')) }))
      expect(scanned.map(({ key, value }) => `${key}${value}`)).toEqual(keys.map((key) => `${key}${key}!`))
    })
  })
}
