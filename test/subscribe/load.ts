import type { Random } from '@tidemark/base'
import { createDiffer } from '@tidemark/diff'
import { changesTopic, OBSERVED_TOPIC, snapshotsTopic } from '@tidemark/model'
import { type Appendable, observationBuilder } from '@tidemark/testing/observations'
import kafkajs, { type Producer, type Transaction } from 'kafkajs'
import { PARTITIONS, type Pipeline, sleep } from './pipeline.ts'
import type { Settings } from './programs.ts'

/** A load of observations of few candidates, so that each changes often. */
export function createFeed({ log, codec }: Pipeline, random: Random) {
  const { observe } = observationBuilder(codec, PARTITIONS)
  const CANDIDATES = 30
  const BATCH = 10
  const PAUSE_MS = 40
  let going = true
  let atMs = Date.UTC(2026, 5, 1)

  const next = (): Appendable => {
    atMs += 1000
    const remote = [`feed-${random.int(CANDIDATES)}`]
    const kind = random.chance(0.05) ? 'deleted' : 'record'
    const fields = { kind, remoteVersion: atMs } as const
    // Few titles: many observations change nothing, or nothing but bookkeeping.
    const record = { title: `title ${random.int(4)}`, remote_updated_at: new Date(atMs).toISOString() }
    return observe({ integrationId: 'feed:1', model: 'candidates', remote, atMs, record, fields })
  }

  return {
    stop: () => {
      going = false
    },
    /** Until stopped; resolves when the processor has done all of it. */
    async run(): Promise<void> {
      while (going) {
        await log.append(Array.from({ length: BATCH }, next))
        await sleep(PAUSE_MS)
      }
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { end } = await log.bounds(OBSERVED_TOPIC, partition)
        while (((await log.positions('diff-processor', OBSERVED_TOPIC)).get(partition) ?? 0) < end) await sleep(50)
      }
    },
  }
}

export interface Versions {
  readonly key: string
  readonly producer: Producer
  /** Writes the change to a version, or the snapshot of it, as the diff makes them. */
  changes(transaction: Transaction, version: number): Promise<unknown>
  snapshots(transaction: Transaction, version: number): Promise<unknown>
  /** Writes both in a transaction of their own, as the processor does. */
  committed(version: number): Promise<void>
}

/** Versions of one record of a model that the processor has nothing of, to be written at chosen moments in chosen transactions. */
export async function withVersions(
  { codec }: Pipeline,
  settings: Settings,
  model: 'tags' | 'users' | 'offers' | 'interviews' | 'notes',
  work: (versions: Versions) => Promise<void>,
): Promise<void> {
  const { observe } = observationBuilder(codec, PARTITIONS)
  const differ = createDiffer(codec)
  const made: { readonly change: Buffer; readonly snapshot: Buffer }[] = []
  const seen = (n: number) =>
    observe({ model, remote: ['x'], atMs: n * 1000, record: { remote_deleted_at: n % 2 === 0 ? n * 1000 : null } })
  const { key, partition } = seen(1)
  for (let n = 1; n <= 3; n++) {
    const before = made.at(-1)?.snapshot
    const outcome = differ.apply(model, before, seen(n).value, { partition, offset: n })
    if (outcome.kind !== 'changed') throw new Error(`version ${n} of ${model} is ${outcome.kind}`)
    made.push(outcome)
  }
  const brokers = (settings['KAFKA_BROKERS'] as string).split(',')
  const client = new kafkajs.Kafka({ clientId: 'test', brokers, logLevel: kafkajs.logLevel.NOTHING })
  const producer = client.producer({ transactionalId: `test-${model}`, maxInFlightRequests: 1 })
  const send = (topic: string, part: 'change' | 'snapshot') => (transaction: Transaction, version: number) =>
    transaction.send({ topic, messages: [{ key, partition, value: made[version - 1]?.[part] ?? null }] })
  const changes = send(changesTopic(model), 'change')
  const snapshots = send(snapshotsTopic(model), 'snapshot')
  const committed = async (version: number): Promise<void> => {
    const transaction = await producer.transaction()
    await changes(transaction, version)
    await snapshots(transaction, version)
    await transaction.commit()
  }
  await producer.connect()
  try {
    await work({ key: String(key), producer, changes, snapshots, committed })
  } finally {
    await producer.disconnect()
  }
}
