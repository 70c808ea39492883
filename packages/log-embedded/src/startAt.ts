import { TidemarkError } from '@tidemark/base'
import type { Committer } from './committer.ts'
import type { Environment } from './environment.ts'
import { decodePartition, encodePartition, partitionKey } from './rows.ts'
import type { Topics } from './topics.ts'

export interface StartAt {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** See Embedded.startAt. */
export async function startAt(
  environment: Environment,
  committer: Committer,
  topics: Topics,
  { topic, partition, offset }: StartAt,
): Promise<void> {
  const key = partitionKey(topics.partition(topic, partition).id, partition)
  const rowNow = () => decodePartition(environment.partitions.getBinary(key))
  if (rowNow().start === offset) return
  await committer.run<void>({
    bytes: 64,
    check: () => {
      const { start, end } = rowNow()
      if (start === end && end <= offset) return
      throw new TidemarkError(
        'TOPIC_MISMATCH',
        `${topic}/${partition} holds the offsets ${start} to ${end} and cannot begin at ${offset}. Use an empty data directory.`,
        { fields: { topic, partition, start, end, offset } },
      )
    },
    write: () => {
      environment.partitions.put(key, encodePartition({ ...rowNow(), start: offset, end: offset }))
    },
  })
}
