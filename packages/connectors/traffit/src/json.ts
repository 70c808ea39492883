/** Looking into JSON that may hold anything. */
import { isJson } from '@tidemark/connector/mapping'

/** A text that is not empty, else null. */
export const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

/** TRAFFIT's ids are whole numbers; some receivers see them as text. As text, or null for anything else. */
export function idOf(value: unknown): string | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? String(value) : null
  return typeof value === 'string' && /^\d{1,16}$/.test(value) ? value : null
}

/** The id of a reference `{"id": 49}`, or null. */
export const refId = (value: unknown): string | null => (isJson(value) ? idOf(value['id']) : null)

/** The JSON of a text that holds JSON, or undefined. */
export function jsonIn(text: unknown): unknown {
  if (typeof text !== 'string') return undefined
  try {
    return JSON.parse(text)
  } catch {
    // Tenants may hold free text where others hold JSON.
    return undefined
  }
}
