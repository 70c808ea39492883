import { describe, expect, it } from 'vitest'
import { PageGuard } from './pageGuard.ts'

const INVALID = expect.objectContaining({ code: 'PROVIDER_ANSWER_INVALID' }) as Error
const row = (id: number): object => ({ id })

describe('a listing', () => {
  it('is followed to its end, also over empty pages and over rows that come again', () => {
    const guard = new PageGuard({ provider: 'Acme', emptyPagesMax: 3 })
    const pages = [[row(1)], [], [], [row(1)], [row(2), row(1)], [], []]
    for (const [number, rows] of pages.entries())
      expect(() => guard.advance('GET /jobs', rows, number < 6 ? `cursor-${number}` : null)).not.toThrow()
  })

  it('is given up when it names a page again, and the message says which listing', () => {
    const guard = new PageGuard({ provider: 'Acme' })
    guard.advance('GET /jobs', [row(1)], 'a')
    guard.advance('GET /jobs', [row(2)], 'b')
    const circle = (): void => guard.advance('GET /jobs', [row(3)], 'a')
    expect(circle).toThrowError(INVALID)
    expect(circle).toThrowError(/^GET \/jobs: .*Acme/)
  })

  it('is given up when a page has the rows of the one before, also on the last', () => {
    const guard = new PageGuard({ provider: 'Acme' })
    guard.advance('GET /jobs', [row(1), row(2)], 2)
    expect(guard.repeats([row(1), row(2)])).toBe(true)
    expect(guard.repeats([row(1), row(3)])).toBe(false)
    expect(() => guard.advance('GET /jobs', [row(1), row(2)], null)).toThrowError(INVALID)
  })

  it('is given up after too many pages, or too many without rows', () => {
    const long = new PageGuard({ provider: 'Acme', pagesMax: 3 })
    for (const number of [1, 2]) long.advance('GET /jobs', [row(number)], number + 1)
    expect(() => long.advance('GET /jobs', [row(3)], 4)).toThrowError(INVALID)
    const empty = new PageGuard({ provider: 'Acme', emptyPagesMax: 2 })
    empty.advance('GET /jobs', [], 2)
    expect(() => empty.advance('GET /jobs', [], 3)).toThrowError(INVALID)
  })
})
