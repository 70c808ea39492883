/** No provider may silence a source for longer than this with one header. */
const WAIT_MS_MAX = 3_600_000

/** A header's number, or undefined where it is none. */
export const headerNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined

/** A wait that a provider asks for, within what it may ask for. */
export const boundedWait = (ms: number): number => Math.min(Math.max(0, ms), WAIT_MS_MAX)

/** How long a refused request is to wait: `retry-after-ms`, or `Retry-After` as seconds or as an HTTP date; undefined when neither says. */
export function retryAfterMs(headers: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const ms = headerNumber(headers['retry-after-ms'])
  if (ms !== undefined) return boundedWait(ms)
  const text = headers['retry-after']
  const seconds = headerNumber(text)
  if (seconds !== undefined) return boundedWait(seconds * 1000)
  const date = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isFinite(date) ? boundedWait(date - nowMs) : undefined
}
