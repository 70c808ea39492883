/** Renaming and converting the fields of a record, and the parts that jobs and applications share. */
import type { RecordInput } from '@tidemark/model'
import type { Collector } from './collector.ts'
import { idOf, isJson, type Json, textOf } from './json.ts'

/** Field of the model to field of Knit, with a conversion of what is not null where the shapes differ. */
export type FieldTable = Readonly<
  Record<string, string | readonly [from: string, convert: (value: unknown) => unknown]>
>

/** The fields of the table that the JSON has; null stays null. A conversion that answers undefined leaves its field out. */
export function fieldsOf(json: Json, table: FieldTable): RecordInput {
  const record: Record<string, unknown> = {}
  for (const [to, source] of Object.entries(table)) {
    const [from, convert] = typeof source === 'string' ? [source, null] : source
    const value = json[from]
    if (value === undefined) continue
    const converted = value === null || convert === null ? value : convert(value)
    if (converted !== undefined) record[to] = converted
  }
  return record
}

/** A reference to an entity that is only named by its id; null where Knit says so, undefined where it says nothing usable. */
export function referenceTo(
  out: Collector,
  model: 'jobs' | 'candidates' | 'application-stages',
  id: unknown,
): string | null | undefined {
  if (id === null) return null
  const text = idOf(id)
  return text === null ? undefined : out.reference(model, text)
}

/**
 * A user, of whom Knit shows nothing but id and address (documented); the employee number has no place in the model. Returns the id, or null
 * for one without: a person who cannot be told from others is no record.
 */
export function mapUser(user: unknown, out: Collector): string | null {
  const id = isJson(user) ? idOf(user['id']) : null
  if (!isJson(user) || id === null) return null
  out.entity('users', id, fieldsOf(user, { email: 'email' }))
  return id
}

/** A stage as jobs and applications show it (observed: `{id, text}`). Returns its id, or null for one without. */
export function mapStage(stage: unknown, out: Collector): string | null {
  const id = isJson(stage) ? idOf(stage['id']) : null
  if (!isJson(stage) || id === null) return null
  out.entity('application-stages', id, fieldsOf(stage, { name: 'text' }))
  return id
}

/** A place that is known by its text only. */
export const placeOf = (value: unknown): RecordInput | null | undefined =>
  typeof value !== 'string' ? undefined : value.trim() === '' ? null : { raw: value }

/** A word's meaning; undefined for a word that the table lacks. Names that every object inherits are such words too. */
export const meaningOf = (table: Readonly<Record<string, string>>, word: unknown): string | undefined =>
  typeof word === 'string' && Object.hasOwn(table, word) ? table[word] : undefined

/** Words of Knit to words of the model; a text that the table lacks is kept where the model admits the ATS's own. */
export const wordOf =
  (table: Readonly<Record<string, string>>) =>
  (value: unknown): unknown => {
    const text = textOf(value)
    if (text === null) return undefined
    return meaningOf(table, text.toUpperCase().replace(/[^A-Z0-9]+/g, '_')) ?? text
  }
