import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromNext, systemClock, TidemarkError } from '@tidemark/base'
import { frameHeader, type OpenCodec, openCodec } from '@tidemark/codec'
import type { EventLog, LogRecord } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { changesTopic, DEAD_LETTERS_TOPIC, OBSERVED_TOPIC, topicPlans } from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'
import { observationBuilder } from '@tidemark/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createProcessor, type Processor, type ProcessorOptions } from './processor.ts'

const PARTITIONS = 3
let path: string
let embedded: Embedded
let codec: OpenCodec
const running: Processor[] = []

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'tidemark-processor-'))
  embedded = await openEmbedded({ path, clock: systemClock })
  await embedded.log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  codec = await openCodec(embedded.registry)
})

afterEach(async () => {
  for (const processor of running.splice(0)) await processor.stop()
  await embedded.close()
  rmSync(path, { recursive: true, force: true })
})

interface Start {
  readonly log?: EventLog
  readonly schemaById?: (id: number) => Promise<string>
  readonly options?: ProcessorOptions
}

function start({ log = embedded.log, schemaById, options }: Start = {}): Processor {
  const random = fromNext(Math.random)
  const base = { log, codec, clock: systemClock, random, logger: silentLogger, metrics: createMetrics() }
  const schemas = { schemaById: schemaById ?? ((id: number) => embedded.registry.schemaById(id)) }
  const processor = createProcessor({ ...base, schemas }, options)
  running.push(processor)
  processor.start()
  return processor
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (await isTrue()) return
    await systemClock.sleep(10)
  }
  throw new Error('it did not come to that within 10 s')
}

/** One job per number, over all partitions. */
async function observe(count: number): Promise<void> {
  const builder = observationBuilder(codec, PARTITIONS)
  const jobs = Array.from({ length: count }, (_, i) =>
    builder.observe({ model: 'jobs', remote: [`job-${i}`], atMs: 1000 + i, record: { name: `Job ${i}` } }),
  )
  await embedded.log.append(jobs)
}

async function recordsOf(topic: string): Promise<LogRecord[]> {
  const out: LogRecord[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) {
    out.push(...(await embedded.log.fetch({ topic, partition, offset: 0 })).records)
  }
  return out
}

const changes = async (): Promise<number> => (await recordsOf(changesTopic('jobs'))).length

const foreignValue = async (schema: string): Promise<Buffer> => {
  const id = await embedded.registry.register('someone-elses', schema)
  return Buffer.concat([frameHeader(id), Buffer.from([2, 65])])
}

const appendValue = (value: Buffer) =>
  embedded.log.append([{ topic: OBSERVED_TOPIC, partition: 0, key: Buffer.from('k'), value, timestampMs: 5 }])

it('works on every partition without being told which', async () => {
  const processor = start()
  await observe(40)
  await until(async () => (await changes()) === 40)
  expect(processor.status().map(({ partition, state }) => `${partition} ${state}`)).toEqual([
    '0 running',
    '1 running',
    '2 running',
  ])
})

it("sets aside a record of somebody else's schema, and goes on behind it", async () => {
  await appendValue(await foreignValue('{"type":"record","name":"Other","namespace":"else","fields":[]}'))
  await appendValue(Buffer.concat([frameHeader(987_654), Buffer.from([1])]))
  await observe(10)
  start()
  await until(async () => (await changes()) === 10)
  const letters = await recordsOf(DEAD_LETTERS_TOPIC)
  expect(letters.map(({ value }) => codec.decode('DeadLetter', value as Buffer))).toMatchObject([
    { code: 'VALUE_UNDECODABLE', topic: OBSERVED_TOPIC, partition: 0, offset: 0 },
    { code: 'VALUE_UNDECODABLE', topic: OBSERVED_TOPIC, partition: 0, offset: 1 },
  ])
})

it('stops at a schema of ours that is newer than it is, with nothing set aside', async () => {
  const newer =
    '{"type":"record","name":"JobObservation","namespace":"tidemark.ats","fields":[{"name":"x","type":"int"}]}'
  await appendValue(await foreignValue(newer))
  const processor = start()
  await until(() => processor.status()[0]?.error !== null && processor.status()[0]?.error !== undefined)
  expect(processor.status()[0]?.error).toMatch(/SCHEMA_UNKNOWN: .*newer than this processor; upgrade it/)
  expect(processor.status()[0]?.position).toBe(0)
  expect(await recordsOf(DEAD_LETTERS_TOPIC)).toEqual([])
})

it('waits for a registry that is away, and resumes when it is back', async () => {
  let isAway = true
  await appendValue(await foreignValue('{"type":"record","name":"Other","namespace":"else","fields":[]}'))
  await observe(10)
  const processor = start({
    schemaById: async (id) => {
      if (isAway) throw new TidemarkError('REGISTRY_UNAVAILABLE', 'the registry does not answer')
      return embedded.registry.schemaById(id)
    },
  })
  await until(() => processor.status().some(({ error }) => error?.startsWith('REGISTRY_UNAVAILABLE') === true))
  expect(await recordsOf(DEAD_LETTERS_TOPIC)).toEqual([])
  isAway = false
  await until(async () => (await changes()) === 10)
  expect(await recordsOf(DEAD_LETTERS_TOPIC)).toHaveLength(1)
})

it('starts a partition anew whose read never ends, without harm to the others', async () => {
  let hung = 0
  const log: EventLog = new Proxy(embedded.log, {
    get(target, name) {
      if (name !== 'fetch') return Reflect.get(target, name).bind(target)
      return (request: Parameters<EventLog['fetch']>[0]) =>
        request.partition === 1 && hung++ === 0 ? new Promise(() => undefined) : target.fetch(request)
    },
  })
  // Longer than the second that a read at the end waits for more.
  start({ log, options: { stallMs: 3000 } })
  await observe(30)
  await until(async () => (await changes()) === 30)
  expect(hung).toBeGreaterThan(1)
})

it('stops, and says so, when retention has passed it', async () => {
  await observe(30)
  const first = start()
  await until(async () => (await changes()) === 30)
  await first.stop()
  const log: EventLog = new Proxy(embedded.log, {
    get(target, name) {
      if (name !== 'fetch') return Reflect.get(target, name).bind(target)
      return async ({ partition, offset, topic }: Parameters<EventLog['fetch']>[0]) => {
        if (topic === OBSERVED_TOPIC)
          throw new TidemarkError('OFFSET_OUT_OF_RANGE', `Offset ${offset} of ${topic}/${partition} is gone.`)
      }
    },
  })
  const processor = start({ log })
  await until(() => processor.status().length === 3 && processor.status().every(({ state }) => state === 'failed'))
  expect(processor.status()[0]?.error).toMatch(/OFFSET_OUT_OF_RANGE/)
})
