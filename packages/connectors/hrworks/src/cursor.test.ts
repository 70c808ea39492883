import { describe, expect, it } from 'vitest'
import { nextPage, parseLinks } from './cursor.ts'

const link = (...pages: readonly (readonly [number, string])[]): string =>
  pages.map(([page, rel]) => `<https://api.hrworks.de/v2/list?x=1,2&page=${page}>; rel="${rel}"`).join(', ')

describe('the Link header', () => {
  it('is read for the pages it names', () => {
    expect(parseLinks(link([1, 'first'], [3, 'next'], [7, 'last']))).toEqual({ next: 3, last: 7 })
    expect(parseLinks('</v2/list?page=9>;rel=last; title="x"')).toEqual({ last: 9 })
    expect(parseLinks('<https://x/?page=2>; rel="next last"')).toEqual({ next: 2, last: 2 })
    expect(parseLinks('<https://x/>; rel="next"')).toEqual({ next: null })
    expect(parseLinks('<https://x/?page=-1>; rel="last"')).toEqual({ last: null })
    for (const header of [undefined, '', 'nonsense', '<unclosed']) expect(parseLinks(header)).toEqual({})
  })

  it.each([
    ['no header', undefined, 1, null],
    ['next', link([2, 'next']), 1, 2],
    ['next before last', link([2, 'next'], [3, 'last']), 1, 2],
    ['no next', link([1, 'first'], [2, 'prev']), 3, null],
    ['last reached, whatever next says', link([4, 'next'], [3, 'last']), 3, null],
    ['only last, further on', link([7, 'last']), 1, 2],
    ['next without a number', '<https://x/>; rel="next"', 1, 2],
  ])('decides the page that follows: %s', (_what, header, page, expected) => {
    expect(nextPage(header, page, 'GET /list')).toBe(expected)
  })

  it('leads to the page that follows, or nowhere', () => {
    const invalid = expect.objectContaining({ code: 'PROVIDER_ANSWER_INVALID' }) as Error
    expect(() => nextPage(link([1, 'next']), 2, 'GET /list')).toThrowError(invalid)
    expect(() => nextPage(link([5, 'next']), 3, 'GET /list')).toThrowError(invalid)
  })
})
