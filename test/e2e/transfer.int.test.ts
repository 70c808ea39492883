/** A data directory moved into Kafka by the command line: nothing is emitted again, and the pipeline goes on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockDirectory, seededRandom, systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createProcessor, PROCESSOR_GROUP } from '@tidemark/diff-processor'
import type { EventLog } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { openKafka, openRegistry } from '@tidemark/log-kafka'
import { changesTopic, OBSERVED_TOPIC, snapshotsTopic, stateTopics, topicPlans } from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { observationBuilder } from '@tidemark/testing'
import { verify } from '@tidemark/verify'
import { afterAll, describe, expect, it } from 'vitest'
import { readFrames } from '../../packages/transfer/src/frames.ts'
import { contentOf } from '../../packages/transfer/src/testing/scene.ts'
import { findKafka } from '../harness/kafka.ts'

const { kafka, skipped } = await findKafka({ own: true, registry: true })
const folder = mkdtempSync(join(tmpdir(), 'tidemark-transfer-'))
afterAll(async () => {
  await kafka?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const PARTITIONS = 2
const DATA = join(folder, 'data')
const CONFIG = join(folder, 'kafka.yaml')
const MAIN = join(import.meta.dirname, '../../packages/cli/src/main.ts')
const TOPICS = topicPlans({ partitions: PARTITIONS }).map(({ name }) => name)
const NOW = systemClock.now()

/** Runs the processor until it stands at the end of its input, or has failed for good on a partition. */
async function runProcessor(log: EventLog, codec: OpenCodec): Promise<(string | null)[]> {
  const random = seededRandom(1)
  const deps = { log, codec, clock: systemClock, random, logger: silentLogger, metrics: createMetrics() }
  const processor = createProcessor(deps, { partitions: [...Array(PARTITIONS).keys()] })
  processor.start()
  const isOver = async (): Promise<boolean> => {
    const positions = await log.positions(PROCESSOR_GROUP, OBSERVED_TOPIC)
    for (const { partition, state, error } of processor.status()) {
      const { end } = await log.bounds(OBSERVED_TOPIC, partition)
      if (error === null && (state !== 'running' || (positions.get(partition) ?? 0) < end)) return false
    }
    return processor.status().length === PARTITIONS
  }
  while (!(await isOver())) await systemClock.sleep(20)
  const errors = processor.status().map(({ error }) => error)
  await processor.stop()
  return errors
}

/** Every job, a third of them with another name. */
function jobs(codec: OpenCodec, round: number, atMs: number) {
  const b = observationBuilder(codec, PARTITIONS)
  return Array.from({ length: 120 }, (_, i) => {
    const record = { name: i % 3 === 0 ? `Job ${round}` : 'Job' }
    return b.observe({ model: 'jobs', remote: [`j${i}`], atMs: atMs + i, record })
  })
}

/** Jobs and candidates, changed, deleted and seen again; observations of last year that retention has removed; compacted snapshots. */
async function fill(source: Embedded): Promise<void> {
  const { log, registry } = source
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  const codec = await openCodec(registry)
  const b = observationBuilder(codec, PARTITIONS)
  await log.append(jobs(codec, 1, NOW - 365 * 86_400_000))
  await runProcessor(log, codec)
  await source.maintain(NOW)
  await log.append(jobs(codec, 2, NOW - 60_000))
  await log.append([
    b.observe({ model: 'job-stages', remote: ['j1', 's1'], atMs: NOW - 50_000, record: { index: 1 } }),
    b.childSweep({ model: 'job-stages', parent: ['j1'], children: [], atMs: NOW - 40_000 }),
    ...[1, 2, 3].map((n) =>
      b.observe({
        model: 'candidates',
        remote: ['c'],
        atMs: NOW - 30_000 + n * 1000,
        record: { first_name: `Ada ${n}` },
      }),
    ),
  ])
  await runProcessor(log, codec)
  await source.maintain(NOW)
}

