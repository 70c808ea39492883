import type { ModelName } from '@tidemark/model'
import type { ChangeSummary } from './rows.ts'

/** A version with what ends it. */
export interface Superseded<C> {
  readonly change: C
  /** The earliest time of a later version. */
  readonly atMs: number
}

/** What changes of one model mean for its table and for that of its superseded versions. */
export interface Versions<C> {
  /** Of each record its last version. */
  readonly last: readonly C[]
  /** Every version before the last one of its record. */
  readonly superseded: readonly Superseded<C>[]
  /** Versions that may supersede what stands in the table, by record. A record's first version alone cannot. */
  readonly replacing: readonly (readonly C[])[]
}

/**
 * Sorts changes into what they mean for the tables, by model. Changes of one record may come in any order and repeatedly: of equal versions
 * the first one counts.
 */
export function versionsOf<C extends ChangeSummary>(changes: readonly C[]): Map<ModelName, Versions<C>> {
  const models = new Map<ModelName, Map<string, C[]>>()
  for (const change of changes) {
    const records = models.get(change.model) ?? new Map<string, C[]>()
    models.set(change.model, records)
    const known = records.get(change.recordKey)
    if (known) known.push(change)
    else records.set(change.recordKey, [change])
  }
  return new Map([...models].map(([model, records]) => [model, versionsOfModel(records)]))
}

function versionsOfModel<C extends ChangeSummary>(records: ReadonlyMap<string, readonly C[]>): Versions<C> {
  const last: C[] = []
  const superseded: Superseded<C>[] = []
  const replacing: C[][] = []
  for (const changes of records.values()) {
    const versions = changes.length === 1 ? [...changes] : inOrder(changes)
    const newest = versions.at(-1) as C
    last.push(newest)
    let atMs = newest.changedAtMs
    for (const change of versions.slice(0, -1).reverse()) {
      superseded.push({ change, atMs })
      atMs = Math.min(atMs, change.changedAtMs)
    }
    if (versions.length > 1 || newest.version > 1) replacing.push(versions)
  }
  return { last, superseded, replacing }
}

/** Rising versions, each once. */
function inOrder<C extends ChangeSummary>(changes: readonly C[]): C[] {
  const byVersion = new Map<number, C>()
  for (const change of changes) if (!byVersion.has(change.version)) byVersion.set(change.version, change)
  return [...byVersion.values()].sort((a, b) => a.version - b.version)
}
