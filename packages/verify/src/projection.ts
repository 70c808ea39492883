import { changesTopic, type ModelName } from '@tidemark/model'
import type { Last } from './chain.ts'
import { erasedDigest } from './content.ts'
import type { Findings } from './report.ts'

/** A row as it is compared. */
export interface ProjectedRow {
  readonly version: number
  /** See contentDigest. */
  readonly digest: string
  /** Its personal data was erased, as it is some time after a deletion. */
  readonly erased: boolean
}

/** A row of a superseded version. */
export interface PastRow extends Omit<ProjectedRow, 'version'> {
  /** From then on the version was not the record's state any more. */
  readonly endsAtMs: number
}

/** Rows of a model's tables: records, and superseded versions of them. */
export interface RowCounts {
  readonly records: number
  readonly superseded: number
}

/** What the check needs of the tables. */
export interface ProjectionReader {
  /** Next change offset that the tables of a model and partition have not taken in. */
  position(model: ModelName, partition: number): Promise<number>
  /** The rows with these keys. */
  rows(model: ModelName, keys: readonly string[]): Promise<Map<string, ProjectedRow>>
  /** The rows of these superseded versions, by {@link pastRowKey}. */
  past(
    model: ModelName,
    versions: readonly { readonly key: string; readonly version: number }[],
  ): Promise<Map<string, PastRow>>
  /** Rows of a model, or null when the tables are not exactly at these ends (partition to offset). */
  count(model: ModelName, ends: ReadonlyMap<number, number>): Promise<RowCounts | null>
}

const KEYS_PER_QUERY = 1_000

interface ProjectionCheck {
  readonly model: ModelName
  readonly partition: number
  /** End of the changes that were walked. */
  readonly end: number
  readonly lasts: ReadonlyMap<string, Last>
  readonly findings: Findings
}

/**
 * Compares rows with what the changes left; returns the number of rows compared. Rows may be newer than what was walked (the
 * projector goes on), and older only while their change lies behind the tables' position.
 */
export async function checkProjection(
  projection: ProjectionReader,
  { model, partition, end, lasts, findings }: ProjectionCheck,
): Promise<number> {
  const position = Math.min(await projection.position(model, partition), end)
  const keys = [...lasts.keys()]
  let compared = 0
  for (let at = 0; at < keys.length; at += KEYS_PER_QUERY) {
    const slice = keys.slice(at, at + KEYS_PER_QUERY)
    const rows = await projection.rows(model, slice)
    for (const key of slice) {
      const last = lasts.get(key) as Last
      if (last.offset >= position) continue
      const message = difference(model, last, rows.get(key))
      if (message !== undefined)
        findings.add({ check: 'projection', topic: changesTopic(model), partition, offset: last.offset, key, message })
      compared++
    }
  }
  return compared
}

function difference(model: ModelName, last: Last, row: ProjectedRow | undefined): string | undefined {
  if (row === undefined) return `no row, though the changes left version ${last.version}`
  if (row.version < last.version) return `the row has version ${row.version}, the changes left version ${last.version}`
  const digest = row.erased ? erasedDigest(model, last.digest) : last.digest
  if (row.version === last.version && row.digest !== digest)
    return `the row's content is not what version ${last.version} left`
  return undefined
}
