import { TidemarkError } from '@tidemark/base'
import type { Bounds, EventLog, TopicDifference } from '@tidemark/log'
import type { ExportedTopic } from './format.ts'

/** How much of a partition is there, judged by offsets alone. */
type Extent = 'nothing' | 'some' | 'all' | 'void'

/**
 * Creates the topics and makes sure that the target is new, or what an interrupted import of the same log left: whole partitions, at most
 * one that is not, then empty ones. Throws TOPIC_MISMATCH otherwise, before anything is written. Returns harmless differences.
 */
export async function checkTopics(log: EventLog, topics: readonly ExportedTopic[]): Promise<TopicDifference[]> {
  const differences = await log.ensureTopics(
    topics.map(({ name, partitions, cleanup, retentionMs }) => ({ name, partitions, cleanup, retentionMs })),
  )
  for (const difference of differences) if (difference.setting === 'cleanup') throw otherCleanup(difference)
  let open: string | undefined
  for (const topic of topics) {
    const found = await Promise.all(topic.bounds.map((_, partition) => log.bounds(topic.name, partition)))
    for (const [partition, source] of topic.bounds.entries()) {
      const there = found[partition] ?? { start: 0, end: 0 }
      const extent = extentOf(topic, source, there)
      const name = `${topic.name}/${partition}`
      if (there.end > source.end) throw inUse(name, `it ends at ${there.end}, the export at ${source.end}`)
      if (open !== undefined && (extent === 'some' || extent === 'all')) {
        throw inUse(name, `it has records, but ${open} before it is not complete`)
      }
      if (extent === 'some' && there.start === there.end) throw inUse(name, 'what was in it is gone')
      // How many records a compacted partition should have, if any, is only known when they have been read.
      const isOpen = topic.cleanup === 'delete' && (extent === 'nothing' || extent === 'some')
      if (isOpen) open ??= name
    }
  }
  return differences
}

function extentOf({ cleanup }: ExportedTopic, source: Bounds, there: Bounds): Extent {
  if (source.start === source.end && source.end === there.end) return 'void'
  if (cleanup === 'compact') return there.end === 0 ? 'nothing' : 'some'
  // Up to the first offset it only has placeholders, or had.
  if (there.end <= source.start) return 'nothing'
  return there.end === source.end ? 'all' : 'some'
}

/** The target holds what the export does not. */
export function inUse(partition: string, why: string): TidemarkError {
  return new TidemarkError(
    'TOPIC_MISMATCH',
    `${partition} in the target is neither empty nor the beginning of this export: ${why}. Stop what writes there, delete the topics ats.* (or take another cluster), and import again.`,
    { fields: { partition } },
  )
}

function otherCleanup({ topic, expected, found }: TopicDifference): TidemarkError {
  return new TidemarkError(
    'TOPIC_MISMATCH',
    `Topic ${topic} has cleanup.policy ${found} in the target, but ${expected} in the export: records would be lost or kept for ever. Set cleanup.policy=${expected}, or delete the topic, and import again.`,
    { fields: { topic, expected, found } },
  )
}
