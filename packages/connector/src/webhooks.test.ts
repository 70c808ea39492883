import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hmacMatches, hmacText, type ProofEncoding, secretMatches } from './webhooks.ts'

const secret = 'the-secret'
const bytes = Buffer.from('{"a":1}')
const ENCODINGS: readonly ProofEncoding[] = ['hex', 'base64', 'base64url']

describe.each(ENCODINGS)('a %s signature', (encoding) => {
  const genuine = createHmac('sha256', secret).update(bytes).digest(encoding)
  const matches = (given: string | undefined, more: object = {}): boolean =>
    hmacMatches({ secret, bytes, encoding, given, ...more })

  it('is written and recognized', () => {
    expect(hmacText({ secret, bytes, encoding })).toBe(genuine)
    expect(matches(genuine)).toBe(true)
    expect(matches(hmacText({ secret, bytes, encoding, hash: 'sha512' }), { hash: 'sha512' })).toBe(true)
  })

  it('of other bytes, another secret, another length or no signature at all is refused without a throw', () => {
    expect(matches(genuine, { bytes: Buffer.from('{"a":2}') })).toBe(false)
    expect(matches(genuine, { secret: 'another' })).toBe(false)
    for (const given of [undefined, '', 'x', genuine.slice(0, -2), `${genuine}x`, 'ü'.repeat(genuine.length), '\0'])
      expect(matches(given)).toBe(false)
  })
})

it('a hexadecimal signature may be in capitals, one in base64 only as it is', () => {
  const hex = hmacText({ secret, bytes, encoding: 'hex' })
  expect(hmacMatches({ secret, bytes, encoding: 'hex', given: hex.toUpperCase() })).toBe(true)
  const base64 = hmacText({ secret, bytes, encoding: 'base64' })
  expect(hmacMatches({ secret, bytes, encoding: 'base64', given: base64.toLowerCase() })).toBe(false)
})

it('a secret is recognized, and nothing else is, not even nothing', () => {
  expect(secretMatches('the-secret', 'the-secret')).toBe(true)
  for (const given of [undefined, '', 'the-secre', 'the-secret '])
    expect(secretMatches(given, 'the-secret')).toBe(false)
  expect(secretMatches(undefined, '')).toBe(false)
})
