import type { Clock } from '@tidemark/base'
import { createRate } from '../rate.ts'
import type { RebuildMeter, RebuildOptions, RebuildPhase, RebuildProgress } from './types.ts'

const EVERY_MS = 250

export function createMeter(clock: Clock, onProgress: RebuildOptions['onProgress']): RebuildMeter {
  const rate = createRate()
  let phase: RebuildPhase = 'filling'
  let steps: RebuildProgress['steps'] = null
  let done = 0
  let total = 0
  let changes = 0
  let toldAt = Number.NEGATIVE_INFINITY

  const tell = (force = false): void => {
    const now = clock.now()
    if (!force && now - toldAt < EVERY_MS) return
    toldAt = now
    const perSecond = rate.perSecond(now)
    const leftMs = done >= total ? 0 : perSecond > 0 ? ((total - done) / perSecond) * 1000 : null
    onProgress?.({ phase, done, total, perSecond, leftMs, steps })
  }
  return {
    phase(next, count) {
      phase = next
      steps = count === undefined ? null : { done: 0, total: count }
      tell(true)
    },
    step() {
      if (steps) steps = { ...steps, done: steps.done + 1 }
      tell()
    },
    expect(nowDone, nowTotal) {
      done = nowDone
      total = nowTotal
      tell()
    },
    passed(offsets, count) {
      done += offsets
      // The log may have grown since it was asked.
      total = Math.max(total, done)
      changes += count
      rate.add(offsets, clock.now())
      tell()
    },
    get changes() {
      return changes
    },
  }
}
