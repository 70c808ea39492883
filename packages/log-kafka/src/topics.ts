import { TidemarkError } from '@tidemark/base'
import type { AppendRecord, TopicDifference, TopicSpec } from '@tidemark/log'
import type { Admin } from 'kafkajs'
import type { Connection } from './connection.ts'
import { typeOf } from './errors.ts'
import { ConfigResourceTypes, type KafkaLogger } from './kafkajs.ts'
import { checkSize } from './sends.ts'

export interface TopicOptions {
  /** Copies of each partition of topics that are created. Default: 3, or as many as there are brokers. */
  readonly replication?: number
  /** Largest batch of topics that are created, and with it the largest record. Default 4 MiB. */
  readonly messageBytesMax?: number | ((topic: string) => number)
  readonly logger?: KafkaLogger
}

/** What writing to a topic has to know. */
export interface KnownTopic {
  readonly partitions: number
  /** Largest record batch the brokers take. */
  readonly messageBytesMax: number
}

const NAME = /^[a-zA-Z0-9._-]{1,249}$/
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024
const LONG_MAX = '9223372036854775807'
const BROKER_DEFAULT_BYTES_MAX = 1_048_588
const SETTINGS = ['cleanup.policy', 'retention.ms', 'max.message.bytes', 'min.insync.replicas']

type Settings = ReadonlyMap<string, string>

/** Topics of the cluster: created when missing, compared when not, never altered. */
export class Topics {
  readonly #connection: Connection
  readonly #admin: () => Promise<Admin>
  readonly #options: TopicOptions
  readonly #known = new Map<string, KnownTopic>()

  constructor(connection: Connection, admin: () => Promise<Admin>, options: TopicOptions) {
    this.#connection = connection
    this.#admin = admin
    this.#options = options
  }

  /** Throws TOPIC_UNKNOWN. */
  async get(topic: string): Promise<KnownTopic> {
    const known = this.#known.get(topic)
    if (known) return known
    const partitions = await this.#connection.partitionsOf(topic)
    if (!partitions) throw unknown(topic)
    const settings = (await this.#settings([topic])).get(topic)
    const found = {
      partitions: partitions.length,
      messageBytesMax: Number(settings?.get('max.message.bytes') ?? BROKER_DEFAULT_BYTES_MAX),
    }
    this.#known.set(topic, found)
    return found
  }

  /** Throws TOPIC_UNKNOWN also for a partition that the topic does not have. */
  async partition(topic: string, partition: number): Promise<KnownTopic> {
    const known = await this.get(topic)
    checkPartition(topic, partition, known)
    return known
  }

  /** What the topics of the records are like. Throws TOPIC_UNKNOWN, RECORD_TOO_LARGE. */
  async check(records: readonly AppendRecord[]): Promise<ReadonlyMap<string, KnownTopic>> {
    const topics = new Map<string, KnownTopic>()
    for (const { topic } of records) if (!topics.has(topic)) topics.set(topic, await this.get(topic))
    for (const record of records) {
      const known = topics.get(record.topic)!
      checkPartition(record.topic, record.partition, known)
      checkSize(record, known.messageBytesMax)
    }
    return topics
  }

  /** All topics but Kafka's own, in name order. */
  async list(): Promise<TopicSpec[]> {
    return this.#connection.retry('Listing topics', async () => {
      const { topics } = await (await this.#admin()).fetchTopicMetadata()
      const own = topics.filter(({ name }) => !name.startsWith('__'))
      const settings = await this.#settings(own.map(({ name }) => name))
      const specs = own.map(({ name, partitions }) => specOf(name, partitions.length, settings.get(name)))
      return specs.sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  /** See EventLog.ensureTopics. */
  async ensure(specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    for (const spec of specs) validate(spec)
    const existing = await this.#connection.retry('Looking at topics', () => this.#existing(specs))
    for (const spec of specs) checkPartitions(spec, existing.get(spec.name)?.partitions)
    const missing = specs.filter(({ name }) => !existing.has(name))
    if (missing.length > 0) await this.#create(missing)
    const settings = await this.#settings([...existing.keys()])
    return specs.flatMap((spec) => {
      const found = existing.get(spec.name)
      return found ? this.#differences(spec, settings.get(spec.name)) : []
    })
  }

  async #existing(specs: readonly TopicSpec[]): Promise<Map<string, { readonly partitions: number }>> {
    const admin = await this.#admin()
    const names = new Set(await admin.listTopics())
    const wanted = specs.map(({ name }) => name).filter((name) => names.has(name))
    // kafkajs takes an empty list for all topics.
    const { topics } = wanted.length === 0 ? { topics: [] } : await admin.fetchTopicMetadata({ topics: wanted })
    return new Map(topics.map(({ name, partitions }) => [name, { partitions: partitions.length }]))
  }

  async #create(specs: readonly TopicSpec[]): Promise<void> {
    const names = specs.map(({ name }) => name).join(', ')
    await this.#connection.retry(`Creating ${names}`, async () => {
      const admin = await this.#admin()
      const replication = this.#options.replication ?? Math.min(3, (await admin.describeCluster()).brokers.length)
      try {
        await admin.createTopics({
          topics: specs.map((spec) => this.#definition(spec, replication)),
          // Waited for below: kafkajs gives up when the broker it asks has not heard of a topic yet.
          waitForLeaders: false,
        })
      } catch (error) {
        if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') throw notYetKnown()
        // Somebody else was faster: the next try finds them, and compares nothing but what it was asked to create.
        if (typeOf(error) !== 'TOPIC_ALREADY_EXISTS') throw error
        for (const [name, { partitions }] of await this.#existing(specs)) {
          checkPartitions(specs.find((spec) => spec.name === name)!, partitions)
        }
      }
    })
    // Every broker learns of a new topic in its own time.
    for (const { name } of specs) {
      await this.#connection.retry(`Waiting for ${name}`, async () => {
        if (!(await this.#connection.partitionsOf(name))) throw notYetKnown()
      })
    }
  }

