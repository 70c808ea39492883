import { Refusal } from './errors.ts'

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?Z?$/
const DAY_MS = 86_400_000

/** Comma-separated values. An empty parameter is a list of none, which nothing matches. */
export function list(value: string): string[] {
  return value.split(',').filter((part) => part !== '')
}

/** Refuses values outside a closed enumeration. */
export function oneOf(name: string, values: readonly string[], allowed: readonly string[]): readonly string[] {
  const wrong = values.find((value) => !allowed.includes(value))
  if (wrong === undefined) return values
  throw new Refusal('PLATFORM.INPUT_INVALID', `${name}: "${wrong}" is not one of ${allowed.join(', ')}`)
}

/** Milliseconds of a date or date-time in UTC; the `Z` may be missing. */
export function timestamp(name: string, value: string): number {
  const ms = TIMESTAMP.test(value)
    ? Date.parse(value.endsWith('Z') || value.length === 10 ? value : `${value}Z`)
    : Number.NaN
  if (Number.isFinite(ms)) return ms
  throw new Refusal('PLATFORM.INPUT_INVALID', `${name}: "${value}" is not a time like 2026-01-05T09:00:00.000Z`)
}

export function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS
}

export function boolean(name: string, value: string | undefined): boolean {
  if (value === undefined || value === 'false') return false
  if (value === 'true') return true
  throw new Refusal('PLATFORM.INPUT_INVALID', `${name}: "${value}" is neither true nor false`)
}

export function pageSize(value: string | undefined, max: number): number {
  if (value === undefined) return Math.min(100, max)
  const size = /^\d{1,6}$/.test(value) ? Number(value) : 0
  if (size >= 1 && size <= max) return size
  throw new Refusal('PLATFORM.INPUT_INVALID', `page_size: "${value}" is not a whole number from 1 to ${max}`)
}
