import { readFileSync } from 'node:fs'

/** Private memory of this process in bytes (RssAnon of /proc/self/status); the resident set where there is no /proc. */
export function privateBytes(): number {
  try {
    const match = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (match) return Number(match[1]) * 1024
  } catch {
    // Not Linux.
  }
  return process.memoryUsage().rss
}

/** Samples private memory until stopped; returns the peak. */
export function watchMemory(everyMs = 20): () => number {
  let peak = privateBytes()
  const timer = setInterval(() => {
    peak = Math.max(peak, privateBytes())
  }, everyMs)
  timer.unref()
  return () => {
    clearInterval(timer)
    return Math.max(peak, privateBytes())
  }
}

export const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

export const rate = (perSecond: number): string => `${Math.round(perSecond).toLocaleString('en-US')}/s`
