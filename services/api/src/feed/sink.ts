import type { ServerResponse } from 'node:http'
import type { Clock } from '@tidemark/base'

/** Writes to a client no faster than it reads. */
export interface Sink {
  /** Resolves when the client's connection takes more; at once after it has gone. */
  write(text: string): Promise<void>
  /** True while a write waits for the client. */
  readonly blocked: boolean
  /** Since when, in ms. */
  readonly blockedSince: number
  /** Aborts when the connection has ended, whoever ended it. */
  readonly closed: AbortSignal
  /** Ends the connection; with `destroy` without waiting for the client. */
  end(destroy?: boolean): void
}

export function createSink(raw: ServerResponse, clock: Clock): Sink {
  const closing = new AbortController()
  let blocked = false
  let blockedSince = 0
  raw.once('close', () => closing.abort())
  raw.on('error', () => closing.abort())

  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        raw.off('drain', done)
        raw.off('close', done)
        resolve()
      }
      raw.on('drain', done)
      raw.on('close', done)
    })
  return {
    closed: closing.signal,
    get blocked() {
      return blocked
    },
    get blockedSince() {
      return blockedSince
    },
    async write(text) {
      if (closing.signal.aborted || raw.writableEnded || raw.write(text)) return
      blocked = true
      blockedSince = clock.now()
      await drained()
      blocked = false
    },
    end(destroy = false) {
      if (destroy) raw.destroy()
      else if (!raw.writableEnded) raw.end()
      closing.abort()
    },
  }
}
