import { afterEach, type TestFunction, it as test } from 'vitest'
import type { AppendRecord, EventLog, LogRecord, StateStore } from '../log.ts'

/** What an adapter hands to the contract for one case. */
export interface LogHarness {
  readonly log: EventLog
  /** Begins the names of all topics and groups of the case; unique where cases share a log. */
  readonly topicPrefix: string
  /** Closes the log and opens it again on the same data. */
  reopen(): Promise<EventLog>
  /** Applies retention and compaction as of a time. Needed for these capabilities only. */
  maintain?(nowMs: number): Promise<void>
  /** Closes the log that is open and removes what it wrote. */
  dispose(): Promise<void>
}

/** true, or why the adapter does not have it: printed with the skipped cases. */
export type Capability = true | { readonly skipped: string }

export interface LogCapabilities {
  /** Retention by time can be asked for through `maintain`. */
  readonly retention: Capability
  /** Compaction can be asked for through `maintain`. */
  readonly compaction: Capability
  /** After a rejected append none of its records is readable. */
  readonly atomicAppend: Capability
  /** Offsets are given without holes (no control records between them). */
  readonly denseOffsets: Capability
  /** Milliseconds that compaction keeps tombstones. */
  readonly deleteRetentionMs: number
  /** A record with a value of this size is refused. */
  readonly tooLargeBytes: number
  /** Runs of the property test. */
  readonly modelRuns: number
}

export interface StateHarness {
  readonly state: StateStore
  reopen(): Promise<StateStore>
  dispose(): Promise<void>
}

/** `it`, skipped with its reason when one of the capabilities is missing. */
export function itWith(needed: readonly Capability[]): (title: string, run: TestFunction) => void {
  const missing = needed.find((capability) => typeof capability === 'object')
  if (typeof missing !== 'object') return (title, run) => test(title, run)
  return (title, run) => test.skip(`${title} (skipped: ${missing.skipped})`, run)
}

/** Opens harnesses and disposes of them after each case. Call it within a describe. */
export function disposing<H extends { dispose(): Promise<void> }>(open: () => Promise<H>): () => Promise<H> {
  const opened: H[] = []
  afterEach(async () => {
    for (const harness of opened.splice(0)) await harness.dispose()
  })
  return async () => {
    const harness = await open()
    opened.push(harness)
    return harness
  }
}

export interface Spec {
  readonly partitions?: number
  readonly cleanup?: 'delete' | 'compact'
  readonly retentionMs?: number | null
}

/** Creates a topic and returns its full name. */
export async function topicOf({ log, topicPrefix }: LogHarness, name: string, spec: Spec = {}): Promise<string> {
  const { partitions = 2, cleanup = 'delete', retentionMs = null } = spec
  await log.ensureTopics([{ name: `${topicPrefix}${name}`, partitions, cleanup, retentionMs }])
  return `${topicPrefix}${name}`
}

export const bytes = (text: string): Buffer => Buffer.from(text)

export function record(
  topic: string,
  partition: number,
  value: string | null,
  more: Partial<AppendRecord> = {},
): AppendRecord {
  return { topic, partition, key: null, value: value === null ? null : bytes(value), timestampMs: 1000, ...more }
}

/** Records of one partition: number i has the value `v<i>`. */
export function numbered(topic: string, partition: number, count: number, from = 0): AppendRecord[] {
  return Array.from({ length: count }, (_, i) => record(topic, partition, `v${from + i}`))
}

/** Everything from an offset to the end, copied. */
export async function readAll(log: EventLog, topic: string, partition: number, from?: number): Promise<LogRecord[]> {
  const { start, end } = await log.bounds(topic, partition)
  const out: LogRecord[] = []
  for (let at = from ?? start; at < end; ) {
    const { records, nextOffset } = await log.fetch({ topic, partition, offset: at, waitMs: 5000 })
    out.push(...records)
    if (nextOffset <= at) throw new Error(`fetch at ${at} did not get further`)
    at = nextOffset
  }
  return out
}

export const textOf = (value: Buffer | null | undefined): string | null => value?.toString() ?? null

export async function values(
  log: EventLog,
  topic: string,
  partition: number,
  from?: number,
): Promise<(string | null)[]> {
  return (await readAll(log, topic, partition, from)).map(({ value }) => textOf(value))
}
