import type { Change, Observation, OpenCodec, Snapshot } from '@tidemark/codec'
import { naiveApply, naiveSweepChild } from '@tidemark/diff/naive'
import type { EventLog, LogRecord } from '@tidemark/log'
import { changesTopic, MODEL_NAMES, type ModelName, OBSERVED_TOPIC, parseRecordKey } from '@tidemark/model'

export interface CheckResult {
  readonly observations: number
  readonly changes: number
  /** Differences between what the observations demand and what the topics hold; at most 20 are described. */
  readonly lost: number
  readonly repeated: number
  readonly different: number
  readonly details: readonly string[]
}

/**
 * Recomputes every change from ats.observed alone, with the naive diff, and compares exactly: content, order, number. It shares
 * nothing with the processor but the decoding of values.
 */
export async function checkExactlyOnce(log: EventLog, codec: OpenCodec, partitions: number): Promise<CheckResult> {
  const total = { observations: 0, changes: 0, lost: 0, repeated: 0, different: 0, details: [] as string[] }
  for (let partition = 0; partition < partitions; partition++) {
    const expected = await expectedChanges(log, codec, partition, total)
    for (const model of MODEL_NAMES) await compare(log, codec, model, partition, expected.get(model) ?? [], total)
  }
  return total
}

interface Keyed {
  readonly key: string
  readonly change: Change
}

async function* recordsOf(log: EventLog, topic: string, partition: number): AsyncGenerator<LogRecord> {
  const { start, end } = await log.bounds(topic, partition)
  for (let offset = start; offset < end; ) {
    const { records, nextOffset } = await log.fetch({ topic, partition, offset })
    yield* records
    offset = nextOffset
  }
}

async function expectedChanges(
  log: EventLog,
  codec: OpenCodec,
  partition: number,
  total: { observations: number },
): Promise<Map<ModelName, Keyed[]>> {
  const snapshots = new Map<string, Snapshot>()
  const expected = new Map<ModelName, Keyed[]>(MODEL_NAMES.map((model) => [model, []]))
  for await (const { key: bytes, value, offset } of recordsOf(log, OBSERVED_TOPIC, partition)) {
    total.observations++
    const key = (bytes as Buffer).toString()
    const observed = codec.decodeObserved(value as Buffer)
    const source = { partition, offset }
    if (observed.kind === 'observation') {
      const result = naiveApply(observed.model, snapshots.get(key), observed.observation as Observation, source)
      if (result.snapshot) snapshots.set(key, result.snapshot)
      if (result.change) expected.get(observed.model)?.push({ key, change: result.change })
      continue
    }
    const { control } = observed
    const children = [...snapshots].filter(
      ([k, s]) =>
        s.parent_key === control.parent_key &&
        parseRecordKey(k)?.model === control.model &&
        !control.children.includes(k),
    )
    for (const [child, snapshot] of children.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
      const result = naiveSweepChild(control.model as ModelName, snapshot, control, source)
      if (result.snapshot) snapshots.set(child, result.snapshot)
      if (result.change) expected.get(control.model as ModelName)?.push({ key: child, change: result.change })
    }
  }
  return expected
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  )

async function compare(
  log: EventLog,
  codec: OpenCodec,
  model: ModelName,
  partition: number,
  expected: readonly Keyed[],
  total: { changes: number; lost: number; repeated: number; different: number; details: string[] },
): Promise<void> {
  const topic = changesTopic(model)
  const tell = (message: string): void => {
    if (total.details.length < 20) total.details.push(`${topic}/${partition}: ${message}`)
  }
  const seen = new Set<string>()
  let at = 0
  for await (const { key, value, offset } of recordsOf(log, topic, partition)) {
    total.changes++
    const change = codec.decodeChange(model, value as Buffer)
    const due = expected[at]
    if (seen.has(change.event_id)) {
      total.repeated++
      tell(`@${offset} repeats event ${change.event_id}`)
      continue
    }
    seen.add(change.event_id)
    at++
    const sorted = (c: Change): unknown => ({
      ...c,
      changes: [...c.changes].sort((a, b) => (a.path < b.path ? -1 : 1)),
    })
    if (
      due === undefined ||
      due.key !== (key as Buffer).toString() ||
      text(sorted(due.change)) !== text(sorted(change))
    ) {
      total.different++
      tell(`@${offset} event ${change.event_id} where ${due?.change.event_id ?? 'nothing'} was due`)
    }
  }
  if (at < expected.length) {
    total.lost += expected.length - at
    tell(`${expected.length - at} changes are missing, the first is ${expected[at]?.change.event_id}`)
  }
}
