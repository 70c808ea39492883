import { classify } from '@tidemark/base'
import type { Task } from '@tidemark/log'
import {
  COMMANDS_TOPIC,
  childModels,
  partitionOf,
  type RecordKey,
  type SweepReport,
  sweepReportText,
} from '@tidemark/model'
import { type Absentee, type Absentees, childrenOf, findAbsentees, type SweepDeps, SweepSkipped } from './absentees.ts'
import { absenceOf, removeChildren } from './childSweep.ts'
import { noteCompleteRun } from './completeRuns.ts'
import { type Barrier, type SliceLimits, setAside } from './slice.ts'
import { SliceCollector, type SliceCounts } from './sliceOutput.ts'

export interface SweepInput extends SweepDeps {
  readonly task: Task
  /** Partitions of every topic. */
  readonly partitions: number
  readonly limits: SliceLimits
  readonly barrier: Barrier
  readonly onCounts: (counts: SliceCounts) => void
}

/**
 * Carries out what a barrier asks of this partition, and moves behind it. A sweep_end is answered with a count of the records that the complete
 * listing did not have: whether they are to be deleted depends on all partitions. A sweep_apply deletes them, in as many
 * transactions as it takes; one that was cut short goes on with those that are left. Both are answered on ats.commands.
 */
export async function sweepPartition(input: SweepInput): Promise<void> {
  const { barrier, task, codec, partition } = input
  let found: Absentees
  try {
    found = await findAbsentees(input, task.state, barrier)
  } catch (error) {
    const out = new SliceCollector(codec, task.state, partition)
    if (error instanceof SweepSkipped) answer(input, out, [report(input, { phase: 'skipped', reason: error.message })])
    else if (classify(error).next === 'skip') setAside(out, codec, classify(error), partition, barrier.record)
    else throw error
    return await commit(input, out, true)
  }
  if (barrier.control.kind === 'sweep_end') await count(input, found)
  else await apply(input, found)
}

async function count(input: SweepInput, { model, records, absent }: Absentees): Promise<void> {
  const { codec, task, partition, differ, barrier } = input
  const out = new SliceCollector(codec, task.state, partition)
  const keys: string[] = []
  let suspects = 0
  let children = 0
  for (const { key, isDeleted } of absent) {
    let alive = 0
    for (const child of childrenOf(differ, task.state, model, key)) if (!child.isDeleted) alive++
    if (!isDeleted) suspects++
    children += alive
    if (!isDeleted || alive > 0) keys.push(key.toString('utf8'))
  }
  const parts = barrier.control.names_suspects ? chunked(keys) : [[]]
  const base = { phase: 'counted', records, suspects, children, parts: parts.length } as const
  answer(
    input,
    out,
    parts.map((chunk, part) => report(input, { ...base, part, keys: chunk })),
  )
  if (suspects === 0) noteCompleteRun(out, codec, barrier)
  await commit(input, out, true)
}

async function apply(input: SweepInput, { model, records, absent, deletedBefore }: Absentees): Promise<void> {
  const { codec, task, partition, limits } = input
  let deleted = deletedBefore
  let next = 0
  for (;;) {
    const out = new SliceCollector(codec, task.state, partition)
    while (next < absent.length && out.outputs.length < limits.outputsMax && out.bytes < limits.bytesMax) {
      if (remove(input, out, model, absent[next++] as Absentee)) deleted++
    }
    const isLast = next >= absent.length
    if (isLast) {
      answer(input, out, [report(input, { phase: 'applied', records, deleted })])
      noteCompleteRun(out, codec, input.barrier)
    }
    await commit(input, out, isLast)
    if (isLast) return
  }
}

/** Ends a record and its children. True when the record was not ended before. */
function remove(input: SweepInput, out: SliceCollector, model: Absentees['model'], { key }: Absentee): boolean {
  const { barrier, codec, differ, partition } = input
  const { control, record } = barrier
  const source = { partition, offset: record.offset, lastSeen: { key, at: out.completeRuns.lastSeen } }
  const origin = { integrationId: control.integration_id, syncId: control.sync_id, kind: control.cause.kind }
  const listing = `the complete listing of ${model} by run ${control.sync_id}`
  const absence = absenceOf(codec, control, {
    kind: 'absence',
    detail: `not in ${listing}`,
    pages: control.pages,
    records: control.records,
  })
  out.completeRuns.prepare(key)
  const snapshot = out.overlay.get(key)
  const outcome = snapshot && differ.removeAbsent(model, snapshot, absence, source)
  // What was observed after the run began is no absentee, and its children are none either.
  if (outcome?.kind === 'stale') return false
  if (outcome) out.outcome(model, key, outcome, record.timestampMs)
  if (outcome?.kind === 'changed') out.tally.absence(model, origin, outcome)
  const parentKey = key.toString('utf8') as RecordKey
  const ofParent = absenceOf(codec, control, {
    kind: 'absence',
    detail: `${parentKey} is not in ${listing}`,
    pages: control.pages,
    records: control.records,
  })
  const listed = new Set<string>()
  for (const child of childModels(model))
    removeChildren(
      { codec, differ, out },
      control,
      { model: child, parentKey, listed },
      ofParent,
      { partition, offset: record.offset },
      record.timestampMs,
    )
  return outcome?.kind === 'changed'
}

type Answer = Pick<SweepReport, 'phase'> & Partial<SweepReport>

function report({ barrier, partition }: SweepInput, fields: Answer): SweepReport {
  const { control } = barrier
  return {
    sync_id: control.sync_id ?? '',
    model: control.model,
    partition,
    part: 0,
    parts: 1,
    begin_offset: control.begin_offset ?? 0,
    records: 0,
    suspects: 0,
    children: 0,
    keys: [],
    deleted: 0,
    reason: null,
    to: control.kind,
    confirmed_by: control.cause.actor,
    fetch_started_at: control.fetch_started_at,
    cause_kind: control.cause.kind,
    pages: control.pages,
    listed: control.records,
    names_suspects: control.names_suspects,
    spared: control.spared,
    ...fields,
  }
}

function answer(input: SweepInput, out: SliceCollector, reports: readonly SweepReport[]): void {
  const { codec, barrier, partitions } = input
  const { control, record } = barrier
  for (const one of reports) {
    const value = codec.encode('Command', {
      id: `${one.sync_id}/${one.model}/${one.phase}/${one.partition}/${one.part}`,
      integration_id: control.integration_id,
      kind: 'confirm_absence',
      at: control.observed_at,
      actor: null,
      payload: sweepReportText(one),
    })
    const to = partitionOf(control.integration_id, partitions)
    out.emit(COMMANDS_TOPIC, Buffer.from(control.integration_id), value, record.timestampMs, to)
  }
}

/** Moves behind the barrier with the last transaction only. */
async function commit(input: SweepInput, out: SliceCollector, isLast: boolean): Promise<void> {
  const { task, barrier, partitions, onCounts } = input
  const { offset, timestampMs } = barrier.record
  if (isLast) out.outcomes.control++
  const { outputs, state, counts } = out.finish(timestampMs, partitions)
  await task.commit({ outputs, state, position: isLast ? offset + 1 : offset })
  onCounts(counts)
}

/** Commands stay well below a message's size. */
const CHUNK_BYTES_MAX = 256 * 1024

function chunked(keys: readonly string[]): string[][] {
  const chunks: string[][] = [[]]
  let bytes = 0
  for (const key of keys) {
    if (bytes > CHUNK_BYTES_MAX) {
      chunks.push([])
      bytes = 0
    }
    ;(chunks.at(-1) as string[]).push(key)
    bytes += key.length + 3
  }
  return chunks
}
