import { createHash, randomBytes, webcrypto } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newSecretKey, openKeyring } from './keys.ts'
import { isSealed, seal, unseal } from './sealed.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const OTHER = Buffer.alloc(32, 8).toString('base64')
const keyring = openKeyring({ TIDEMARK_SECRET_KEY: KEY })
const sealed = (text: string): string => seal(text, keyring.current, randomBytes)

describe('a sealed value', () => {
  it('gives back any text, and never looks the same twice', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const [one, two] = [sealed(text), sealed(text)]
        expect([unseal(one, keyring), unseal(two, keyring)]).toEqual([text, text])
        expect(one).not.toBe(two)
        expect(one).toMatch(/^sealed:v1:[A-Za-z0-9_-]+$/)
        expect(isSealed(one)).toBe(true)
      }),
    )
  })

  it('is what it is said to be, so that others can read it and later versions must', async () => {
    const envelope = Buffer.from(sealed('the value').slice('sealed:v1:'.length), 'base64url')
    const id = envelope.subarray(0, 6)
    expect(id).toEqual(createHash('sha256').update(Buffer.alloc(32, 7)).digest().subarray(0, 6))
    const key = await webcrypto.subtle.importKey('raw', Buffer.alloc(32, 7), 'AES-GCM', false, ['decrypt'])
    const additionalData = Buffer.concat([Buffer.from('sealed:v1:'), id])
    const iv = envelope.subarray(6, 18)
    const text = await webcrypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData }, key, envelope.subarray(18))
    expect(Buffer.from(text).toString()).toBe('the value')
    const known = 'sealed:v1:S7Bvjk46AQEBAQEBAQEBAQEBAonsl-begHu0w9kYEbU7vof7WLHi34LqZA'
    expect(unseal(known, keyring)).toBe('the value')
  })

  it('is refused when any bit of it differs, or it was cut', () => {
    const whole = sealed('the value')
    const envelope = Buffer.from(whole.slice('sealed:v1:'.length), 'base64url')
    for (let bit = 0; bit < envelope.length * 8; bit++) {
      const changed = Buffer.from(envelope)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => unseal(`sealed:v1:${changed.toString('base64url')}`, keyring)).toThrow(
        /damaged|is sealed with the key/,
      )
    }
    for (let length = 'sealed:v1:'.length; length < whole.length; length++)
      expect(() => unseal(whole.slice(0, length), keyring)).toThrow(/damaged/)
    expect(() => unseal(`${whole}=`, keyring)).toThrow(/damaged/)
  })

  it('says which key it needs, and names the old ones as the place for it', () => {
    const rotated = openKeyring({ TIDEMARK_SECRET_KEY: OTHER })
    const { id } = keyring.current
    expect(() => unseal(sealed('x'), rotated)).toThrow(
      `is sealed with the key ${id}, which is not there: TIDEMARK_SECRET_KEY is the key ${rotated.current.id}; put the other one into TIDEMARK_SECRET_KEY_OLD`,
    )
    const both = openKeyring({
      TIDEMARK_SECRET_KEY: OTHER,
      TIDEMARK_SECRET_KEY_OLD: ` ${newSecretKey(randomBytes)}, ${KEY} ,`,
    })
    expect(unseal(sealed('x'), both)).toBe('x')
  })

  it('of a later version is not guessed at', () => {
    expect(() => unseal(sealed('x').replace('v1', 'v2'), keyring)).toThrow(/does not know: it reads sealed:v1:/)
  })
})

describe('a key', () => {
  it('is 32 random bytes in base64', () => {
    const [one, two] = [newSecretKey(randomBytes), newSecretKey(randomBytes)]
    expect(one).not.toBe(two)
    expect(openKeyring({ TIDEMARK_SECRET_KEY: one }).current.id).toMatch(/^[0-9a-f]{12}$/)
    const asUrl = Buffer.from(one, 'base64').toString('base64url')
    expect(openKeyring({ TIDEMARK_SECRET_KEY: asUrl }).current.id).toBe(
      openKeyring({ TIDEMARK_SECRET_KEY: one }).current.id,
    )
  })

  it.each([
    [{}, 'TIDEMARK_SECRET_KEY is not set'],
    [{ TIDEMARK_SECRET_KEY: ' ' }, 'TIDEMARK_SECRET_KEY is not set'],
    [{ TIDEMARK_SECRET_KEY_OLD: KEY }, 'TIDEMARK_SECRET_KEY is not set'],
    [
      { TIDEMARK_SECRET_KEY: Buffer.from('hidden4711').toString('base64') },
      'TIDEMARK_SECRET_KEY: a key is 32 bytes in base64, this is 10 bytes',
    ],
    [
      { TIDEMARK_SECRET_KEY: 'hidden 4711' },
      'TIDEMARK_SECRET_KEY: a key is 32 bytes in base64, this is something else',
    ],
    [
      { TIDEMARK_SECRET_KEY: KEY, TIDEMARK_SECRET_KEY_OLD: `${KEY},aGlkZGVu` },
      'TIDEMARK_SECRET_KEY_OLD: a key is 32 bytes in base64, this is 6 bytes',
    ],
  ])('that is missing or wrong is told without a part of it (%#)', (env, message) => {
    expect(() => openKeyring(env)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
    )
    expect(() => openKeyring(env)).toThrow(
      expect.objectContaining({ message: expect.not.stringMatching(/hidden|aGlk/) }),
    )
  })

  it('shows its id and nothing else where it is printed', () => {
    expect(JSON.stringify(keyring.current)).not.toContain(KEY.slice(0, 10))
    expect(Object.keys(keyring.current)).toEqual(['id', 'key'])
  })
})
