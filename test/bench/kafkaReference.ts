import { OBSERVED_TOPIC } from '@tidemark/model'
import { type EachBatchPayload, Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'
import type { WorkerResult } from './kafkaWorker.ts'
import { watchMemory } from './memory.ts'

/** What one output record of the processor is like, on the average. */
export interface OutputShape {
  readonly topic: string
  /** Records per observation; a share below one is spread evenly. */
  readonly perInput: number
  readonly valueBytes: number
}

export interface ReferenceOptions {
  readonly brokers: readonly string[]
  readonly group: string
  /** Reads from here, by partition, up to `ends`. */
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  /** Written for each observation, in one transaction with the position for each fetched batch. None: only reads. */
  readonly outputs: readonly OutputShape[]
}

const CONCURRENT_WAIT_MS = 5

/**
 * kafkajs without anything of ours: a consumer that reads the observations in batches and, when there are outputs, transactional producers
 * that write records of the same number and bytes as the processor's. It is given what makes it fast: a producer per partition, position
 * first, all partitions at once. The time runs from when the group is joined to the last batch.
 */
export async function runReference(options: ReferenceOptions): Promise<WorkerResult> {
  const { brokers, group, starts, ends, outputs } = options
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'reference', logLevel: logLevel.NOTHING })
  const producers = outputs.length === 0 ? [] : await openProducers(kafka, group, ends.length)
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 60_000 })
  const memory = watchMemory()
  const left = new Set(ends.keys())
  const done = Promise.withResolvers<void>()
  let startedMs = 0
  let count = 0
  await consumer.connect()
  await consumer.subscribe({ topics: [OBSERVED_TOPIC], fromBeginning: true })
  consumer.on('consumer.group_join', () => {
    for (const [partition, offset] of starts.entries()) {
      consumer.seek({ topic: OBSERVED_TOPIC, partition, offset: String(offset) })
    }
    startedMs = Date.now()
  })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: ends.length,
    async eachBatch({ batch, resolveOffset, heartbeat }: EachBatchPayload) {
      const { partition, messages } = batch
      if (Number(batch.firstOffset()) < (starts[partition] as number)) return
      const producer = producers[partition]
      if (producer) await passOn(producer, messages, partition, options)
      count += messages.length
      resolveOffset(batch.lastOffset())
      await heartbeat()
      if (Number(batch.lastOffset()) + 1 >= (ends[partition] as number)) left.delete(partition)
      if (left.size === 0) done.resolve()
    },
  })
  await done.promise
  const endedMs = Date.now()
  const cpu = process.cpuUsage()
  const peak = memory()
  await Promise.all([consumer.disconnect(), ...producers.map((producer) => producer.disconnect())])
  return {
    event: 'result',
    startedMs,
    peak,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    outcomes: { read: count },
    endedMs,
  }
}

function openProducers(kafka: Kafka, group: string, partitions: number): Promise<Producer[]> {
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const producer = kafka.producer({
        transactionalId: `${group}.${partition}`,
        maxInFlightRequests: 1,
        createPartitioner: Partitioners.DefaultPartitioner,
      })
      await producer.connect()
      // The first transaction is what makes it known to the coordinator.
      await (await producer.transaction()).abort()
      return producer
    }),
  )
}

async function passOn(
  producer: Producer,
  messages: EachBatchPayload['batch']['messages'],
  partition: number,
  { group, outputs }: ReferenceOptions,
): Promise<void> {
  const transaction = await producer.transaction()
  const offset = String(Number(messages.at(-1)?.offset) + 1)
  const topics = [{ topic: OBSERVED_TOPIC, partitions: [{ partition, offset }] }]
  for (;;) {
    try {
      await transaction.sendOffsets({ consumerGroupId: group, topics })
      break
    } catch (error) {
      if ((error as { type?: string }).type !== 'CONCURRENT_TRANSACTIONS') throw error
      await new Promise((resolve) => setTimeout(resolve, CONCURRENT_WAIT_MS))
    }
  }
  const topicMessages = outputs.map(({ topic, perInput, valueBytes }) => {
    const value = Buffer.alloc(valueBytes, 0x2e)
    const chosen = messages.filter((_, i) => Math.floor((i + 1) * perInput) > Math.floor(i * perInput))
    return { topic, messages: chosen.map(({ key, timestamp }) => ({ key, value, partition, timestamp })) }
  })
  const written = topicMessages.filter((one) => one.messages.length > 0)
  if (written.length > 0) await transaction.sendBatch({ topicMessages: written })
  await transaction.commit()
}
