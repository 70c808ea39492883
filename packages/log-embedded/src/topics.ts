import { TidemarkError } from '@tidemark/base'
import type { TopicDifference, TopicSpec } from '@tidemark/log'
import type { Committer } from './committer.ts'
import type { Environment } from './environment.ts'
import { decodeNumber, encodeNumber, nameKey } from './rows.ts'

export interface Topic {
  readonly id: number
  readonly spec: TopicSpec
}

const NAME = /^[a-zA-Z0-9._-]{1,249}$/
export const PARTITIONS_MAX = 10_000
const NEXT_TOPIC_ID = nameKey('topic-id')

/** The topics of an environment. Topics are never dropped or altered, so what was read once stays true. */
export class Topics {
  readonly #environment: Environment
  readonly #known = new Map<string, Topic>()

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** Throws TOPIC_UNKNOWN. */
  get(name: string): Topic {
    const topic = this.#known.get(name) ?? this.#read(name)
    if (!topic) {
      throw new TidemarkError(
        'TOPIC_UNKNOWN',
        `There is no topic ${name} in ${this.#environment.path}. Create it first.`,
        {
          fields: { topic: name },
        },
      )
    }
    return topic
  }

  /** Throws TOPIC_UNKNOWN also for a partition that the topic does not have. */
  partition(name: string, partition: number): Topic {
    const topic = this.get(name)
    if (Number.isInteger(partition) && partition >= 0 && partition < topic.spec.partitions) return topic
    throw new TidemarkError(
      'TOPIC_UNKNOWN',
      `Topic ${name} has ${topic.spec.partitions} partitions, numbered from 0; ${partition} is not one of them.`,
      { fields: { topic: name, partition } },
    )
  }

  /** After a rollback: what was read inside the transaction may never have come to be. */
  forget(): void {
    this.#known.clear()
  }

  /** All topics, in name order. */
  list(): Topic[] {
    const out: Topic[] = []
    for (const { value } of this.#environment.topics.getRange({})) out.push(JSON.parse(value.toString()) as Topic)
    return out
  }

  /** See EventLog.ensureTopics. */
  async ensure(specs: readonly TopicSpec[], committer: Committer): Promise<TopicDifference[]> {
    for (const spec of specs) validate(spec)
    if (specs.every((spec) => this.#read(spec.name))) return specs.flatMap((spec) => this.#differences(spec))
    return committer.run({
      bytes: specs.length * 256,
      check: () => {
        for (const spec of specs) this.#differences(spec)
      },
      write: () => specs.flatMap((spec) => (this.#read(spec.name) ? this.#differences(spec) : this.#create(spec))),
    })
  }

  #read(name: string): Topic | undefined {
    const bytes = this.#environment.topics.getBinary(nameKey(name))
    if (bytes === undefined) return undefined
    const topic = JSON.parse(bytes.toString()) as Topic
    this.#known.set(name, topic)
    return topic
  }

  #differences(spec: TopicSpec): TopicDifference[] {
    const found = this.#read(spec.name)?.spec
    if (!found) return []
    if (found.partitions !== spec.partitions) {
      throw new TidemarkError(
        'TOPIC_MISMATCH',
        `Topic ${spec.name} has ${found.partitions} partitions, but ${spec.partitions} are configured. Configure ${found.partitions}, or start with an empty data directory: records cannot move to other partitions.`,
        { fields: { topic: spec.name, expected: spec.partitions, found: found.partitions } },
      )
    }
    const settings = ['cleanup', 'retentionMs'] as const
    return settings
      .filter((setting) => found[setting] !== spec[setting])
      .map((setting) => ({
        topic: spec.name,
        setting,
        expected: String(spec[setting]),
        found: String(found[setting]),
      }))
  }

  #create({ name, partitions, cleanup, retentionMs }: TopicSpec): TopicDifference[] {
    const { counters, topics } = this.#environment
    const id = decodeNumber(counters.getBinary(NEXT_TOPIC_ID), 1)
    const topic: Topic = { id, spec: { name, partitions, cleanup, retentionMs } }
    counters.put(NEXT_TOPIC_ID, encodeNumber(id + 1))
    topics.put(nameKey(name), Buffer.from(JSON.stringify(topic)))
    return []
  }
}

function validate(spec: TopicSpec): void {
  const wrong = (what: string): TidemarkError =>
    new TidemarkError('CONFIG_INVALID', `Topic ${JSON.stringify(spec.name)}: ${what}.`, {
      fields: { topic: spec.name },
    })
  if (!NAME.test(spec.name)) throw wrong('a name has 1 to 249 letters, digits, dots, underscores and hyphens')
  if (!Number.isInteger(spec.partitions) || spec.partitions < 1 || spec.partitions > PARTITIONS_MAX) {
    throw wrong(`the number of partitions is 1 to ${PARTITIONS_MAX}, not ${spec.partitions}`)
  }
  if (spec.retentionMs !== null && !(spec.retentionMs > 0)) {
    throw wrong(`retentionMs is a positive number or null, not ${spec.retentionMs}`)
  }
}