async function shell(command: string): Promise<{ readonly code: number; readonly stderr: string }> {
  const child = spawn('/bin/bash', ['-c', `set -o pipefail; ${command}`], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (text) => {
    stderr += text
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, stderr }
}

const tidemark = (args: string): string => `"${process.execPath}" "${MAIN}" ${args}`

async function onKafka<T>(work: (log: EventLog, codec: OpenCodec) => Promise<T>): Promise<T> {
  const { log, close } = await openKafka({
    brokers: kafka!.brokers,
    clientId: 'test',
    // One folder for all: state that was restored too early must not be trusted later.
    stateDir: join(folder, 'state'),
    clock: systemClock,
    stateTopics,
  })
  try {
    return await work(log, await openCodec(openRegistry({ url: kafka!.registryUrl ?? '', clientId: 'test' })))
  } finally {
    await close()
  }
}

/** Where a partition begins in an export. */
async function beginOf(file: string, topic: string, partition: number): Promise<number> {
  let at = 8
  for await (const { payload } of readFrames(createReadStream(file))) {
    if (payload.toString('latin1') === JSON.stringify({ topic, partition })) return at
    at += payload.length + 13
  }
  throw new Error(`${topic}/${partition} is not in ${file}`)
}

const ends = (log: EventLog) =>
  Promise.all(TOPICS.flatMap((topic) => [...Array(PARTITIONS).keys()].map((partition) => log.bounds(topic, partition))))

describe.skipIf(skipped !== undefined)(`tidemark export | tidemark import${skipped ? ` (${skipped})` : ''}`, () => {
  it('moves a data directory into Kafka, and the processor goes on without emitting anything again', async () => {
    const { brokers, registryUrl } = kafka!
    writeFileSync(
      CONFIG,
      `mode: kafka\npostgres: postgres://nobody@127.0.0.1:1/none\nkafka:\n  brokers: [${brokers.map((one) => `"${one}"`).join()}]\n  registry: ${registryUrl}\n`,
    )
    const source = await openEmbedded({ path: join(DATA, 'log'), clock: systemClock, minDirtyRatio: 0 })
    await fill(source)
    const expected = await contentOf(source.log, TOPICS)
    expect((await source.log.bounds(OBSERVED_TOPIC, 0)).start).toBeGreaterThan(0)
    await source.close()

    // A directory in use is not exported.
    const lock = lockDirectory(DATA)
    const refused = await shell(tidemark(`export --data "${DATA}" --output "${folder}/refused"`))
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('DATA_DIRECTORY_LOCKED') })
    lock.release()

    // Half of it: the import says so, and a processor that is started nevertheless stops without emitting anything.
    const file = join(folder, 'export')
    expect((await shell(tidemark(`export --data "${DATA}" --output "${file}"`))).code).toBe(0)
    truncateSync(file, await beginOf(file, snapshotsTopic('jobs'), 1))
    const half = await shell(tidemark(`import --config "${CONFIG}" --input "${file}"`))
    expect(half).toMatchObject({ code: 1, stderr: expect.stringContaining('EXPORT_INVALID') })
    await onKafka(async (log, codec) => {
      const before = await ends(log)
      const errors = await runProcessor(log, codec)
      for (const error of errors) expect(error).toContain('outside the retained range')
      expect(await ends(log)).toEqual(before)
    })

    // The pipe of the documentation, over what is there.
    const whole = await shell(`${tidemark(`export --data "${DATA}"`)} | ${tidemark(`import --config "${CONFIG}"`)}`)
    expect(whole.stderr).toContain('were there and are equal')
    expect(whole.code).toBe(0)

    await onKafka(async (log, codec) => {
      expect(await contentOf(log, TOPICS)).toEqual(expected)
      const before = await ends(log)
      expect(await runProcessor(log, codec)).toEqual([null, null])
      expect(await ends(log)).toEqual(before)
      const options = { partitions: PARTITIONS, signal: new AbortController().signal }
      expect(await verify({ log, codec }, options)).toMatchObject({ ok: true, problems: [] })

      const b = observationBuilder(codec, PARTITIONS)
      const observation = b.observe({ model: 'candidates', remote: ['c'], atMs: NOW, record: { first_name: 'Ada 4' } })
      // Every job again: state that was restored too early does not know all of them.
      await log.append(jobs(codec, 3, NOW))
      const [offset] = await log.append([observation])
      await runProcessor(log, codec)
      const topic = changesTopic('candidates')
      const { partition } = observation
      const { records } = await log.fetch({ topic, partition, offset: (await log.bounds(topic, partition)).start })
      const changes = records.map(({ value }) => codec.decodeChange('candidates', value as Buffer))
      expect(changes.map(({ version }) => version)).toEqual([1, 2, 3, 4])
      const names = changes.map(({ before, after }) => [before?.first_name, after?.first_name])
      expect(names.at(-1)).toEqual(['Ada 3', 'Ada 4'])
      expect(changes.at(-1)?.event_id).toContain(String(offset))
      expect(await verify({ log, codec }, options)).toMatchObject({ ok: true, problems: [] })
    })
  }, 240_000)
})
