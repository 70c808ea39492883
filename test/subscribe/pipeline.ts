import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromNext, systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { createProcessor, PROCESSOR_GROUP } from '@tidemark/diff-processor'
import { type EventLog, type LogRecord, readRange } from '@tidemark/log'
import { openKafka, openRegistry } from '@tidemark/log-kafka'
import { stateTopics, topicPlans } from '@tidemark/model'
import { createMetrics, silentLogger } from '@tidemark/telemetry'

export const PARTITIONS = 3

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** tidemark on a cluster: all its topics, its schemas, and a running processor. */
export interface Pipeline {
  readonly log: EventLog
  readonly codec: OpenCodec
  stop(): Promise<void>
}

export interface PipelineOptions {
  readonly brokers: readonly string[]
  readonly registryUrl: string
  /** Outputs of one transaction at most: small numbers make many transactions. */
  readonly outputsMax: number
}

export async function startPipeline({ brokers, registryUrl, outputsMax }: PipelineOptions): Promise<Pipeline> {
  const stateDir = mkdtempSync(join(tmpdir(), 'tidemark-subscribe-'))
  const { log, close } = await openKafka({
    brokers,
    clientId: 'test',
    stateDir,
    clock: systemClock,
    stateTopics: ({ group }) => (group === PROCESSOR_GROUP ? stateTopics() : []),
  })
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  const codec = await openCodec(openRegistry({ url: registryUrl, clientId: 'test' }))
  const deps = {
    log,
    codec,
    clock: systemClock,
    random: fromNext(Math.random),
    logger: silentLogger,
    metrics: createMetrics(),
  }
  const processor = createProcessor(deps, {
    partitions: Array.from({ length: PARTITIONS }, (_, i) => i),
    limits: { outputsMax, bytesMax: 1024 * 1024 },
  })
  processor.start()
  return {
    log,
    codec,
    async stop() {
      await processor.stop()
      await close()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}

export interface Positioned extends LogRecord {
  readonly partition: number
}

/** All committed records of a topic, partition by partition. */
export async function readTopic(log: EventLog, topic: string): Promise<Positioned[]> {
  const found: Positioned[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { start, end } = await log.bounds(topic, partition)
    for await (const record of readRange(log, topic, partition, start, end)) found.push({ ...record, partition })
  }
  return found
}

/** Waits until a topic has this many committed records. */
export async function waitForRecords(log: EventLog, topic: string, count: number): Promise<Positioned[]> {
  for (;;) {
    const found = await readTopic(log, topic)
    if (found.length >= count) return found
    await sleep(50)
  }
}
