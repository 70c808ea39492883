import type { ModelName } from '@tidemark/model'
import { isoTime, postgresJson } from './json.ts'
import type { ChangeSummary, ProjectedChange } from './rows.ts'
import { type Superseded, type Versions, versionsOf } from './versions.ts'

/** A batch of changes as the parameters of its statements: JSON texts of row lists, one text per statement. */
export interface BatchRows {
  /** Versions that may replace rows, by model: the parameter of `replaceSql`. */
  readonly replacing: ReadonlyMap<ModelName, readonly string[]>
  /** Versions that others of the batch supersede, by model: the parameter of `supersededSql`. */
  readonly superseded: ReadonlyMap<ModelName, readonly string[]>
  /** Rows by model, of each record only its last version. */
  readonly rows: ReadonlyMap<ModelName, readonly string[]>
  /** Every change. */
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

/**
 * Collapses changes to what one transaction writes, in this order: `replacing`, `superseded`, `rows`, `history`, `counts`. Changes of one
 * record should come in the order of their versions.
 */
export function collapse(changes: readonly ProjectedChange[], rowsPerStatement = ROWS_PER_STATEMENT): BatchRows {
  const perModel = new Map<ModelName, number>()
  for (const { model } of changes) perModel.set(model, (perModel.get(model) ?? 0) + 1)
  const versions = versionsOf(changes)
  const texts = (of: (versions: Versions<ProjectedChange>) => readonly string[]): Map<ModelName, readonly string[]> =>
    new Map([...versions].map(([model, found]) => [model, chunks(of(found), rowsPerStatement)]))
  return {
    replacing: texts(({ replacing }) => replacing.map(replacingText)),
    superseded: texts(({ superseded }) => superseded.map(supersededText)),
    rows: texts(({ last }) => last.map((change) => change.row)),
    history: chunks(
      changes.map((change) => change.history),
      rowsPerStatement,
    ),
    counts: countsJsonText(changes),
    changes: perModel,
  }
}

/** JSON list of versions that may replace rows: the parameter of `replaceSql`. */
export const replacingJsonText = (records: readonly (readonly ChangeSummary[])[]): string =>
  `[${records.map(replacingText).join(',')}]`

/** The versions of one record, without the brackets of the list. */
function replacingText(versions: readonly ChangeSummary[]): string {
  const items = versions.map(({ recordKey, version, changedAtMs }) =>
    JSON.stringify({ record_key: recordKey, version, changed_at: isoTime(changedAtMs) }),
  )
  return postgresJson(items.join(','))
}

const supersededText = ({ change, atMs }: Superseded<ProjectedChange>): string =>
  `${change.row.slice(0, -1)},"superseded_at":"${isoTime(atMs)}"}`

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
