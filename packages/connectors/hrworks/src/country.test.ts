import { expect, it } from 'vitest'
import { alpha2, countryCodes } from './country.ts'

it.each([
  ['DEU', 'DE'],
  ['aut', 'AT'],
  [' CHE ', 'CH'],
  ['GBR', 'GB'],
  ['POL', 'PL'],
  ['DE', 'DE'],
  ['Germany', 'Germany'],
  ['', ''],
])('%s is %s', (code, expected) => {
  expect(alpha2(code)).toBe(expected)
})

it('has one alpha-2 code for each alpha-3 code, and only ones that name a region', () => {
  const names = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })
  const codes = [...countryCodes()]
  expect(codes).toHaveLength(249)
  expect(new Set(codes.map(([, two]) => two)).size).toBe(249)
  for (const [three, two] of codes) {
    expect(three).toMatch(/^[A-Z]{3}$/)
    expect(names.of(two), two).toEqual(expect.any(String))
  }
})
