import type { Source } from '@tidemark/connector'
import { type ModelName, type RecordKey, rootKey } from '@tidemark/model'
import { partsOf } from '../sync/tables.ts'
import { keysOf } from './existence.ts'
import { type Expected, listName, parentModelOf, type Reading } from './oracle.ts'
import type { SimulatedProvider } from './provider.ts'
import type { ShownRow } from './rows.ts'

export interface Compared {
  /** Differences between the tables, the reading and the company, each in a line that begins with the record's key. */
  readonly problems: readonly string[]
  /** Records that were known once and do not exist any more, of which a complete reading says so. */
  readonly gone: number
  /** Those of them that the tables show as deleted. */
  readonly found: number
}

export interface ComparedSides {
  readonly provider: SimulatedProvider
  readonly source: Pick<Source, 'streams' | 'modelsOf' | 'sweptModelsOf'>
  readonly reading: Reading
  readonly rows: ReadonlyMap<RecordKey, ShownRow>
}

/** Compares what the tables show with what the provider has. */
export function compare({ provider, source, reading, rows }: ComparedSides): Compared {
  const known = provider.existing()
  const existing = keysOf(provider.integration, known)
  /** Records of which the company does not say whether they are shown: of some models, and those inside of what is flagged as deleted. */
  const isUnknown = (key: RecordKey): boolean => {
    const { model } = partsOf(key)
    return !known.has(model) || provider.showsMoreOf === model || reading.records.get(rootKey(key))?.isDeleted === true
  }
  const swept = new Set(source.streams.flatMap((stream) => (source.sweptModelsOf ?? source.modelsOf)(stream)))
  const problems = [...contradictions({ provider, reading, existing, isUnknown })]
  for (const [key, expected] of reading.records) {
    const problem = problemOf(expected, rows.get(key))
    if (problem !== null) problems.push(`${key} ${problem}`)
  }
  const isThere = (key: RecordKey): boolean => existing.has(key) || (isRead(reading, key) && isUnknown(key))
  const gone = [...rows].filter(
    ([key, { model }]) => !isThere(key) && isTold(key, model, { swept, lists: reading.lists, isThere }),
  )
  for (const [key, { isDeleted }] of gone) if (!isDeleted) problems.push(`${key} is shown as if it existed`)
  // Who came back without being listed is not seen by any reading.
  const isUnlisted = (key: RecordKey): boolean => provider.isUnlisted(partsOf(key).model, partsOf(key).remote)
  for (const [key, { isDeleted }] of rows)
    if (isDeleted && isThere(key) && !isUnlisted(key)) problems.push(`${key} exists, and is shown as deleted`)
  return { problems, gone: gone.length, found: gone.filter(([, { isDeleted }]) => isDeleted).length }
}

const isRead = ({ records }: Reading, key: RecordKey): boolean => records.get(key)?.isDeleted === false

interface Contradicting extends Pick<ComparedSides, 'provider' | 'reading'> {
  readonly existing: ReadonlySet<RecordKey>
  readonly isUnknown: (key: RecordKey) => boolean
}

/** Where the reading and the company disagree on what exists: then the simulator or the connector is wrong, or this test. */
function* contradictions({ provider, reading, existing, isUnknown }: Contradicting): Generator<string> {
  for (const key of reading.records.keys())
    if (isRead(reading, key) && !existing.has(key) && !isUnknown(key))
      yield `${key} is read, and the company does not have it`
  for (const key of existing) {
    const { model, remote } = partsOf(key)
    if (!isRead(reading, key) && !provider.isUnlisted(model, remote))
      yield `${key} exists, and a complete reading does not show it`
  }
}

function problemOf(expected: Expected, row: ShownRow | undefined): string | null {
  // What was deleted before anybody looked need not be known.
  if (expected.isDeleted)
    return row?.isDeleted === false ? 'is shown as if it existed, and is flagged as deleted' : null
  if (row === undefined) return 'is missing'
  if (row.isDeleted) return 'is read, and is shown as deleted'
  const wrong = [...expected.fields].filter(([name, value]) => row.fields.get(name) !== value)
  if (wrong.length === 0) return null
  const told = wrong.map(([name, value]) => `${name} ${row.fields.get(name)} instead of ${value}`)
  return `is shown with ${told.join(', ').slice(0, 600)}`
}

interface Telling {
  readonly swept: ReadonlySet<ModelName>
  readonly lists: ReadonlySet<string>
  readonly isThere: (key: RecordKey) => boolean
}

/** Whether a complete reading tells that a record is gone: by its absence, by its parent's complete list, or by its parent's absence. */
function isTold(key: RecordKey, model: ModelName, { swept, lists, isThere }: Telling): boolean {
  if (parentModelOf(model) === undefined) return swept.has(model)
  const parent = rootKey(key)
  return isThere(parent) ? lists.has(listName(model, parent)) : swept.has(partsOf(parent).model)
}
