import type { ModelName } from '@tidemark/model'
import { isoTime } from './json.ts'
import type { ChangeSummary, ProjectedChange } from './rows.ts'

/** A batch of changes as the parameters of its statements: JSON texts of row lists. */
export interface BatchRows {
  /** Rows by model, of each record only its last version; one text per statement. */
  readonly rows: ReadonlyMap<ModelName, readonly string[]>
  /** Every change; one text per statement. */
  readonly history: readonly string[]
  /** Movements of counts, one per integration, model and partition. */
  readonly counts: string
  /** Changes by model. */
  readonly changes: ReadonlyMap<ModelName, number>
}

interface Count {
  readonly integration_id: string
  readonly model: ModelName
  readonly partition: number
  records: number
  deleted: number
  changes: number
  lastMs: number
}

/** Rows per statement: an in-process PostgreSQL blocks its thread for as long as a statement takes. */
const ROWS_PER_STATEMENT = 100

/** Collapses changes to what one transaction writes. Changes of one record must come in the order of their versions. */
export function collapse(changes: readonly ProjectedChange[], rowsPerStatement = ROWS_PER_STATEMENT): BatchRows {
  const perModel = new Map<ModelName, number>()
  for (const { model } of changes) perModel.set(model, (perModel.get(model) ?? 0) + 1)
  const rows = new Map<ModelName, readonly string[]>()
  for (const [model, last] of lastVersions(changes)) {
    const texts = last.map((change) => change.row)
    rows.set(model, chunks(texts, rowsPerStatement))
  }
  const history = changes.map((change) => change.history)
  return {
    rows,
    history: chunks(history, rowsPerStatement),
    counts: countsJsonText(changes),
    changes: perModel,
  }
}

/** Of each record only its last version, by model. */
export function lastVersions<C extends ChangeSummary>(changes: readonly C[]): Map<ModelName, readonly C[]> {
  const byModel = new Map<ModelName, Map<string, C>>()
  for (const change of changes) {
    const rows = byModel.get(change.model) ?? new Map<string, C>()
    byModel.set(change.model, rows)
    const known = rows.get(change.recordKey)
    if (!known || known.version < change.version) rows.set(change.recordKey, change)
  }
  return new Map([...byModel].map(([model, rows]) => [model, [...rows.values()]]))
}

/** Movements of counts, one per integration, model and partition: the parameter of `countsSql`. */
export function countsJsonText(changes: readonly ChangeSummary[]): string {
  const counts = new Map<string, Count>()
  for (const change of changes) addCount(counts, change)
  return countsText(counts)
}

function chunks(texts: readonly string[], size: number): string[] {
  const out: string[] = []
  for (let at = 0; at < texts.length; at += size) out.push(`[${texts.slice(at, at + size).join(',')}]`)
  return out
}

function addCount(counts: Map<string, Count>, change: ChangeSummary): void {
  const key = `${change.partition}/${change.model}/${change.integrationId}`
  let count = counts.get(key)
  if (!count) {
    const { integrationId: integration_id, model, partition } = change
    count = { integration_id, model, partition, records: 0, deleted: 0, changes: 0, lastMs: change.changedAtMs }
    counts.set(key, count)
  }
  count.records += change.count.records
  count.deleted += change.count.deleted
  count.changes += 1
  count.lastMs = Math.max(count.lastMs, change.changedAtMs)
}

function countsText(counts: ReadonlyMap<string, Count>): string {
  const rows = [...counts.values()].map(({ lastMs, ...count }) => ({ ...count, last_changed_at: isoTime(lastMs) }))
  return JSON.stringify(rows)
}
