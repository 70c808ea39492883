import { MODEL_NAMES, type ModelName } from '@tidemark/model'
import {
  type CopiedChange,
  deliveredColumns,
  historySql,
  indexedTexts,
  PROBE_SCHEMA,
  type ProjectedChange,
  probeTables,
  supersededSql,
  upsertSql,
} from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { isDataError } from '../writer.ts'

/** All of a row's indexed texts together below this fit an index entry (2,704 bytes), at up to four bytes each. */
const CHARS_SAFE = 600

/** Places of the indexed texts in a copied row. */
const PLACES: ReadonlyMap<ModelName, readonly number[]> = new Map(
  MODEL_NAMES.map((model) => {
    const names = deliveredColumns(model).map(({ name }) => name)
    return [model, indexedTexts(model).map((name) => names.indexOf(name))]
  }),
)

/** True when an index that is made later might refuse the row. */
export function mayBeTooLong({ model, row }: CopiedChange): boolean {
  let chars = 0
  for (const at of PLACES.get(model) ?? []) {
    const value = row[at]
    if (typeof value === 'string') chars += value.length
  }
  return chars > CHARS_SAFE
}

class Undone extends Error {}

/** The database's refusal of a change by the indexes that do not exist yet; null when it takes it. Leaves nothing. */
export async function refusalOf(store: SqlStore, change: ProjectedChange): Promise<unknown> {
  try {
    await store.transaction(async (tx) => {
      for (const sql of probeTables(change.model)) await tx.query(sql)
      await tx.query(upsertSql(PROBE_SCHEMA, change.model), [`[${change.row}]`, '2000-01-01T00:00:00Z'])
      await tx.query(supersededSql(PROBE_SCHEMA, change.model), [
        `[${change.row.slice(0, -1)},"superseded_at":"2000-01-01T00:00:00Z"}]`,
      ])
      await tx.query(historySql(PROBE_SCHEMA), [`[${change.history}]`])
      throw new Undone()
    })
  } catch (error) {
    if (error instanceof Undone) return null
    if (isDataError(error)) return error
    throw error
  }
  return null
}
