import type { StreamId } from './scheduler.ts'

/** How often an integration's listings are fetched. */
export interface Schedule {
  /** Between fetches of what has changed. */
  readonly deltaMs: number
  /** Between complete passes, which find what the feed has lost. At most {@link FULL_MAX_MS}. */
  readonly fullMs: number
  /** Other times for single models or listings. */
  readonly of?: Readonly<Record<string, { readonly deltaMs?: number; readonly fullMs?: number }>>
}

/** Every listing is read completely at least this often. */
export const FULL_MAX_MS = 7 * 86_400_000

export const DEFAULT_SCHEDULE: Schedule = { deltaMs: 3_600_000, fullMs: FULL_MAX_MS }

/** What the schedule has to know of one listing. */
export interface ScheduledStream extends StreamId {
  /** Models the listing is the origin of. */
  readonly models: readonly string[]
  /** Begin of the last fetch that was complete, null before the first. */
  readonly watermarkMs: number | null
  /** Begin of the last complete pass, null before the first. */
  readonly lastFullMs: number | null
  /** End of the last fetch in this process, good or bad. */
  readonly lastEndedMs: number | null
}

export interface Due {
  readonly deltaAtMs: number
  readonly fullAtMs: number
}

/**
 * When a listing is to be fetched next; pure. Complete passes are due up to a tenth earlier than they must be, at a time that differs from listing to
 * listing, so that those of many integrations do not begin together. A listing that has never been read is due by other rules.
 */
export function dueOf(schedule: Schedule, stream: ScheduledStream): Due | null {
  const { watermarkMs, lastFullMs } = stream
  if (watermarkMs === null) return null
  const { deltaMs, fullMs } = timesOf(schedule, stream)
  // A fetch that failed is the scheduler's to try again; this counts from the last one that ended.
  const lastMs = Math.max(watermarkMs, stream.lastEndedMs ?? 0)
  const early = 1 - spread(`${stream.integrationId}\0${stream.stream}`) / 10
  return { deltaAtMs: lastMs + deltaMs, fullAtMs: lastFullMs === null ? 0 : lastFullMs + Math.floor(fullMs * early) }
}

/** The shortest times of a listing and the models it brings. */
function timesOf(schedule: Schedule, { stream, models }: ScheduledStream): { deltaMs: number; fullMs: number } {
  const own = [stream, ...models].flatMap((name) => schedule.of?.[name] ?? [])
  const least = (times: readonly (number | undefined)[], fallback: number): number => {
    const given = times.filter((ms) => ms !== undefined)
    return given.length === 0 ? fallback : Math.min(...given)
  }
  return {
    deltaMs: least(
      own.map(({ deltaMs }) => deltaMs),
      schedule.deltaMs,
    ),
    fullMs: Math.min(
      FULL_MAX_MS,
      least(
        own.map(({ fullMs }) => fullMs),
        schedule.fullMs,
      ),
    ),
  }
}

/** 0 to 1, the same for the same text (FNV-1a). */
function spread(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0) / 2 ** 32
}
