import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRedactor, shownKey } from './redact.ts'

describe('a redactor', () => {
  const secret = 'pa/ss+w0rd=&<"x">\\'

  it.each([
    ['as it is', secret],
    ['in a URL', `https://x/?secret=${encodeURIComponent(secret)}`],
    ['in a form', String(new URLSearchParams({ secret }))],
    ['in JSON', JSON.stringify({ message: `wrong: ${secret}` })],
    ['in JSON in JSON', JSON.stringify({ said: JSON.stringify({ secret }) })],
    ['in JSON of PHP', JSON.stringify({ message: secret }).replaceAll('/', '\\/')],
    ['in HTML', '<p>pa/ss+w0rd=&amp;&lt;&quot;x&quot;&gt;\\</p>'],
  ])('replaces a secret %s', (_where, text) => {
    const clean = createRedactor([secret])(text)
    expect(clean).toContain('***')
    expect(clean).not.toContain('w0rd')
  })

  it('replaces a secret that begins with another one whole', () => {
    expect(createRedactor(['the-secret', 'the-secret-of-all'])('the-secret-of-all, the-secret')).toBe('***, ***')
  })

  it('leaves everything else, and words that are too short to be secrets', () => {
    expect(createRedactor(['another-secret', 'key'])('check api_key')).toBe('check api_key')
    expect(createRedactor([])('check api_key')).toBe('check api_key')
  })

  it('lets no secret through, whatever it consists of', () => {
    const secrets = fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme' }).filter((text) => !'***'.includes(text))
    fc.assert(
      fc.property(secrets, fc.string(), fc.string(), (text, before, after) => {
        expect(createRedactor([text])(`${before}${text}${after}`)).not.toContain(text)
        expect(createRedactor([text])(JSON.stringify(text))).toBe('"***"')
      }),
    )
  })
})

it.each([
  ['api_key', 'api_key'],
  ['sources[0]', 'sources…'],
  ['api_key:hidden', 'api_key…'],
  ['"api_key":hidden', '…'],
  ['x'.repeat(100), `${'x'.repeat(60)}…`],
])('a key %j is shown as %j', (key, shown) => {
  expect(shownKey(key)).toBe(shown)
})
