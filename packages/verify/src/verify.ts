/**
 * Walks the topics and checks what tidemark promises (see CHECKS). Memory is bounded: records are taken in buckets by a hash
 * of their key, as many passes as it needs, and of each record only a digest is kept.
 */
import type { Codec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import { changesTopic, MODEL_NAMES, type ModelName, murmur2, snapshotsTopic } from '@tidemark/model'
import { createChainChecker, type Last } from './chain.ts'
import { contentDigest } from './content.ts'
import { checkProjection, type ProjectionReader } from './projection.ts'
import { Findings, type Report } from './report.ts'
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
  done: number
}

/** Never throws for what it finds; throws what keeps it from looking (an unreadable log, a lost store). */
export async function verify(deps: VerifyDeps, options: VerifyOptions): Promise<Report> {
  const findings = new Findings()
  const totals: Totals = { changes: 0, snapshots: 0, records: 0, rows: 0, done: 0 }
  const plans = await Promise.all(MODEL_NAMES.map((model) => planOf(deps.log, model, options)))
  const total = plans.reduce((sum, plan) => sum + plan.work, 0)
  for (const plan of plans) {
    const report = (): void =>
      options.onProgress?.({ done: totals.done, total, topic: changesTopic(plan.model), problems: findings.total })
    await verifyModel(deps, options, plan, findings, totals, report)
  }
  return {
    ok: findings.total === 0 && !options.signal.aborted,
    problems: findings.problems,
    problemsTotal: findings.total,
    changes: totals.changes,
    snapshots: totals.snapshots,
    records: totals.records,
    rows: totals.rows,
    skipped: deps.projection ? [] : [{ check: 'projection', reason: 'no store was given' }],
  }
}

interface Plan {
  readonly model: ModelName
  readonly changes: readonly WalkRange[]
  readonly snapshots: readonly WalkRange[]
  readonly work: number
}

const lengthOf = (ranges: readonly WalkRange[]): number => ranges.reduce((sum, r) => sum + r.end - r.start, 0)

async function planOf(log: EventLog, model: ModelName, { partitions, recordsPerPass }: VerifyOptions): Promise<Plan> {
  // Snapshots first: a snapshot without its change would be a finding, a change whose snapshot came later would not.
  const snapshots = await rangesOf(log, snapshotsTopic(model), partitions)
  const changes = await rangesOf(log, changesTopic(model), partitions)
  const work = changes.reduce((sum, range, p) => {
    const perPass = lengthOf([range]) + lengthOf(snapshots.slice(p, p + 1))
    return sum + perPass * passesFor(range, recordsPerPass)
  }, 0)
  return { model, changes, snapshots, work }
}

/** There are at most as many records as changes. */
const passesFor = (range: WalkRange, recordsPerPass = RECORDS_PER_PASS): number =>
  Math.max(1, Math.ceil(lengthOf([range]) / recordsPerPass))

async function verifyModel(
  deps: VerifyDeps,
  options: VerifyOptions,
  plan: Plan,
  findings: Findings,
  totals: Totals,
  report: () => void,
): Promise<void> {
  let records = 0
  for (const [partition, changes] of plan.changes.entries()) {
    const passes = passesFor(changes, options.recordsPerPass)
    for (let pass = 0; pass < passes && !options.signal.aborted; pass++) {
      const mine = (key: Buffer): boolean => passes === 1 || (murmur2(key) >>> 4) % passes === pass
      const lasts = await walkChanges(deps, options, plan.model, changes, mine, findings, totals, report)
      const snapshots = plan.snapshots[partition] as WalkRange
      await walkSnapshots(deps, options, plan.model, snapshots, changes, mine, lasts, findings, totals, report)
      records += lasts.size
      if (deps.projection)
        totals.rows += await checkProjection(deps.projection, {
          model: plan.model,
          partition,
          end: changes.end,
          lasts,
          findings,
        })
    }
  }
  totals.records += records
  if (deps.projection && !options.signal.aborted) await checkRowCount(deps.projection, plan, records, findings)
}

