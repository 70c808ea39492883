import { createDiffer } from '@tidemark/diff'
import { PROCESSOR_GROUP, processSlice } from '@tidemark/diff-processor'
import type { EventLog } from '@tidemark/log'
import { OBSERVED_TOPIC } from '@tidemark/model'
import { MemoryState } from '@tidemark/testing'
import { Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'
import type { Ended } from './cutting.ts'
import { LIMITS, PARTITIONS, SLICE_RECORDS, type Stage, stateTopics, TIMEOUTS } from './stage.ts'

const WAIT_MS = 500
const PAUSE_MS = 50

/**
 * The same slices, written with a transactional producer as kafkajs' documentation shows it: default retries, data first and the position
 * last, abort() after an error, and the slice sent again by the same producer. It is spared what could be mended from outside: a producer
 * that lets no transaction begin any more is replaced, the new one fences before the committed position is read, and nothing but the
 * slice under way is ever in doubt. What the checker finds wrong is therefore wrong by retrying in place.
 */
export async function runUsualProcessor(stage: Stage): Promise<{ stop(): Promise<Ended> }> {
  const client = new Kafka({
    brokers: [...stage.kafka.proxied],
    clientId: 'usual',
    logLevel: logLevel.NOTHING,
    requestTimeout: TIMEOUTS.requestTimeoutMs,
    connectionTimeout: TIMEOUTS.connectionTimeoutMs,
    // kafkajs' defaults, spelled out: @tidemark/log-kafka changes them for its process.
    retry: { retries: 5, initialRetryTime: 300, factor: 0.2, multiplier: 2, maxRetryTime: 30_000 },
  })
  const stopping = new AbortController()
  const journal: string[] = []
  let restarts = 0
  const workers = Array.from({ length: PARTITIONS }, (_, partition) =>
    work({
      stage,
      partition,
      signal: stopping.signal,
      note: (line) => journal.push(`partition ${partition}: ${line}`),
      onRestart: () => restarts++,
      newProducer: () =>
        client.producer({
          transactionalId: `usual.${partition}`,
          maxInFlightRequests: 1,
          idempotent: true,
          createPartitioner: Partitioners.DefaultPartitioner,
        }),
    }),
  )
  let ended: Promise<Ended> | undefined
  return {
    stop() {
      stopping.abort()
      ended ??= Promise.all(workers).then(() => ({ restarts, journal }))
      return ended
    },
  }
}

interface Work {
  readonly stage: Stage
  readonly partition: number
  readonly signal: AbortSignal
  note(line: string): void
  onRestart(): void
  newProducer(): Producer
}

type SliceResult = ReturnType<typeof processSlice>

async function work({ stage, partition, signal, note, onRestart, newProducer }: Work): Promise<void> {
  const { log, codec } = stage
  const state = await restored(log, partition)
  const differ = createDiffer(codec)
  let position = (await log.positions(PROCESSOR_GROUP, OBSERVED_TOPIC)).get(partition) ?? 0
  let producer: Producer | undefined
  /** Sent, and not known to be committed. */
  let pending: SliceResult | undefined
  const settle = (slice: SliceResult): void => {
    state.apply(slice.state)
    position = slice.position
    pending = undefined
  }
  while (!signal.aborted) {
    try {
      if (!producer) {
        producer = newProducer()
        await producer.connect()
        await (await producer.transaction()).abort()
        const committed = (await log.positions(PROCESSOR_GROUP, OBSERVED_TOPIC)).get(partition) ?? 0
        if (pending && committed >= pending.position) settle(pending)
      }
      const { records } = await log.fetch({
        topic: OBSERVED_TOPIC,
        partition,
        offset: position,
        recordsMax: SLICE_RECORDS,
        waitMs: WAIT_MS,
        signal,
      })
      if (records.length === 0) continue
      const slice = processSlice({ codec, differ, state, partition, records, limits: LIMITS })
      pending = slice
      await send(producer, partition, slice, note)
      settle(slice)
    } catch (error) {
      note(`${position}: ${describe(error)}`)
      const isDead = error instanceof Error && /Transaction state exception|ended|fenced|epoch/i.test(error.message)
      if (isDead) {
        onRestart()
        void producer?.disconnect().catch(() => undefined)
        producer = undefined
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }
  await producer?.disconnect().catch(() => undefined)
}

/** State as of the committed position: what others wrote before. */
async function restored(log: EventLog, partition: number): Promise<MemoryState> {
  const state = new MemoryState()
  for (const topic of stateTopics()) {
    const { start, end } = await log.bounds(topic, partition)
    for (let offset = start; offset < end; ) {
      const { records, nextOffset } = await log.fetch({ topic, partition, offset })
      state.apply(records.flatMap(({ key, value }) => (key === null ? [] : [{ key, value }])))
      offset = nextOffset
    }
  }
  return state
}

/** As in kafkajs' documentation on transactions. */
async function send(producer: Producer, partition: number, slice: SliceResult, note: Work['note']): Promise<void> {
  const transaction = await producer.transaction()
  try {
    const topics = Map.groupBy(slice.outputs, ({ topic }) => topic)
    if (topics.size > 0) {
      await transaction.sendBatch({
        topicMessages: [...topics].map(([topic, outputs]) => ({
          topic,
          messages: outputs.map(({ key, value, timestampMs }) => ({
            partition,
            key: key as Buffer | null,
            value: value as Buffer | null,
            timestamp: String(timestampMs),
          })),
        })),
      })
    }
    await transaction.sendOffsets({
      consumerGroupId: PROCESSOR_GROUP,
      topics: [{ topic: OBSERVED_TOPIC, partitions: [{ partition, offset: String(slice.position) }] }],
    })
    await transaction.commit()
  } catch (error) {
    note(`slice up to ${slice.position} with ${slice.outputs.length} outputs failed: ${describe(error)}; aborting`)
    await transaction.abort()
    throw error
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
