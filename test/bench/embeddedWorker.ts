/**
 * One phase of `bench -- embedded` in a process of its own, so that memory and warm-up of one phase never show in another.
 * Prints one JSON line.
 */
import { fromNext, systemClock } from '@tidemark/base'
import {
  FRAME_BYTES,
  newObservationLayout,
  newSnapshotLayout,
  type OpenCodec,
  openCodec,
  Reader,
  readObservationLayout,
  readSnapshotLayout,
} from '@tidemark/codec'
import { createProcessor, DEFAULT_LIMITS } from '@tidemark/diff-processor'
import type { AppendRecord, StateWrite } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { OBSERVED_TOPIC, snapshotsTopic, topicPlans } from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { observationBuilder } from '@tidemark/testing/observations'
import { candidateId, candidateInput } from './candidates.ts'
import { watchMemory } from './memory.ts'

const PARTITIONS = 4
const [phase, path, countText, editText] = process.argv.slice(2) as [string, string, string, string]
const count = Number(countText)
const edit = Number(editText)

const embedded = await openEmbedded({ path, clock: systemClock })
await embedded.log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
const codec = await openCodec(embedded.registry)

/** Appends one observation of every candidate. */
async function generate({ log }: Embedded, codec: OpenCodec): Promise<object> {
  const builder = observationBuilder(codec, PARTITIONS)
  const round = (await log.bounds(OBSERVED_TOPIC, 0)).end
  let batch: AppendRecord[] = []
  for (let n = 0; n < count; n++) {
    batch.push(
      builder.observe({
        model: 'candidates',
        remote: [candidateId(n)],
        atMs: 1_770_000_000_000 + round * 1_000_000 + n,
        record: candidateInput(n, edit),
      }),
    )
    if (batch.length === 2_000) {
      await log.append(batch)
      batch = []
    }
  }
  await log.append(batch)
  return {}
}

/** Runs the processor over what is not processed yet. */
async function process_({ log }: Embedded, codec: OpenCodec): Promise<object> {
  const ends = await Promise.all(Array.from({ length: PARTITIONS }, (_, p) => log.bounds(OBSERVED_TOPIC, p)))
  const starts = await log.positions('diff-processor', OBSERVED_TOPIC)
  const left = ends.map((b, p) => b.end - (starts.get(p) ?? 0)).reduce((a, b) => a + b, 0)
  const memory = watchMemory()
  const metrics = createMetrics()
  const done = Promise.withResolvers<void>()
  const at = new Map<number, number>()
  const processor = createProcessor(
    { log, codec, clock: systemClock, random: fromNext(Math.random), logger: silentLogger, metrics },
    {
      partitions: ends.map((_, p) => p),
      onCommit: (partition, position) => {
        at.set(partition, position)
        if (ends.every((b, p) => (at.get(p) ?? starts.get(p) ?? 0) >= b.end)) done.resolve()
      },
    },
  )
  const started = performance.now()
  processor.start()
  await done.promise
  const seconds = (performance.now() - started) / 1000
  const cpu = process.cpuUsage()
  await processor.stop()
  const outcomes = Object.fromEntries((await metrics.processed.get()).values.map((v) => [v.labels.outcome, v.value]))
  return {
    records: left,
    perSecond: left / seconds,
    peak: memory(),
    outcomes,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}

/** Bare log read + state get + byte compare of the last round, with the keys and state of the processor's tasks. */
async function floorRead({ log }: Embedded): Promise<object> {
  const reader = new Reader(Buffer.alloc(1))
  const [o, s] = [newObservationLayout(), newSnapshotLayout()]
  let equal = 0
  let seconds = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const task = await log.openTask({ group: 'diff-processor', topic: OBSERVED_TOPIC, partition })
    const { end } = await log.bounds(OBSERVED_TOPIC, partition)
    const from = lastRound(end)
    const started = performance.now()
    for (let offset = from; offset < end; ) {
      const { records, nextOffset } = await log.fetch({ topic: OBSERVED_TOPIC, partition, offset })
      for (const { key, value } of records) {
        const state = task.state.get(key as Buffer) as Buffer
        // Where the record begins must be known to compare it; nothing else is read.
        reader.set(value as Buffer, FRAME_BYTES, (value as Buffer).length)
        readObservationLayout(reader, o)
        reader.set(state, FRAME_BYTES, state.length)
        readSnapshotLayout(reader, s)
        if ((value as Buffer).compare(state, s.recordStart, state.length, o.recordStart) === 0) equal++
      }
      offset = nextOffset
    }
    seconds += (performance.now() - started) / 1000
    await task.close()
  }
  return { records: count, perSecond: count / seconds, equal }
}

/** Every round has the same candidates, so a partition's last round is as long as its share of each. */
function lastRound(end: number): number {
  return end - end / Number(process.env['BENCH_ROUNDS'] ?? 1)
}

/** Bare encode + log append + state put of one snapshot per candidate, in commits as large as the processor's. */
async function floorWrite({ log }: Embedded, codec: OpenCodec): Promise<object> {
  const builder = observationBuilder(codec, PARTITIONS)
  const inputs = Array.from({ length: count }, (_, n) =>
    builder.observe({
      model: 'candidates',
      remote: [candidateId(n)],
      atMs: 1,
      record: candidateInput(n, edit),
    }),
  )
  const decoded = inputs.map(({ partition, key, value }) => {
    const observed = codec.decodeObserved(value)
    if (observed.kind !== 'observation') throw new Error('not an observation')
    return { partition, key, observation: observed.observation }
  })
  const { record, snapshotHeader } = codec.models.get('candidates') as NonNullable<ReturnType<typeof codec.models.get>>
  const { Writer } = await import('@tidemark/codec')
  const writer = new Writer()
  let seconds = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const task = await log.openTask({ group: 'floor', topic: OBSERVED_TOPIC, partition })
    const mine = decoded.filter((d) => d.partition === partition)
    const started = performance.now()
    let position = task.position
    const size = DEFAULT_LIMITS.outputsMax / 2
    for (let at = 0; at < mine.length; at += size) {
      const outputs: AppendRecord[] = []
      const state: StateWrite[] = []
      for (const { key, observation } of mine.slice(at, at + size)) {
        writer.reset()
        writer.raw(snapshotHeader, 0, FRAME_BYTES)
        record.write(writer, observation.record)
        const value = writer.take()
        outputs.push({ topic: snapshotsTopic('candidates'), partition, key, value, timestampMs: 1 })
        state.push({ key, value })
      }
      position += outputs.length
      await task.commit({ outputs, state, position })
    }
    seconds += (performance.now() - started) / 1000
    await task.close()
  }
  return { records: count, perSecond: count / seconds }
}

const phases: Readonly<Record<string, (e: Embedded, c: OpenCodec) => Promise<object>>> = {
  generate,
  process: process_,
  'floor-read': floorRead,
  'floor-write': floorWrite,
}
const result = await (phases[phase] as (e: Embedded, c: OpenCodec) => Promise<object>)(embedded, codec)
await embedded.close()
process.stdout.write(`${JSON.stringify(result)}\n`)
