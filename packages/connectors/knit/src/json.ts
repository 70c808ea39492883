/** Reading Knit's JSON without believing in it. */

import { isJson, type Json } from '@tidemark/connector/mapping'

export { isJson, type Json }

/** A non-empty text, else null. */
export const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

/** An id of the source system: a non-empty text, or a whole number, which some systems have; else null. */
export const idOf = (value: unknown): string | null =>
  typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : textOf(value)

/**
 * A time as Knit may write it: ISO 8601 text and numbers are handed on as they are, epoch milliseconds as text become a number. What is
 * none of these is handed on too, for the record to be refused with a path.
 */
export const timeOf = (value: unknown): unknown =>
  typeof value === 'string' && /^-?\d{5,}$/.test(value) ? Number(value) : value

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The body as a JSON object. Throws SyntaxError or TypeError when it is none. */
export function parseObject(rawBody: Uint8Array): Json {
  const value: unknown = JSON.parse(utf8.decode(rawBody))
  if (!isJson(value)) throw new TypeError('the body is no JSON object')
  return value
}
