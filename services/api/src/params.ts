import { parseTime } from '@tidemark/model'
import { inputInvalid } from './errors.ts'

/** Query parameters as Fastify parses them: repeated ones are lists. */
export type Query = Readonly<Record<string, string | string[] | undefined>>

/** One value; undefined when absent. Throws on a repeated parameter. */
export function single(query: Query, name: string): string | undefined {
  const value = query[name]
  if (Array.isArray(value)) throw inputInvalid(`${name} is given ${value.length} times; give it once.`)
  return value
}

/** Comma-separated values, trimmed and without repetition; undefined when absent. */
export function list(query: Query, name: string): string[] | undefined {
  const value = query[name]
  if (value === undefined) return undefined
  const items = (Array.isArray(value) ? value : value.split(','))
    .map((item) => item.trim())
    .filter((item) => item !== '')
  if (items.length === 0) throw inputInvalid(`${name} is empty; leave it out, or give values separated by commas.`)
  return [...new Set(items)]
}

/** Comma-separated values, each one of those allowed. */
export function choices(query: Query, name: string, allowed: readonly string[]): string[] | undefined {
  const items = list(query, name)
  const wrong = items?.find((item) => !allowed.includes(item))
  if (wrong !== undefined) throw inputInvalid(`${name}: "${wrong}" is not one of ${allowed.join(', ')}.`)
  return items
}

/** One of the allowed values. */
export function choice<T extends string>(query: Query, name: string, allowed: readonly T[], fallback: T): T {
  const value = single(query, name)
  if (value === undefined) return fallback
  const found = allowed.find((item) => item === value)
  if (found === undefined) throw inputInvalid(`${name}: "${value}" is not one of ${allowed.join(', ')}.`)
  return found
}

export function flag(query: Query, name: string): boolean {
  return choice(query, name, ['true', 'false'], 'false') === 'true'
}

/** Whole number of a range. */
export function integer(query: Query, name: string, range: { min: number; max: number; fallback: number }): number {
  const value = single(query, name)
  if (value === undefined) return range.fallback
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
  if (number >= range.min && number <= range.max) return number
  throw inputInvalid(`${name}: "${value}" is not a whole number from ${range.min} to ${range.max}.`)
}

/** Time as ISO text in UTC; a date alone means its midnight, and a missing zone UTC. */
export function time(query: Query, name: string): string | undefined {
  const value = single(query, name)
  if (value === undefined) return undefined
  const ms = /^\d{4}-/.test(value) ? parseTime(value) : undefined
  if (ms === undefined) throw inputInvalid(`${name}: "${value}" is not a time like 2026-03-01T09:00:00.000Z.`)
  return new Date(ms).toISOString()
}

const FORMAT = 1

/** An opaque cursor: the values a page ended with, bound to the query it belongs to. */
export function encodeCursor(query: string, values: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify([FORMAT, query, ...values])).toString('base64url')
}

/** Values of a cursor; undefined when there is none. Throws on what is no cursor, or one of another query. */
export function decodeCursor(params: Query, query: string, count: number): (string | number)[] | undefined {
  const text = single(params, 'cursor')
  if (text === undefined) return undefined
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch {
    parts = undefined
  }
  const valid =
    Array.isArray(parts) &&
    parts.length === count + 2 &&
    parts[0] === FORMAT &&
    parts.slice(2).every((part) => typeof part === 'string' || Number.isSafeInteger(part))
  if (!valid) throw inputInvalid('cursor is not one of ours; pass data.next of the previous page unchanged.')
  if ((parts as unknown[])[1] !== query) {
    throw inputInvalid('cursor belongs to another query; send the same filters as for the previous page.')
  }
  return (parts as (string | number)[]).slice(2)
}
