import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Random, systemClock } from '@tidemark/base'
import { type OpenCodec, openCodec } from '@tidemark/codec'
import { PROCESSOR_GROUP } from '@tidemark/diff-processor'
import type { EventLog } from '@tidemark/log'
import { type KafkaLogger, openKafka } from '@tidemark/log-kafka'
import { OBSERVED_TOPIC, topicPlans } from '@tidemark/model'
import { memoryRegistry } from '@tidemark/testing'
import { type CheckResult, checkExactlyOnce } from '../crash/checker.ts'
import type { ProxiedKafka } from './cluster.ts'
import { observations } from './load.ts'

export const PARTITIONS = 3
/** Small, so that there are many transactions. */
export const SLICE_RECORDS = 60
export const LIMITS = { outputsMax: 40, bytesMax: 1 << 20 } as const
const BATCH = 60
/** How far the load runs ahead of the processor. */
const LAG_MAX = 1500
const PACE_MS = 20

/** Every process makes the same ids: schemas are registered in one order. */
export const testCodec = (): Promise<OpenCodec> => openCodec(memoryRegistry())

export { stateTopics } from '@tidemark/model'

/** Small requests and short waits: what is cut is noticed soon. */
export const TIMEOUTS = { requestTimeoutMs: 5000, connectionTimeoutMs: 2000 } as const

export const QUIET: KafkaLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

/** A Kafka with tidemark's topics, a load, and the checker; all of it past the proxy. Runs may follow each other on it. */
export interface Stage {
  readonly kafka: ProxiedKafka
  readonly log: EventLog
  readonly codec: OpenCodec
  folder(): string
  /** Appends until told to stop, and never far ahead of the processor. Resolves when the last append is acknowledged. */
  load(random: Random, until: () => boolean): Promise<void>
  /** Resolves when the processor has committed all there is; throws when it does not come to that within `withinMs`. */
  settled(withinMs: number): Promise<void>
  check(): Promise<CheckResult>
  dispose(): Promise<void>
}

export async function setStage(kafka: ProxiedKafka): Promise<Stage> {
  const folders: string[] = []
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'tidemark-faults-'))
    folders.push(path)
    return path
  }
  const opened = await openKafka({
    brokers: kafka.brokers,
    clientId: `stage-${randomUUID().slice(0, 8)}`,
    stateDir: folder(),
    clock: systemClock,
    // Three brokers on two cores take their time to create all topics.
    operationTimeoutMs: 120_000,
  })
  const { log } = opened
  await log.ensureTopics(topicPlans({ partitions: PARTITIONS }))
  const codec = await testCodec()
  const partitions = Array.from({ length: PARTITIONS }, (_, p) => p)
  const lag = async (): Promise<number> => {
    const committed = await log.positions(PROCESSOR_GROUP, OBSERVED_TOPIC)
    const ends = await Promise.all(partitions.map((p) => log.bounds(OBSERVED_TOPIC, p)))
    return ends.reduce((sum, { end }, p) => sum + end - (committed.get(p) ?? 0), 0)
  }
  let source: ReturnType<typeof observations> | undefined
  return {
    kafka,
    log,
    codec,
    folder,
    async load(random, until) {
      const more = source ?? observations(codec, PARTITIONS, random, systemClock.now())
      source = more
      do {
        await log.append(Array.from({ length: BATCH }, () => more.next().value))
        await systemClock.sleep(PACE_MS)
        while ((await lag()) > LAG_MAX && !until()) await systemClock.sleep(PACE_MS)
      } while (!until())
    },
    async settled(withinMs) {
      const deadline = systemClock.now() + withinMs
      for (let left = await lag(); left > 0; left = await lag()) {
        if (systemClock.now() > deadline)
          throw new Error(`${left} observations are not processed after ${withinMs} ms without faults`)
        await systemClock.sleep(100)
      }
    },
    check: () => checkExactlyOnce(log, codec, PARTITIONS),
    async dispose() {
      await opened.close()
      await kafka.stop()
      for (const path of folders) rmSync(path, { recursive: true, force: true })
    },
  }
}
