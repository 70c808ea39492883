import { printable } from './colors.ts'
import type { CommandContext } from './program.ts'

export interface Progress {
  readonly done: number
  /** undefined when nobody knows. */
  readonly total?: number
  readonly unit: string
  readonly text: string
}

/** One line that is written over on a terminal; on anything else a line every few seconds. */
export interface ProgressLine {
  update(progress: Progress): void
  /** Takes the line away, so that other output can follow. */
  clear(): void
  /** Ends the line. */
  end(): void
}

const TERMINAL_EVERY_MS = 100
const PLAIN_EVERY_MS = 2_000
/** The rate is taken over this long, so that it follows what happens now. */
const WINDOW_MS = 3_000

export function createProgressLine({ io, clock, style }: Pick<CommandContext, 'io' | 'clock' | 'style'>): ProgressLine {
  const out = io.stderr
  const isTerminal = out.isTTY === true
  const samples: { readonly at: number; readonly done: number }[] = []
  let writtenAt = Number.NEGATIVE_INFINITY
  let visible = false

  const rateOf = (now: number, done: number): number => {
    samples.push({ at: now, done })
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > WINDOW_MS) samples.shift()
    const first = samples[0]
    return first && now > first.at ? Math.max(0, ((done - first.done) * 1000) / (now - first.at)) : 0
  }
  const clear = (): void => {
    if (visible) out.write('\r\u001b[2K')
    visible = false
  }
  return {
    update(progress) {
      const now = clock.now()
      const rate = rateOf(now, progress.done)
      const finished = progress.total !== undefined && progress.done >= progress.total
      if (now - writtenAt < (isTerminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS) && !finished) return
      writtenAt = now
      const text = describe(progress, rate)
      if (!isTerminal) {
        out.write(`${text}\n`)
        return
      }
      out.write(`\r\u001b[2K${style.dim(text.slice(0, Math.max(20, (out.columns ?? 100) - 1)))}`)
      visible = true
    },
    clear,
    end: clear,
  }
}

function describe({ done, total, unit, text }: Progress, rate: number): string {
  const n = (value: number): string => Math.round(value).toLocaleString('en-US')
  const of = total === undefined ? '' : ` of ${n(total)}`
  const left = total !== undefined && rate > 0 && total > done ? `, ${duration((total - done) / rate)} left` : ''
  return `${n(done)}${of} ${unit}, ${n(rate)}/s${left} · ${printable(text)}`
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
