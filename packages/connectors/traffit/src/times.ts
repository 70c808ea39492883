/**
 * TRAFFIT's times: `yyyy-MM-dd HH:mm:ss` without a zone. Which zone they are in is not documented, so it is a setting; a tenant that is
 * known to use another one than UTC names it.
 */
import { parseTime } from '@tidemark/model'

export interface Times {
  /** Milliseconds of a time of the tenant; undefined for what is none. Of a time that the clock showed twice, the earlier. */
  toMs(value: unknown): number | undefined
  /** A time that orders the states of a record; null for what is none, and for one that the clock showed twice. */
  version(value: unknown): number | null
  /** A moment as the tenant writes it, without its fraction of a second. */
  toText(ms: number): string
  /** How far before a moment the tenant's clock may show a later time: an hour where clocks are set back, else nothing. */
  readonly foldMs: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const HAS_ZONE = /(?:Z|[+-]\d{2}:?\d{2})$/i

/** Times of a zone (an IANA name that the platform knows). */
export function createTimes(timeZone: string): Times {
  const isUtc = /^(utc|etc\/utc|etc\/gmt|gmt)$/i.test(timeZone)
  const offset = isUtc ? () => 0 : offsetsOf(timeZone)
  const moments = (value: unknown): readonly number[] => {
    const text = typeof value === 'string' ? value.trim() : value
    const asUtc = typeof text === 'string' ? parseTime(text) : undefined
    if (asUtc === undefined) return []
    return isUtc || HAS_ZONE.test(text as string) ? [asUtc] : momentsAt(asUtc, offset)
  }
  return {
    toMs: (value) => moments(value)[0],
    version: (value) => {
      const [first, second] = moments(value)
      return first === undefined || second !== undefined ? null : first
    },
    toText: (ms) => new Date(ms + offset(ms)).toISOString().slice(0, 19).replace('T', ' '),
    foldMs: isUtc ? 0 : HOUR_MS,
  }
}

/** The moments at which a zone's clock shows a time, given as if it were UTC: one, two where it is set back, and where it is set forward the moment it would have been. */
function momentsAt(asUtc: number, offset: (ms: number) => number): readonly number[] {
  const [before, after] = [asUtc - offset(asUtc - DAY_MS), asUtc - offset(asUtc + DAY_MS)]
  const shown = [...new Set([before, after])].filter((ms) => ms + offset(ms) === asUtc)
  return shown.length === 0 ? [before] : shown.sort((a, b) => a - b)
}

/** The offset of a zone from UTC at a moment, in ms. */
function offsetsOf(timeZone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en', {
    timeZone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
  })
  return (ms) => {
    const part: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(ms)) part[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000
  }
}
