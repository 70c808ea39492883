import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromNext, seededRandom, systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createProcessor } from '@tidemark/diff-processor'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import {
  changesTopic,
  DEAD_LETTERS_TOPIC,
  MODEL_NAMES,
  OBSERVED_TOPIC,
  snapshotsTopic,
  topicPlans,
} from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { type Appendable, observationBuilder } from '@tidemark/testing'
import { afterAll, expect, it } from 'vitest'

const PARTITIONS = 3
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Jobs with stages and candidates with tags: created, edited, swept, deleted, seen late, and some bytes that are no observation. */
function scenario(codec: OpenCodec, steps: number): Appendable[] {
  const random = seededRandom(42)
  const b = observationBuilder(codec, PARTITIONS)
  return Array.from({ length: steps }, (_, i) => {
    const atMs = 1_000_000 + i * 100 - (random.chance(0.1) ? 5_000 : 0)
    const job = `j${random.int(8)}`
    switch (random.int(8)) {
      case 0:
        return b.childSweep({
          model: 'job-stages',
          parent: [job],
          children: [`s${random.int(4)}`, `s${random.int(4)}`],
          atMs,
        })
      case 1:
        return b.observe({ model: 'jobs', remote: [job], atMs, fields: { kind: 'deleted' } })
      case 2:
        return {
          ...b.observe({ model: 'jobs', remote: [job], atMs }),
          value: Buffer.from([0, 0, 0, 0, random.int(250), 1, 2]),
        }
      case 3:
      case 4:
        return b.observe({
          model: 'job-stages',
          remote: [job, `s${random.int(4)}`],
          atMs,
          record: { index: random.int(3) },
        })
      case 5:
        return b.observe({
          model: 'candidates',
          remote: [`c${random.int(10)}`],
          atMs,
          record: { first_name: `n${random.int(3)}`, custom_fields: { a: random.int(3) } },
        })
      default:
        return b.observe({
          model: 'jobs',
          remote: [job],
          atMs,
          record: { name: `n${random.int(3)}`, status: random.pick(['OPEN', 'CLOSED']) },
        })
    }
  })
}

async function open(): Promise<{ embedded: Embedded; codec: OpenCodec }> {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-determinism-'))
  folders.push(path)
  const embedded = await openEmbedded({ path, clock: systemClock })
  await embedded.log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  return { embedded, codec: await openCodec(embedded.registry) }
}

/** Runs the processor to the end of the observations; with `stops` it is stopped and started again after every commit. */
async function process(
  { embedded, codec }: { embedded: Embedded; codec: OpenCodec },
  fetchMax: number,
  stops: boolean,
): Promise<number> {
  const { log } = embedded
  const partitions = Array.from({ length: PARTITIONS }, (_, p) => p)
  const ends = await Promise.all(partitions.map((p) => log.bounds(OBSERVED_TOPIC, p).then((b) => b.end)))
  for (let starts = 1; ; starts++) {
    const committed = Promise.withResolvers<void>()
    const metrics = createMetrics()
    const processor = createProcessor(
      { log, codec, clock: systemClock, random: fromNext(Math.random), logger: silentLogger, metrics },
      {
        partitions,
        fetchMax,
        limits: { outputsMax: fetchMax, bytesMax: 1 << 22 },
        onCommit: () => {
          if (stops) committed.resolve()
          else void isDone().then((done) => done && committed.resolve())
        },
      },
    )
    const isDone = async (): Promise<boolean> => {
      const positions = await log.positions('diff-processor', OBSERVED_TOPIC)
      return ends.every((end, p) => (positions.get(p) ?? 0) >= end)
    }
    processor.start()
    await committed.promise
    await processor.stop()
    if (await isDone()) return starts
  }
}

/** A digest over keys, values, timestamps and offsets of everything the processor writes. */
async function digest({ embedded }: { embedded: Embedded }): Promise<{ hash: string; records: number }> {
  const hash = createHash('sha256')
  let records = 0
  for (const topic of [...MODEL_NAMES.flatMap((m) => [changesTopic(m), snapshotsTopic(m)]), DEAD_LETTERS_TOPIC]) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { end } = await embedded.log.bounds(topic, partition)
      for (let offset = 0; offset < end; ) {
        const fetched = await embedded.log.fetch({ topic, partition, offset })
        for (const r of fetched.records) {
          records++
          hash
            .update(`${topic} ${partition} ${r.offset} ${r.timestampMs} `)
            .update(r.key ?? '')
            .update(r.value ?? '')
        }
        offset = fetched.nextOffset
      }
    }
  }
  return { hash: hash.digest('hex'), records }
}

it('gives the same bytes at batch sizes 1, 7 and 1000, and with a stop at every batch boundary', {
  timeout: 120_000,
}, async () => {
  const results: { readonly run: string; readonly hash: string; readonly records: number }[] = []
  for (const [fetchMax, stops, steps] of [
    [1000, false, 400],
    [7, false, 400],
    [1, false, 400],
    [1000, true, 400],
    [7, true, 400],
    [1, true, 400],
  ] as const) {
    const opened = await open()
    await opened.embedded.log.append(scenario(opened.codec, steps))
    const starts = await process(opened, fetchMax, stops)
    if (stops && fetchMax === 1) expect(starts).toBeGreaterThan(100)
    results.push({ run: `${fetchMax} ${stops}`, ...(await digest(opened)) })
    await opened.embedded.close()
  }
  expect(results[0]?.records).toBeGreaterThan(200)
  for (const result of results) expect(result).toEqual({ ...results[0], run: result.run })
})
