/**
 * node bootstrap.ts [model] [file]: loads the present state of a model into a SQLite file and keeps it up to date; may be killed and started
 * again at any moment. Settings: KAFKA_BROKERS, REGISTRY_URL, GROUP_ID. The steps are explained in README.md.
 */
import { randomUUID } from 'node:crypto'
import type { Batch, KafkaMessage } from 'kafkajs'
import { fail, kafka, stopOnSignal, watch } from './client.ts'
import { decodeChange, decodeSnapshot } from './decode.ts'
import { openTable } from './table.ts'

const model = process.argv[2] ?? 'candidates'
const table = openTable(process.argv[3] ?? `${model}.sqlite`)
const snapshots = `ats.${model}.snapshots`
const changes = `ats.${model}.changes`

if (table.positions(changes).length === 0) await start()
await readAll(snapshots, load)
console.error(`${table.count()} ${model} loaded; going on with changes`)
await readAll(changes, apply)

/** Step 1: the ends of the changes, before anything is read. kafkajs asks as read_committed, so `high` is the last stable offset. */
async function start(): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(changes)
  const loads = await admin.fetchTopicOffsets(snapshots)
  await admin.disconnect()
  if (ends.length !== loads.length) fail(`${changes} and ${snapshots} differ in partitions`)
  table.transaction(() => {
    for (const { partition, low, high } of loads) {
      const end =
        ends.find((found) => found.partition === partition) ?? fail(`${changes} has no partition ${partition}`)
      // Without a single snapshot nothing would tell how far to read them: all changes do as well.
      const empty = low === high
      table.setPosition({ topic: snapshots, partition, next: BigInt(low), stop: empty ? BigInt(low) : null })
      table.setPosition({ topic: changes, partition, next: BigInt(empty ? end.low : end.high), stop: null })
    }
  })
}

/** What a batch does in its transaction; what that returns is done after the commit. */
type Work = () => () => void

/** Step 2: snapshots, to the end that their partition had when its first one was read. */
async function load(partition: number, messages: readonly KafkaMessage[]): Promise<Work> {
  const decoded = await Promise.all(
    messages.map(async ({ key, value }) => ({
      key: String(key),
      snapshot: value === null ? null : await decodeSnapshot(value),
    })),
  )
  return () => {
    for (const { key, snapshot } of decoded) table.load(key, snapshot)
    return () => console.error(`${snapshots} ${partition}: ${decoded.length} loaded`)
  }
}

/** Step 3: changes, from the noted ends; versions that a snapshot brought already are left out. */
async function apply(partition: number, messages: readonly KafkaMessage[]): Promise<Work> {
  const decoded = await Promise.all(
    messages.flatMap(({ key, value, offset }) =>
      value === null
        ? []
        : [decodeChange(value).then((change) => ({ key: String(key), offset: Number(offset), change }))],
    ),
  )
  return () => {
    const applied = decoded.filter(({ key, change }) => table.apply(key, change))
    return () => {
      for (const rest of applied) console.log(JSON.stringify({ topic: changes, partition, ...rest }))
    }
  }
}

/** Reads all partitions of a topic on from the table's positions; resolves when each is at its `stop`. Positions live in the table, not in the group. */
async function readAll(topic: string, handle: typeof load): Promise<void> {
  const isDone = (): boolean => table.positions(topic).every(({ next, stop }) => stop !== null && next >= stop)
  if (isDone()) return
  // A new group each time: no waiting until the broker gives up a killed predecessor.
  const consumer = kafka.consumer({
    groupId: `${process.env['GROUP_ID'] ?? 'ats-bootstrap'}-${randomUUID()}`,
    maxWaitTimeInMs: 500,
    allowAutoTopicCreation: false,
  })
  const done = Promise.withResolvers<void>()

  /** Everything up to `last` has been handled by `work`, which is done in the same transaction. */
  const advance = (
    partition: number,
    last: string,
    highWatermark: string,
    work: Work = () => () => undefined,
  ): void => {
    const afterwards = table.transaction(() => {
      const result = work()
      const { next, stop } = positionOf(topic, partition)
      const after = BigInt(last) + 1n
      table.setPosition({
        topic,
        partition,
        next: after > next ? after : next,
        // The end that counts open transactions, too; taken after step 1.
        stop: topic === snapshots ? (stop ?? BigInt(highWatermark)) : null,
      })
      return result
    })
    afterwards()
    if (isDone()) done.resolve()
  }

  consumer.on(consumer.events.GROUP_JOIN, () => {
    for (const { partition, next } of table.positions(topic)) consumer.seek({ topic, partition, offset: String(next) })
  })
  // What holds nothing but aborted records and transaction markers is never shown to eachBatch.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (payload.batchSize === 0) advance(payload.partition, payload.lastOffset, payload.highWatermark)
  })
  watch(consumer)
  stopOnSignal(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    async eachBatch({ batch, resolveOffset, heartbeat, isStale }) {
      if (isStale()) return
      const work = await handle(batch.partition, unread(batch))
      advance(batch.partition, batch.lastOffset(), batch.highWatermark, work)
      resolveOffset(batch.lastOffset())
      await heartbeat()
    },
  })
  await done.promise
  await consumer.disconnect()
}

function positionOf(topic: string, partition: number) {
  const found = table.positions(topic).find((position) => position.partition === partition)
  return found ?? fail(`${topic} has got a partition ${partition} that it did not have`)
}

/** Without those that the table has, should a batch come twice. */
function unread({ topic, partition, messages }: Batch): KafkaMessage[] {
  const { next } = positionOf(topic, partition)
  return messages.filter(({ offset }) => BigInt(offset) >= next)
}
