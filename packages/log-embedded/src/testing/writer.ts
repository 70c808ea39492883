/**
 * A process to be killed: commits slices and appends to a log without end, and tells what was acknowledged, line by line:
 * `commit <position>` and `append <number>`. Arguments: directory.
 */
import { writeSync } from 'node:fs'
import { systemClock } from '@tidemark/base'
import { openEmbedded } from '../index.ts'

export const OUTPUTS = 40
export const STATE_KEYS = 50

const topic = (name: string) => ({ name, partitions: 1, cleanup: 'delete' as const, retentionMs: null })
const say = (line: string): void => {
  writeSync(1, `${line}\n`)
}

async function main(path: string): Promise<void> {
  const { log } = await openEmbedded({ path, clock: systemClock })
  await log.ensureTopics(['in', 'one', 'two', 'appended'].map(topic))
  const task = await log.openTask({ group: 'g', topic: 'in', partition: 0 })
  const { end } = await log.bounds('appended', 0)
  say('ready')
  await Promise.all([
    (async () => {
      for (let position = task.position + 1; ; position++) {
        const outputs = Array.from({ length: OUTPUTS }, (_, i) => ({
          topic: i % 2 === 0 ? 'one' : 'two',
          partition: 0,
          key: null,
          value: Buffer.from(`${position} ${i} ${'x'.repeat(200)}`),
          timestampMs: position,
        }))
        const state = Array.from({ length: STATE_KEYS }, (_, i) => ({
          key: Buffer.from(`k${i}`),
          value: Buffer.from(`${position}`),
        }))
        await task.commit({ outputs, state, position })
        say(`commit ${position}`)
      }
    })(),
    (async () => {
      // Three records per call, which must stay together.
      for (let number = end / 3; ; number++) {
        const records = [0, 1, 2].map((i) => ({
          topic: 'appended',
          partition: 0,
          key: null,
          value: Buffer.from(`${number} ${i}`),
          timestampMs: number,
        }))
        await log.append(records)
        say(`append ${number}`)
      }
    })(),
  ])
}

if (process.argv[2] !== undefined) await main(process.argv[2])
