import { describe, expect, it } from 'vitest'
import { parseOptions } from './options.ts'

const good = { base_url: 'https://api.getknit.dev/v1.0/', api_key: 'key', integrations: ['int-1'] }

describe('options', () => {
  it('accepts the documented form, with or without the keys every source has', () => {
    const expected = {
      baseUrl: 'https://api.getknit.dev/v1.0',
      apiKey: 'key',
      secondApiKey: null,
      integrations: ['int-1'],
      recordVersion: 'triggered_at',
    }
    expect(parseOptions(good)).toEqual(expected)
    expect(parseOptions({ ...good, name: 'acme', connector: 'knit' })).toEqual(expected)
    expect(parseOptions({ ...good, second_api_key: 'next', record_version: 'updated_at' })).toEqual({
      ...expected,
      secondApiKey: 'next',
      recordVersion: 'updated_at',
    })
  })

  it.each([
    ['base_url', { ...good, base_url: 'knit' }],
    ['base_url', { ...good, base_url: 'https://user:pw@api.getknit.dev/v1.0' }],
    ['base_url', { ...good, base_url: 'https://api.getknit.dev/v1.0?key=1' }],
    ['api_key', { ...good, api_key: undefined }],
    ['api_key', { ...good, api_key: 'two words' }],
    ['second_api_key', { ...good, second_api_key: '' }],
    ['integrations', { ...good, integrations: 'int-1' }],
    ['integrations', { ...good, integrations: ['a', 'a'] }],
    ['integrations.1', { ...good, integrations: ['a', 7] }],
    ['record_version', { ...good, record_version: 'newest' }],
    ['webhook_secret', { ...good, webhook_secret: 'x' }],
  ])('names %s when it is wrong', (key, options) => {
    expect(() => parseOptions(options)).toThrowError(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(new RegExp(`^${key}: `)) as string,
        fields: { key },
      }) as Error,
    )
  })

  it('never repeats a secret', () => {
    expect(() => parseOptions({ ...good, api_key: 'top secret' })).toThrowError(
      expect.objectContaining({ message: expect.not.stringContaining('top secret') as string }) as Error,
    )
  })
})
