import type { Change, Observation, OpenCodec, Snapshot } from '@tidemark/codec'
import { type NaiveResult, naiveApply, naiveRemove, naiveSweepChild } from '@tidemark/diff/naive'
import type { EventLog, LogRecord } from '@tidemark/log'
import {
  type Control,
  changesTopic,
  childModels,
  MODEL_NAMES,
  type ModelName,
  OBSERVED_TOPIC,
  parseRecordKey,
  type RecordKey,
  rootKey,
} from '@tidemark/model'

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
  const runs = new Map<string, Control>()
  /** Offset at which a record, or a child of it, was last observed. */
  const seenAt = new Map<string, number>()
  const expected = new Map<ModelName, Keyed[]>(MODEL_NAMES.map((model) => [model, []]))
  const take = (model: ModelName, key: string, { snapshot, change }: NaiveResult): void => {
    if (snapshot) snapshots.set(key, snapshot)
    if (change) expected.get(model)?.push({ key, change })
  }
  for await (const { key: bytes, value, offset } of recordsOf(log, OBSERVED_TOPIC, partition)) {
    total.observations++
    const key = (bytes as Buffer).toString()
    const observed = codec.decodeObserved(value as Buffer)
    const source = { partition, offset }
    if (observed.kind === 'observation') {
      seenAt.set(key, offset).set(rootKey(key as RecordKey), offset)
      take(
        observed.model,
        key,
        naiveApply(observed.model, snapshots.get(key), observed.observation as Observation, {
          ...source,
          lastSeenAt: lastSeenAt(runs, key, snapshots.get(key)),
        }),
      )
      continue
    }
    const { control } = observed
    if (control.kind === 'child_sweep') {
      for (const [child, snapshot] of childrenOf(snapshots, control.parent_key ?? '', control.model))
        if (!control.children.includes(child))
          take(
            control.model as ModelName,
            child,
            naiveSweepChild(control.model as ModelName, snapshot, control, source),
          )
    } else if (control.kind === 'sweep_end') {
      const gone = absentees(snapshots, seenAt, control)
      if (gone.every(([, { record }]) => record.remote_deleted_at !== null)) runs.set(runOf(control), control)
    } else if (control.kind === 'sweep_apply') {
      for (const [gone, snapshot] of absentees(snapshots, seenAt, control)) {
        const listing = `the complete listing of ${control.model} by run ${control.sync_id}`
        const { records } = control
        const own = { detail: `not in ${listing}`, records }
        const model = control.model as ModelName
        // What was observed after the run began is not gone, nor are its children.
        if (control.fetch_started_at < snapshot.observed_at && snapshot.record.remote_deleted_at === null) continue
        const place = { ...source, lastSeenAt: lastSeenAt(runs, gone, snapshot) }
        take(model, gone, naiveRemove(model, snapshot, control, own, place))
        const ofParent = { detail: `${gone} is not in ${listing}`, records }
        for (const child of childModels(model))
          for (const [key, state] of childrenOf(snapshots, gone, child))
            take(child, key, naiveRemove(child, state, control, ofParent, source))
      }
      runs.set(runOf(control), control)
    }
  }
  return expected
}

const runOf = ({ integration_id, model }: Control): string => `${integration_id} ${model}`

/** When the last complete run over the record's model began, if it saw the record. */
function lastSeenAt(runs: ReadonlyMap<string, Control>, key: string, snapshot: Snapshot | undefined): number | null {
  const { integrationId, model } = parseRecordKey(key) ?? {}
  const run = runs.get(`${integrationId} ${model}`)
  if (!run || !snapshot || snapshot.source.offset >= (run.begin_offset ?? 0) || isSpared(run, key)) return null
  return run.fetch_started_at
}

const isSpared = ({ spared }: Control, key: string): boolean =>
  spared.some((one) => key === one || key.startsWith(`${one}:`))

type Entries = [string, Snapshot][]

const inOrder = (entries: Entries): Entries =>
  entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

const childrenOf = (snapshots: ReadonlyMap<string, Snapshot>, parent: string, model: string): Entries =>
  inOrder(
    [...snapshots].filter(([key, { parent_key }]) => parent_key === parent && parseRecordKey(key)?.model === model),
  )

/** Records of a sweep's scope that nobody has observed since its run began. */
const absentees = (
  snapshots: ReadonlyMap<string, Snapshot>,
  seenAt: ReadonlyMap<string, number>,
  control: Control,
): Entries =>
  inOrder(
    [...snapshots].filter(([key]) => {
      const parts = parseRecordKey(key)
      const isInScope = parts?.model === control.model && parts.integrationId === control.integration_id
      return isInScope && !isSpared(control, key) && (seenAt.get(key) ?? -1) < (control.begin_offset ?? 0)
    }),
  )

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
