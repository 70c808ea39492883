import type { Random } from './random.ts'

export interface Backoff {
  readonly startMs: number
  readonly maxMs: number
}

/** Full-jitter exponential backoff: uniform in [half, whole] of min(maxMs, startMs * 2^attempt). Attempt counts from 0. */
export function backoffMs(attempt: number, { startMs, maxMs }: Backoff, random: Random): number {
  const whole = Math.min(maxMs, startMs * 2 ** Math.min(attempt, 30))
  return whole / 2 + random.next() * (whole / 2)
}
