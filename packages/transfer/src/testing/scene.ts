import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import type { AppendRecord, EventLog, TopicSpec } from '@tidemark/log'
import { type Embedded, openEmbedded } from '@tidemark/log-embedded'
import { readAll } from '../../../log-kafka/src/testing/logs.ts'
import { exportLog } from '../export.ts'
import type { ImportTarget } from '../import.ts'

/** Data directories of one test, closed and removed together. */
export class Directories {
  readonly #open: Embedded[] = []
  readonly #folders: string[] = []

  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-transfer-'))
    this.#folders.push(folder)
    return folder
  }

  async open(path = this.folder()): Promise<Embedded> {
    const embedded = await openEmbedded({ path, clock: systemClock, minDirtyRatio: 0 })
    this.#open.push(embedded)
    return embedded
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((embedded) => embedded.close()))
    for (const folder of this.#folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  }
}

export const NEVER = new AbortController().signal

/** The whole export of a data directory. */
export async function exported(source: Embedded): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of exportLog(source, { clock: systemClock, signal: NEVER })) parts.push(part)
  return Buffer.concat(parts)
}

/** Bytes in chunks that do not end where frames do. */
export async function* chunked(bytes: Buffer, size = 65_536): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export function record(topic: string, partition: number, key: string | null, value: string | null): AppendRecord {
  return {
    topic,
    partition,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestampMs: 1_700_000_000_000 + (key?.length ?? 0) * 1000,
  }
}

export interface SeedOptions {
  readonly prefix?: string
  readonly records?: number
}

const DAY_MS = 86_400_000

const SCHEMAS = [
  ['a-value', { type: 'record', name: 'A', fields: [] }],
  ['b-value', { type: 'record', name: 'B', fields: [] }],
  // Another subject has this version first, and its own second version is an older schema.
  ['c-value', { type: 'record', name: 'A', fields: [{ name: 'x', type: 'int', default: 1 }] }],
  ['c-value', { type: 'record', name: 'A', fields: [] }],
  ['a-value', { type: 'record', name: 'A', fields: [{ name: 'y', type: 'int', default: 1 }] }],
] as const

/**
 * A log with everything that an export has to keep: several partitions, one of them empty; null keys and values; a topic that retention has
 * shortened and one that it has emptied; a compacted topic with holes and tombstones; positions of groups in all of them.
 */
export async function seed(source: Embedded, { prefix = '', records = 500 }: SeedOptions = {}): Promise<void> {
  const name = (topic: string): string => `${prefix}${topic}`
  const topic = (short: string, partitions: number, more: Partial<TopicSpec> = {}): TopicSpec => ({
    name: name(short),
    partitions,
    cleanup: 'delete',
    retentionMs: null,
    ...more,
  })
  const { log, registry } = source
  await log.ensureTopics([
    topic('changes', 3),
    topic('emptied', 1, { retentionMs: DAY_MS }),
    topic('shortened', 1, { retentionMs: DAY_MS }),
    topic('snapshots', 2, { cleanup: 'compact' }),
  ])
  for (const [subject, schema] of SCHEMAS) await registry.register(name(subject), JSON.stringify(schema))
  const many = (topicName: string, partition: number, count: number): AppendRecord[] =>
    Array.from({ length: count }, (_, i) =>
      record(topicName, partition, i % 7 === 0 ? null : `k${i % 50}`, i % 11 === 0 ? null : `${topicName} ${i}`),
    )
  for (const partition of [0, 2]) await log.append(many(name('changes'), partition, records))
  for (const topicName of ['shortened', 'emptied']) {
    await log.append(many(name(topicName), 0, records).map((one) => ({ ...one, timestampMs: 1 })))
  }
  const keyed = (round: number): AppendRecord[] =>
    Array.from({ length: records }, (_, i) => record(name('snapshots'), i % 2, `key ${i}`, `${round} ${i}`))
  await log.append(keyed(1))
  await log.append(keyed(2).filter((_, i) => i % 3 === 0))
  await log.append(
    keyed(3)
      .filter((_, i) => i % 5 === 0)
      .map((one) => ({ ...one, value: null })),
  )
  const nowMs = systemClock.now()
  await source.maintain(nowMs)
  await log.append(many(name('shortened'), 0, records).map((one) => ({ ...one, timestampMs: nowMs })))
  await log.commitPositions(
    'processor',
    name('changes'),
    new Map([
      [0, 123],
      [2, records],
    ]),
  )
  await log.commitPositions('processor', name('emptied'), new Map([[0, records]]))
  await log.commitPositions('reader', name('shortened'), new Map([[0, records + 10]]))
  await log.commitPositions(
    'reader',
    name('snapshots'),
    new Map([
      [0, Math.floor(records / 2)],
      [1, 0],
    ]),
  )
}

/** An import's target out of an embedded log. */
export function embeddedTarget(target: Embedded): ImportTarget {
  const { log, registry } = target
  return { log, registry, startAt: (topic, partition, offset) => target.startAt(topic, partition, offset) }
}

/** Everything of a log that an import has to reproduce, for comparison; offsets of compacted topics are counted anew. */
export async function contentOf(log: EventLog, topics: readonly string[]): Promise<unknown> {
  const specs = (await log.listTopics()).filter(({ name }) => topics.includes(name))
  const content: unknown[] = []
  for (const spec of specs) {
    for (let partition = 0; partition < spec.partitions; partition++) {
      const records = await readAll(log, spec.name, partition)
      const compact = spec.cleanup === 'compact'
      content.push({
        ...spec,
        partition,
        bounds: compact ? undefined : await log.bounds(spec.name, partition),
        records: records.map(({ offset, timestampMs, key, value }, i) =>
          [
            compact ? i : offset,
            timestampMs,
            key?.toString('base64') ?? null,
            value?.toString('base64') ?? null,
          ].join(),
        ),
      })
    }
  }
  return content
}
