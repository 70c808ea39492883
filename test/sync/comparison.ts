import { type RecordKey, rootKey } from '@tidemark/model'
import type { Company, Row } from './company.ts'
import { childFields, references } from './mapping.ts'
import { isDeleted, partsOf, rowOf, type TableRow, type Tables } from './tables.ts'
import { STREAMS } from './traits.ts'

export interface ComparisonOptions {
  /** Records, by the key of their root, of which nothing can be demanded yet. */
  readonly isExempt: (root: RecordKey) => boolean
  /** Whether what is gone must be shown so, of the records below roots of this model. */
  readonly isDeletionDue: (rootModel: string) => boolean
}

/** How the projection differs from the provider: wrong values, records that are missing, that are there no more, that are deleted and exist. */
export function differences(company: Company, tables: Tables, options: ComparisonOptions): string[] {
  const expected = new Map(
    STREAMS.flatMap((stream) => company.rows(stream)).flatMap((row) => expectationsOf(company, row)),
  )
  const hidden = hiddenParents(company)
  const problems: string[] = []
  for (const [key, fields] of expected) {
    if (options.isExempt(rootKey(key)) || isHidden(key, hidden)) continue
    const problem = problemOfLive(rowOf(tables, key), fields)
    if (problem !== null) problems.push(`${key} ${problem}; it ${company.history.describe(key)}`)
  }
  for (const [key, text] of tables) {
    if (partsOf(key).integrationId !== company.integration || company.history.exists(key)) continue
    const root = rootKey(key)
    if (options.isExempt(root) || isHidden(key, hidden) || !options.isDeletionDue(partsOf(root).model)) continue
    if (!isDeleted(JSON.parse(text) as TableRow))
      problems.push(`${key} is shown as if it existed; it ${company.history.describe(key)}`)
  }
  return problems
}

/** Records that are alive, with the fields that are delivered; children of what is in the trash too, for they are listed with it. */
function expectationsOf(company: Company, row: Row): [RecordKey, Record<string, unknown>][] {
  const own: [RecordKey, Record<string, unknown>][] =
    row.deletedAt === null ? [[company.keyOf(row), { ...row.fields, ...references(company, row) }]] : []
  const children = row.children.map((child): [RecordKey, Record<string, unknown>] => [
    company.childKeyOf(row, child),
    childFields(company, row, child),
  ])
  return [...own, ...children]
}

function problemOfLive(row: TableRow | undefined, fields: Record<string, unknown>): string | null {
  if (row === undefined) return 'is missing'
  if (isDeleted(row)) return 'exists, and is shown as deleted'
  const wrong = Object.entries(fields).filter(([name, value]) => row[name] !== value)
  if (wrong.length === 0) return null
  return `is shown with ${wrong.map(([name, value]) => `${name} ${row[name]} instead of ${value}`).join(', ')}`
}

/** Parents of which the provider does not tell the children. */
function hiddenParents(company: Company): Set<RecordKey> {
  const rows = STREAMS.flatMap((stream) => company.rows(stream))
  return new Set(rows.filter(({ showsList, isBlank }) => !showsList || isBlank).map((row) => company.keyOf(row)))
}

const isHidden = (key: RecordKey, hidden: ReadonlySet<RecordKey>): boolean => {
  const root = rootKey(key)
  return root !== key && hidden.has(root)
}

export interface Recall {
  /** Records that were known once and do not exist any more. */
  readonly gone: number
  /** Those of them that are shown as deleted. */
  readonly found: number
}

/** How many of the records that are gone are shown so. */
export function recallOf(company: Company, tables: Tables): Recall {
  const hidden = hiddenParents(company)
  const gone = [...tables].filter(
    ([key]) =>
      partsOf(key).integrationId === company.integration && !company.history.exists(key) && !isHidden(key, hidden),
  )
  const found = gone.filter(([, text]) => isDeleted(JSON.parse(text) as TableRow))
  return { gone: gone.length, found: found.length }
}
