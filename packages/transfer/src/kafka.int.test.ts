import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { seededRandom, systemClock } from '@tidemark/base'
import { type KafkaLog, openKafka } from '@tidemark/log-kafka'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { findKafka } from '../../../test/harness/kafka.ts'
import { readAll } from '../../log-kafka/src/testing/logs.ts'
import { importLog } from './import.ts'
import { chunked, contentOf, Directories, exported, NEVER, record, seed } from './testing/scene.ts'

const { kafka, skipped } = await findKafka()
const directories = new Directories()
const logs: KafkaLog[] = []
afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close()))
  await directories.dispose()
})
afterAll(() => kafka?.stop())

const topicsOf = (prefix: string) =>
  ['changes', 'emptied', 'shortened', 'snapshots'].map((topic) => `${prefix}${topic}`)

async function seeded(records: number) {
  const prefix = `x${randomUUID().slice(0, 8)}-`
  const source = await directories.open()
  await seed(source, { prefix, records })
  return { prefix, source, stream: await exported(source) }
}

async function opened(): Promise<KafkaLog> {
  const stateDir = directories.folder()
  const log = await openKafka({ brokers: kafka!.brokers, clientId: 'transfer', stateDir, clock: systemClock })
  logs.push(log)
  return log
}

async function into({ log, startAt }: KafkaLog, stream: Buffer) {
  const { registry } = await directories.open()
  return importLog(chunked(stream), { log, registry, startAt }, { signal: NEVER })
}

describe.skipIf(skipped !== undefined)(`an import into Kafka${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  it('gives every record its offset, bytes and time, and every group its position', async () => {
    const { prefix, source, stream } = await seeded(3000)
    const target = await opened()
    const report = await into(target, stream)
    expect(report.appended).toBe(report.records)
    expect(report.differences).toEqual([])
    expect(await contentOf(target.log, topicsOf(prefix))).toEqual(await contentOf(source.log, topicsOf(prefix)))
    for (const [group, topic] of [
      ['processor', 'changes'],
      ['processor', 'emptied'],
      ['reader', 'shortened'],
    ] as const) {
      const name = `${prefix}${topic}`
      expect(await target.log.positions(group, name)).toEqual(await source.log.positions(group, name))
    }
    const snapshots = `${prefix}snapshots`
    const at = async ({ log }: Pick<KafkaLog, 'log'>) => {
      const position = (await log.positions('reader', snapshots)).get(0) ?? -1
      return String((await log.fetch({ topic: snapshots, partition: 0, offset: position })).records[0]?.value)
    }
    expect(await at(target)).toBe(await at(source))
    // What was only there to move the first offset is gone for every reader.
    expect(await target.log.bounds(`${prefix}shortened`, 0)).toEqual({ start: 3000, end: 6000 })
    await expect(target.log.fetch({ topic: `${prefix}shortened`, partition: 0, offset: 0 })).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
    })
    expect(await into(target, stream)).toMatchObject({ appended: 0 })
  })

  it('that is killed again and again ends with every record once', async () => {
    const { prefix, source, stream } = await seeded(120_000)
    const file = join(directories.folder(), 'export')
    writeFileSync(file, stream)
    const folder = directories.folder()
    const random = seededRandom(4)
    let killed = 0
    for (let complete = false; !complete; ) {
      const args = [join(import.meta.dirname, 'testing/importWorker.ts'), kafka!.brokers.join(','), file, folder]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      const ended = once(child, 'exit')
      const kill = async (): Promise<void> => {
        await systemClock.sleep(random.next() * 1500)
        child.kill('SIGKILL')
      }
      const lines: string[] = []
      for await (const line of createInterface({ input: child.stdout })) {
        lines.push(line)
        if (line === 'opened' && killed < 8) void kill()
      }
      const [code] = await ended
      complete = code === 0
      if (!complete) killed++
      if (code !== null && code !== 0) throw new Error(`the import failed by itself: ${code}`)
      if (complete) expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ partitions: 7 })
    }
    expect(killed).toBeGreaterThan(2)
    const target = await opened()
    const topics = topicsOf(prefix)
    for (const topic of topics) {
      expect(await contentOf(target.log, [topic])).toEqual(await contentOf(source.log, [topic]))
    }
    expect(await target.log.positions('processor', `${prefix}changes`)).toEqual(
      new Map([
        [0, 123],
        [2, 120_000],
      ]),
    )
  }, 180_000)

  it('is refused where a topic has other partitions, other records, or records behind its end', async () => {
    const { prefix, stream } = await seeded(50)
    const target = await opened()
    const name = `${prefix}changes`
    const spec = { name, cleanup: 'delete', retentionMs: null } as const
    await target.log.ensureTopics([{ ...spec, partitions: 2 }])
    await expect(into(target, stream)).rejects.toMatchObject({ code: 'TOPIC_MISMATCH' })
    const other = await seeded(50)
    await target.log.ensureTopics([{ ...spec, name: `${other.prefix}changes`, partitions: 3 }])
    await target.log.append([record(`${other.prefix}changes`, 0, 'x', 'foreign')])
    await expect(into(target, other.stream)).rejects.toThrow('offset 0 differs')
    expect(await readAll(target.log, `${other.prefix}changes`, 0)).toHaveLength(1)
    expect(await target.log.positions('processor', `${other.prefix}changes`)).toEqual(new Map())
  })
})
