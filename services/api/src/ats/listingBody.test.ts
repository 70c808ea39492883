import fc from 'fast-check'
import { expect, it } from 'vitest'
import { listingBody } from './listingBody.ts'

it('is the JSON of the answer, whatever the records hold', () => {
  fc.assert(
    fc.property(
      fc.option(fc.string()),
      fc.array(fc.dictionary(fc.string(), fc.jsonValue({ stringUnit: 'binary' }))),
      (next, results) => {
        const whole = JSON.stringify({ status: 'success', data: { next, results } })
        expect(listingBody(next, results).toString()).toBe(whole)
      },
    ),
  )
})

it('holds more than was thought of', () => {
  const results = Array.from({ length: 30 }, (_, i) => ({ name: 'Éowyn 🐎 '.repeat(i * 100) }))
  expect(JSON.parse(listingBody('x', results).toString()).data.results).toEqual(results)
})