async function checkRowCount(
  projection: ProjectionReader,
  plan: Plan,
  records: number,
  findings: Findings,
): Promise<void> {
  const rows = await projection.count(plan.model, new Map(plan.changes.map((r) => [r.partition, r.end])))
  if (rows !== null && rows !== records) {
    const message = `the table of ${plan.model} has ${rows} rows, the changes name ${records} records`
    findings.add({
      check: 'projection',
      topic: changesTopic(plan.model),
      partition: 0,
      offset: null,
      key: null,
      message,
    })
  }
}

async function walkChanges(
  deps: VerifyDeps,
  options: VerifyOptions,
  model: ModelName,
  range: WalkRange,
  mine: (key: Buffer) => boolean,
  findings: Findings,
  totals: Totals,
  report: () => void,
): Promise<Map<string, Last>> {
  const { topic, partition } = range
  const checker = createChainChecker({
    codec: deps.codec,
    findings,
    model,
    topic,
    partition,
    tracked: new Set(options.tracked ?? []),
  })
  const lasts = new Map<string, Last>()
  for await (const batch of walk(deps.log, range, options.signal)) {
    for (const record of batch) {
      if (record.key === null || record.value === null) {
        findings.add({
          check: 'decodable',
          topic,
          partition,
          offset: record.offset,
          key: null,
          message: 'a change needs a key and a value',
        })
        continue
      }
      if (!mine(record.key)) continue
      totals.changes++
      const key = record.key.toString('utf8')
      const last = checker.check(record, key, lasts.get(key))
      if (last) lasts.set(key, last)
    }
    totals.done += batch.length
    report()
  }
  return lasts
}

/** The last snapshot of each key must be what its last change left, as far as the walk over the changes has seen. */
async function walkSnapshots(
  deps: VerifyDeps,
  options: VerifyOptions,
  model: ModelName,
  range: WalkRange,
  changes: WalkRange,
  mine: (key: Buffer) => boolean,
  lasts: ReadonlyMap<string, Last>,
  findings: Findings,
  totals: Totals,
  report: () => void,
): Promise<void> {
  const { topic, partition } = range
  const seen = new Map<string, Last>()
  for await (const batch of walk(deps.log, range, options.signal)) {
    for (const record of batch) {
      if (record.key === null || !mine(record.key)) continue
      totals.snapshots++
      const key = record.key.toString('utf8')
      if (record.value === null) {
        seen.set(key, { version: -1, digest: '', offset: record.offset })
        continue
      }
      try {
        const snapshot = deps.codec.decodeSnapshot(model, record.value)
        seen.set(key, {
          version: snapshot.version,
          digest: contentDigest(model, snapshot.record),
          offset: record.offset,
        })
      } catch (error) {
        findings.add({
          check: 'decodable',
          topic,
          partition,
          offset: record.offset,
          key,
          message: (error as Error).message,
        })
      }
    }
    totals.done += batch.length
    report()
  }
  if (options.signal.aborted) return
  compareSnapshots({ topic, partition, changesTopic: changes.topic, lasts, seen, findings })
}

function compareSnapshots(c: {
  topic: string
  partition: number
  changesTopic: string
  lasts: ReadonlyMap<string, Last>
  seen: ReadonlyMap<string, Last>
  findings: Findings
}): void {
  for (const [key, snapshot] of c.seen) {
    const last = c.lasts.get(key)
    const fail = (message: string): void =>
      c.findings.add({
        check: 'snapshots',
        topic: c.topic,
        partition: c.partition,
        offset: snapshot.offset,
        key,
        message,
      })
    if (last === undefined) fail(`a snapshot of version ${snapshot.version} without any change`)
    else if (snapshot.version === last.version && snapshot.digest !== last.digest)
      fail(`the snapshot of version ${snapshot.version} is not what its change left`)
    else if (snapshot.version > last.version)
      fail(`a snapshot of version ${snapshot.version}, the last change is version ${last.version}`)
  }
}
