import { describe, expect, it } from 'vitest'
import { abortable } from './deadline.ts'

const never = (): Promise<never> => new Promise(() => undefined)

describe('abortable', () => {
  it('gives what the work gives, and leaves nothing listening', async () => {
    const given = new AbortController()
    expect(await abortable(1000, given.signal, async () => 7)).toBe(7)
    await expect(abortable(1000, given.signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    given.abort()
    await expect(abortable(1000, given.signal, never)).rejects.toThrow('aborted')
  })

  it('ends work that heeds nothing: in time, and when it is told to', async () => {
    const given = new AbortController()
    await expect(abortable(5, given.signal, never)).rejects.toMatchObject({ name: 'TimeoutError' })
    const waiting = abortable(60_000, given.signal, never)
    given.abort(new Error('stop'))
    await expect(waiting).rejects.toThrow('stop')
  })

  it('tells the work, with the reason', async () => {
    const given = new AbortController()
    const seen = abortable(60_000, given.signal, (signal) => {
      const { promise, resolve } = Promise.withResolvers<unknown>()
      signal.addEventListener('abort', () => resolve(signal.reason))
      return promise
    })
    given.abort('reason')
    await expect(seen).rejects.toBe('reason')
    const signals: AbortSignal[] = []
    const late = (signal: AbortSignal): Promise<never> => {
      signals.push(signal)
      return never()
    }
    await abortable(5, new AbortController().signal, late).catch(() => undefined)
    expect(signals[0]?.reason).toMatchObject({ name: 'TimeoutError' })
  })
})
