import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Embedded, openEmbedded } from './embedded.ts'

let path: string
let data: Embedded
const record = { topic: 't', partition: 0, key: null, value: Buffer.from('v'), timestampMs: 1 }

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'log-groups-'))
  data = await openEmbedded({ path, clock: systemClock })
  for (const name of ['t', 't.long']) {
    await data.log.ensureTopics([{ name, partitions: 300, cleanup: 'delete', retentionMs: null }])
  }
})
afterEach(async () => {
  await data.close()
  rmSync(path, { recursive: true, force: true })
})

it('names every group with every topic that it has positions in, once, those of tasks too', async () => {
  const { log } = data
  expect(await data.groups()).toEqual([])
  // Numbers of partitions whose bytes look like the ends of names.
  await log.commitPositions('b', 't', new Map([0, 1, 255, 256].map((partition) => [partition, 5])))
  await log.commitPositions('a', 't.long', new Map([[0, 0]]))
  await log.commitPositions('a', 't', new Map([[7, 1]]))
  const task = await log.openTask({ group: 'task', topic: 't', partition: 3 })
  await task.commit({ outputs: [], state: [], position: 1 })
  expect(await data.groups()).toEqual([
    { group: 'a', topic: 't' },
    { group: 'a', topic: 't.long' },
    { group: 'b', topic: 't' },
    { group: 'task', topic: 't' },
  ])
})

it('makes an empty partition begin at an offset, and one with records not', async () => {
  const { log } = data
  await data.startAt('t', 0, 5_000_000_000)
  expect(await log.bounds('t', 0)).toEqual({ start: 5_000_000_000, end: 5_000_000_000 })
  expect(await log.append([record])).toEqual([5_000_000_000])
  await data.startAt('t', 0, 5_000_000_000)
  await expect(data.startAt('t', 0, 5_000_000_009)).rejects.toMatchObject({ code: 'TOPIC_MISMATCH' })
  await expect(log.fetch({ topic: 't', partition: 0, offset: 0 })).rejects.toMatchObject({
    code: 'OFFSET_OUT_OF_RANGE',
  })
  const { records } = await log.fetch({ topic: 't', partition: 0, offset: 5_000_000_000 })
  expect(records.map(({ offset }) => offset)).toEqual([5_000_000_000])
  expect(await log.offsetAt('t', 0, 0)).toBe(5_000_000_000)
})
