/** node changes.ts [model ...]: prints every change of these models, once, as a line of JSON. Settings: KAFKA_BROKERS, REGISTRY_URL, GROUP_ID. */
import { kafka, stopOnSignal, watch } from './client.ts'
import { type Change, decodeChange } from './decode.ts'

const models = process.argv.length > 2 ? process.argv.slice(2) : ['candidates']
const consumer = kafka.consumer({
  groupId: process.env['GROUP_ID'] ?? 'ats-print',
  sessionTimeout: 45_000,
  maxWaitTimeInMs: 1000,
  allowAutoTopicCreation: false,
})

/**
 * Delivery is at least once, so what was applied before is left out. Here the newest versions are in memory; a service keeps `version`
 * beside its row (`update … where version < $1`), or `event_id` under a unique constraint, in the transaction that does the work.
 */
const IDS_MAX = 100_000
const versions = new Map<string, number>()

function isNew({ id, version }: Change): boolean {
  if (version <= (versions.get(id) ?? 0)) return false
  versions.delete(id)
  versions.set(id, version)
  const [oldest] = versions.keys()
  if (versions.size > IDS_MAX && oldest !== undefined) versions.delete(oldest)
  return true
}

watch(consumer)
stopOnSignal(() => consumer.disconnect())
await consumer.connect()
// From the beginning, where the group has no position: "latest" would skip records whenever the group was forgotten.
await consumer.subscribe({ topics: models.map((model) => `ats.${model}.changes`), fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  async eachBatch({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, isRunning, isStale }) {
    const { topic, partition, messages } = batch
    let done: string | undefined
    for (const { key, value, offset } of messages) {
      // Stopping, or another position was asked for: the rest comes again.
      if (!isRunning() || isStale()) break
      if (value !== null) {
        const change = await decodeChange(value)
        if (isNew(change)) {
          console.log(JSON.stringify({ topic, partition, offset: Number(offset), key: String(key), change }))
        }
      }
      done = offset
      resolveOffset(offset)
      // Throws when the group is dealt anew: what follows belongs to somebody else.
      await heartbeat()
    }
    if (done === undefined) return
    // Only what was done, and the position is that of the next record. consumer.commitOffsets() would do nothing while stopping.
    const next = String(BigInt(done) + 1n)
    await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: next }] }] })
  },
})
