import { isJson, type Json } from '@tidemark/connector/mapping'

export { isJson, type Json } from '@tidemark/connector/mapping'

/** A text that says something; undefined for anything else. */
export const textOf = (json: Json, name: string): string | undefined => {
  const value = json[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** An id as a text: HR WORKS has both texts and numbers. */
export const idOf = (json: Json, name: string): string | undefined => {
  const value = json[name]
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : textOf(json, name)
}

/**
 * `{to: value}` when the JSON has the key: null stays null, anything else is converted. Absent keys are not delivered.
 */
export function field(to: string, json: Json, from: string, convert: (value: unknown) => unknown = same): Json {
  const value = json[from]
  if (value === undefined) return {}
  return { [to]: value === null ? null : convert(value) }
}

const same = (value: unknown): unknown => value

/**
 * The rows of a list: under its name (inferred for most lists), or the answer itself where that is the list; undefined
 * for anything else.
 */
export function rowsOf(json: unknown, name: string): readonly unknown[] | undefined {
  const rows = isJson(json) ? json[name] : json
  return Array.isArray(rows) ? rows : undefined
}
