/**
 * Walks the topics and checks what tidemark promises (see CHECKS). Memory is bounded: records are taken in buckets by a hash
 * of their key, as many passes as it needs, and of each record only a digest is kept.
 */
import type { Codec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { changesTopic, MODEL_NAMES, type ModelName, murmur2, snapshotsTopic } from '@tidemark/model'
import { createChainChecker, type Last } from './chain.ts'
import { contentDigest } from './content.ts'
import { checkProjection, type ProjectionReader, type RowCounts } from './projection.ts'
import { Findings, type Report } from './report.ts'
import { createSupersededCheck, type SupersededCheck } from './superseded.ts'
import { rangesOf, type WalkRange, walk } from './walk.ts'

export interface VerifyDeps {
  readonly log: EventLog
  readonly codec: Codec
  /** Tables to compare with; absent: that check is skipped and the report says so. */
  readonly projection?: ProjectionReader
}

export interface VerifyOptions {
  readonly partitions: number
  readonly signal: AbortSignal
  /** Fields marked `diff: ignore` that this installation compares. */
  readonly tracked?: readonly string[]
  /** Records whose digests are held in memory at a time. */
  readonly recordsPerPass?: number
  readonly onProgress?: (progress: VerifyProgress) => void
}

export interface VerifyProgress {
  readonly done: number
  readonly total: number
  readonly topic: string
  readonly problems: number
}

const RECORDS_PER_PASS = 500_000

interface Totals {
  changes: number
  snapshots: number
  records: number
  rows: number
  superseded: number
  done: number
}

/** What all steps of one verification share. */
interface Run {
  readonly deps: VerifyDeps
  readonly options: VerifyOptions
  readonly findings: Findings
  readonly totals: Totals
  /** Counts records walked and tells the caller. */
  advance(topic: string, records: number): void
}

/** One model's topics as they were when the verification began. */
interface Plan {
  readonly model: ModelName
  /** Ends of the changes before the snapshots were measured. */
  readonly settled: readonly WalkRange[]
  readonly snapshots: readonly WalkRange[]
  readonly changes: readonly WalkRange[]
  readonly work: number
}

/** The records of one partition that one pass looks at. */
interface Pass {
  readonly plan: Plan
  readonly partition: number
  readonly includes: (key: Buffer) => boolean
}

/** Never throws for what it finds; throws what keeps it from looking (an unreadable log, a lost store). */
export async function verify(deps: VerifyDeps, options: VerifyOptions): Promise<Report> {
  const findings = new Findings()
  const totals: Totals = { changes: 0, snapshots: 0, records: 0, rows: 0, superseded: 0, done: 0 }
  const plans: Plan[] = []
  for (const model of MODEL_NAMES) plans.push(await planOf(deps.log, model, options))
  const total = plans.reduce((sum, plan) => sum + plan.work, 0)
  const advance = (topic: string, records: number): void => {
    totals.done += records
    options.onProgress?.({ done: totals.done, total, topic, problems: findings.total })
  }
  for (const plan of plans) await verifyModel({ deps, options, findings, totals, advance }, plan)
  const { changes, snapshots, records, rows, superseded } = totals
  return {
    ok: findings.total === 0 && !options.signal.aborted,
    problems: findings.problems,
    problemsTotal: findings.total,
    changes,
    snapshots,
    records,
    rows,
    superseded,
    skipped: deps.projection ? [] : [{ check: 'projection', reason: 'no store was given' }],
  }
}

const lengthOf = (range: WalkRange | undefined): number => (range ? range.end - range.start : 0)

async function planOf(log: EventLog, model: ModelName, { partitions, recordsPerPass }: VerifyOptions): Promise<Plan> {
  // A writer may go on meanwhile: what was there before the snapshots were measured must be in them, and what they hold must have
  // its change.
  const settled = await rangesOf(log, changesTopic(model), partitions)
  const snapshots = await rangesOf(log, snapshotsTopic(model), partitions)
  const changes = await rangesOf(log, changesTopic(model), partitions)
  const work = changes.reduce(
    (sum, range, p) => sum + (lengthOf(range) + lengthOf(snapshots[p])) * passesFor(range, recordsPerPass),
    0,
  )
  return { model, settled, snapshots, changes, work }
}

/** There are at most as many records as changes. */
function passesFor(range: WalkRange | undefined, recordsPerPass = RECORDS_PER_PASS): number {
  return Math.max(1, Math.ceil(lengthOf(range) / recordsPerPass))
}

async function verifyModel(run: Run, plan: Plan): Promise<void> {
  const { deps, options, totals } = run
  let records = 0
  const changesBefore = totals.changes
  for (const [partition, range] of plan.changes.entries()) {
    const passes = passesFor(range, options.recordsPerPass)
    for (let pass = 0; pass < passes && !options.signal.aborted; pass++) {
      // The low bits of the hash chose the partition; the pass takes others.
      const includes = (key: Buffer): boolean => passes === 1 || (murmur2(key) >>> 8) % passes === pass
      const lasts = await walkChanges(run, { plan, partition, includes })
      await walkSnapshots(run, { plan, partition, includes }, lasts)
      records += lasts.size
      if (deps.projection) {
        const check = { model: plan.model, partition, end: range.end, lasts, findings: run.findings }
        totals.rows += await checkProjection(deps.projection, check)
      }
    }
  }
  totals.records += records
  if (deps.projection && !options.signal.aborted) {
    // Of every record one version is its state; all others are superseded.
    const superseded = totals.changes - changesBefore - records
    await checkRowCount(run, deps.projection, plan, { records, superseded })
  }
}

async function checkRowCount(run: Run, projection: ProjectionReader, plan: Plan, expected: RowCounts): Promise<void> {
  const found = await projection.count(plan.model, new Map(plan.changes.map((r) => [r.partition, r.end])))
  if (found === null) return
  const topic = changesTopic(plan.model)
  const fail = (message: string): void =>
    run.findings.add({ check: 'projection', topic, partition: 0, offset: null, key: null, message })
  if (found.records !== expected.records)
    fail(`the table of ${plan.model} has ${found.records} rows, the changes name ${expected.records} records`)
  if (found.superseded !== expected.superseded)
    fail(
      `the history of ${plan.model} has ${found.superseded} rows, the changes superseded ${expected.superseded} versions`,
    )
}

async function walkChanges(run: Run, { plan, partition, includes }: Pass): Promise<Map<string, Last>> {
  const { findings, deps, options, totals } = run
  const { model } = plan
  const range = plan.changes[partition] as WalkRange
  const { topic } = range
  const tracked = new Set(options.tracked ?? [])
  const checker = createChainChecker({ codec: deps.codec, findings, model, topic, partition, tracked })
  const superseded = await supersededCheck(run, model, partition)
  const lasts = new Map<string, Last>()
  for await (const batch of walk(deps.log, range, options.signal)) {
    for (const record of batch) {
      if (record.key === null || record.value === null) {
        const message = 'a change needs a key and a value'
        findings.add({ check: 'decodable', topic, partition, offset: record.offset, key: null, message })
      } else if (includes(record.key)) {
        totals.changes++
        const key = record.key.toString('utf8')
        const last = lasts.get(key)
        const checked = checker.check(record, key, last)
        if (!checked) continue
        const { changedAtMs, ...left } = checked
        lasts.set(key, left)
        const ended = last && { key, ...last, offset: record.offset, endsAtMs: changedAtMs }
        await superseded?.change(key, changedAtMs, ended)
      }
    }
    run.advance(topic, batch.length)
  }
  totals.superseded += (await superseded?.end()) ?? 0
  return lasts
}

async function supersededCheck(
  { deps: { projection }, findings }: Run,
  model: ModelName,
  partition: number,
): Promise<SupersededCheck | undefined> {
  if (!projection) return undefined
  const position = await projection.position(model, partition)
  return createSupersededCheck(projection, { model, partition, position, findings })
}

/** A purged record's last snapshot is a tombstone. */
const PURGED_VERSION = -1

async function walkSnapshots(
  run: Run,
  { plan, partition, includes }: Pass,
  lasts: ReadonlyMap<string, Last>,
): Promise<void> {
  const { findings, deps, options, totals } = run
  const range = plan.snapshots[partition] as WalkRange
  const { topic } = range
  const seen = new Map<string, Last>()
  for await (const batch of walk(deps.log, range, options.signal)) {
    for (const { key: bytes, value, offset } of batch) {
      if (bytes === null || !includes(bytes)) continue
      totals.snapshots++
      const key = bytes.toString('utf8')
      try {
        const snapshot = value === null ? null : deps.codec.decodeSnapshot(plan.model, value)
        const version = snapshot?.version ?? PURGED_VERSION
        seen.set(key, { version, digest: contentDigest(plan.model, snapshot?.record ?? null), offset })
      } catch (error) {
        findings.add({ check: 'decodable', topic, partition, offset, key, message: (error as Error).message })
      }
    }
    run.advance(topic, batch.length)
  }
  if (!options.signal.aborted) compareSnapshots(run, range, (plan.settled[partition] as WalkRange).end, lasts, seen)
}

/** The last snapshot of each key must be what its last change left. */
function compareSnapshots(
  { findings }: Run,
  { topic, partition }: WalkRange,
  settledEnd: number,
  lasts: ReadonlyMap<string, Last>,
  seen: ReadonlyMap<string, Last>,
): void {
  for (const [key, last] of lasts) {
    const snapshot = seen.get(key)
    const fail = (message: string): void =>
      findings.add({ check: 'snapshots', topic, partition, offset: snapshot?.offset ?? null, key, message })
    if (snapshot === undefined || snapshot.version < last.version) {
      const found = snapshot === undefined ? 'no snapshot' : `a snapshot of version ${snapshot.version}`
      if (last.offset < settledEnd && snapshot?.version !== PURGED_VERSION)
        fail(`${found}, the last change is version ${last.version}`)
    } else if (snapshot.version > last.version) {
      fail(`a snapshot of version ${snapshot.version}, the last change is version ${last.version}`)
    } else if (snapshot.digest !== last.digest) {
      fail(`the snapshot of version ${snapshot.version} is not what its change left`)
    }
  }
  for (const [key, { version, offset }] of seen) {
    if (lasts.has(key)) continue
    findings.add({
      check: 'snapshots',
      topic,
      partition,
      offset,
      key,
      message: `a snapshot of version ${version} without any change`,
    })
  }
}
