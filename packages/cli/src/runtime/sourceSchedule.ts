import { TidemarkError } from '@tidemark/base'
import { DEFAULT_SCHEDULE, FULL_MAX_MS, type Schedule } from '@tidemark/ingress'
import { z } from 'zod'

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const LEAST_MS = 60_000

const duration = z
  .string()
  .regex(/^\d+[smhd]$/, 'a time is a number with s, m, h or d, like 15m or 7d')
  .transform((text) => Number(text.slice(0, -1)) * (UNITS[text.slice(-1)] as number))
  .refine((ms) => ms >= LEAST_MS, 'at least 1m')

const full = duration.refine(
  (ms) => ms <= FULL_MAX_MS,
  'at most 7d: every listing is read completely once a week against drift',
)
const times = z.strictObject({ delta: duration.optional(), full: full.optional() })
const schema = times.extend({ of: z.record(z.string(), times).optional() })

/**
 * A source's `schedule`: `{delta: 1h, full: 7d, of: {candidates: {delta: 5m}}}`, where `of` names models or listings. Throws CONFIG_INVALID naming what
 * is wrong.
 */
export function parseSchedule(value: unknown): Schedule {
  const result = schema.safeParse(value)
  if (!result.success) {
    const [issue] = result.error.issues
    const key = ['schedule', ...(issue?.path ?? [])].join('.')
    throw new TidemarkError('CONFIG_INVALID', `${key}: ${issue?.message ?? 'invalid'}`, { fields: { key } })
  }
  const { delta, full: whole, of = {} } = result.data
  return {
    deltaMs: delta ?? DEFAULT_SCHEDULE.deltaMs,
    fullMs: whole ?? DEFAULT_SCHEDULE.fullMs,
    of: Object.fromEntries(Object.entries(of).map(([name, own]) => [name, timesOf(own)])),
  }
}

const timesOf = ({ delta, full: whole }: z.infer<typeof times>): { deltaMs?: number; fullMs?: number } => ({
  ...(delta === undefined ? {} : { deltaMs: delta }),
  ...(whole === undefined ? {} : { fullMs: whole }),
})
