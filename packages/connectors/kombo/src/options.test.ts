import { describe, expect, it } from 'vitest'
import { parseOptions } from './options.ts'

const good = {
  base_url: 'https://api.kombo.dev/v1/',
  api_key: 'key',
  webhook_secret: 'secret',
  integrations: ['join:abc'],
}

describe('options', () => {
  it('accepts the documented form, with or without the keys every source has', () => {
    const expected = {
      baseUrl: 'https://api.kombo.dev/v1',
      apiKey: 'key',
      webhookSecret: 'secret',
      integrations: ['join:abc'],
    }
    expect(parseOptions(good)).toEqual(expected)
    expect(parseOptions({ ...good, name: 'acme', connector: 'kombo' })).toEqual(expected)
  })

  it.each([
    ['base_url', { ...good, base_url: 'kombo' }],
    ['base_url', { ...good, base_url: 'https://user:pw@api.kombo.dev/v1' }],
    ['api_key', { ...good, api_key: undefined }],
    ['api_key', { ...good, api_key: 'two words' }],
    ['webhook_secret', { ...good, webhook_secret: '' }],
    ['integrations', { ...good, integrations: 'join:abc' }],
    ['integrations', { ...good, integrations: ['a:b', 'a:b'] }],
    ['integrations.1', { ...good, integrations: ['a:b', 7] }],
    ['apikey', { ...good, apikey: 'x' }],
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
    try {
      parseOptions({ ...good, api_key: 'top secret' })
    } catch (error) {
      expect(String(error)).not.toContain('top secret')
      return
    }
    expect.unreachable()
  })
})
