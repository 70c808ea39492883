import { type Clock, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { DEAD_LETTERS_TOPIC, parseRecordKey } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { Item } from './writer.ts'

export interface DeadLetterDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * Appends what could not be projected to `ats.dead-letters`, at least once. The value is not copied: the letter names its position
 * on the changes topic, which keeps it.
 */
export async function appendDeadLetters(deps: DeadLetterDeps, items: readonly Item<unknown>[]): Promise<void> {
  const { log, codec, clock } = deps
  const topics = await log.listTopics()
  const partitions = topics.find((topic) => topic.name === DEAD_LETTERS_TOPIC)?.partitions
  if (partitions === undefined) {
    throw new TidemarkError('TOPIC_UNKNOWN', `${DEAD_LETTERS_TOPIC} does not exist; create the topics first`)
  }
  const at = clock.now()
  const records = items.map((item) => ({
    topic: DEAD_LETTERS_TOPIC,
    partition: item.source.partition % partitions,
    key: item.key === null ? null : Buffer.from(item.key),
    timestampMs: at,
    value: encode(codec, item, at),
  }))
  await log.append(records)
  for (const item of items) report(deps, item)
}

const codeOf = (item: Item<unknown>): string => item.failure?.code ?? 'INTERNAL'

function encode(codec: Codec, item: Item<unknown>, at: number): Buffer {
  const { source, offset, key, failure } = item
  return codec.encode('DeadLetter', {
    stage: 'projection',
    code: codeOf(item),
    message: failure?.message ?? '',
    source: null,
    integration_id: key === null ? null : (parseRecordKey(key)?.integrationId ?? null),
    model: source.model,
    record_key: key,
    topic: source.topic,
    partition: source.partition,
    offset,
    at,
    value: null,
  })
}

function report({ metrics, logger }: DeadLetterDeps, item: Item<unknown>): void {
  const { topic, partition } = item.source
  metrics.deadLetters.inc({ stage: 'projection', code: codeOf(item) })
  logger.error({ err: item.failure, topic, partition, offset: item.offset }, 'a change cannot be projected')
}