  #definition(spec: TopicSpec, replication: number) {
    const value = (name: string, text: string | number) => ({ name, value: String(text) })
    return {
      topic: spec.name,
      numPartitions: spec.partitions,
      replicationFactor: replication,
      configEntries: [
        value('cleanup.policy', spec.cleanup),
        value('retention.ms', spec.retentionMs ?? -1),
        value('max.message.bytes', this.#messageBytesMax(spec.name)),
        value('min.insync.replicas', replication >= 3 ? 2 : 1),
        value('message.timestamp.type', 'CreateTime'),
        // Times are those of what happened elsewhere, by other clocks: none is refused.
        value('message.timestamp.after.max.ms', LONG_MAX),
      ],
    }
  }

  #messageBytesMax(topic: string): number {
    const { messageBytesMax = MESSAGE_BYTES_MAX } = this.#options
    return typeof messageBytesMax === 'function' ? messageBytesMax(topic) : messageBytesMax
  }

  #differences(spec: TopicSpec, settings: Settings | undefined): TopicDifference[] {
    const found = {
      cleanup: settings?.get('cleanup.policy') ?? 'unknown',
      retentionMs: retentionOf(settings),
    }
    const bytes = Number(settings?.get('max.message.bytes') ?? 0)
    if (bytes < this.#messageBytesMax(spec.name)) {
      this.#options.logger?.warn(
        { topic: spec.name, expected: this.#messageBytesMax(spec.name), found: bytes },
        'the topic takes smaller records than expected (max.message.bytes)',
      )
    }
    const expected = { cleanup: spec.cleanup, retentionMs: spec.retentionMs }
    return (['cleanup', 'retentionMs'] as const)
      .filter((setting) => expected[setting] !== found[setting])
      .map((setting) => ({
        topic: spec.name,
        setting,
        expected: String(expected[setting]),
        found: String(found[setting]),
      }))
  }

  async #settings(topics: readonly string[]): Promise<Map<string, Settings>> {
    if (topics.length === 0) return new Map()
    const { resources } = await this.#connection.onAnyBroker('Reading topic settings', async () =>
      (await this.#admin()).describeConfigs({
        includeSynonyms: false,
        resources: topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name, configNames: SETTINGS })),
      }),
    )
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    )
  }
}

function checkPartition(topic: string, partition: number, { partitions }: KnownTopic): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return
  throw new TidemarkError(
    'TOPIC_UNKNOWN',
    `Topic ${topic} has ${partitions} partitions, numbered from 0; ${partition} is not one of them.`,
    { fields: { topic, partition } },
  )
}

function specOf(name: string, partitions: number, settings: Settings | undefined): TopicSpec {
  const policy = settings?.get('cleanup.policy') ?? 'delete'
  return {
    name,
    partitions,
    cleanup: policy.includes('compact') ? 'compact' : 'delete',
    retentionMs: retentionOf(settings),
  }
}

function retentionOf(settings: Settings | undefined): number | null {
  const ms = Number(settings?.get('retention.ms') ?? -1)
  return ms < 0 ? null : ms
}

function unknown(topic: string): TidemarkError {
  return new TidemarkError('TOPIC_UNKNOWN', `There is no topic ${topic} in Kafka. Create it first.`, {
    fields: { topic },
  })
}

function checkPartitions(spec: TopicSpec, found: number | undefined): void {
  if (found === undefined || found === spec.partitions) return
  throw new TidemarkError(
    'TOPIC_MISMATCH',
    `Topic ${spec.name} has ${found} partitions, but ${spec.partitions} are configured. Configure ${found}, or use other topics: records cannot move to other partitions.`,
    { fields: { topic: spec.name, expected: spec.partitions, found } },
  )
}

function validate(spec: TopicSpec): void {
  const wrong = (what: string): TidemarkError =>
    new TidemarkError('CONFIG_INVALID', `Topic ${JSON.stringify(spec.name)}: ${what}.`, {
      fields: { topic: spec.name },
    })
  if (!NAME.test(spec.name)) throw wrong('a name has 1 to 249 letters, digits, dots, underscores and hyphens')
  if (!Number.isInteger(spec.partitions) || spec.partitions < 1) {
    throw wrong(`the number of partitions is at least 1, not ${spec.partitions}`)
  }
  if (spec.retentionMs !== null && !(spec.retentionMs > 0)) {
    throw wrong(`retentionMs is a positive number or null, not ${spec.retentionMs}`)
  }
}

/** To be asked again: it was created, and brokers learn of it in their own time. */
function notYetKnown(): Error {
  return Object.assign(new Error('a broker has not heard of the topic yet'), { type: 'LEADER_NOT_AVAILABLE' })
}
