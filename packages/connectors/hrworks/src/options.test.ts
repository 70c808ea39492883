import { describe, expect, it } from 'vitest'
import { parseOptions } from './options.ts'

const good = { integration: 'hrworks:acme', access_key: 'key', secret_access_key: 'secret' }

describe('options', () => {
  it('need only a key pair and what names the integration', () => {
    const expected = {
      integration: 'hrworks:acme',
      baseUrl: 'https://api.hrworks.de/v2',
      accessKey: 'key',
      secretAccessKey: 'secret',
      webhookSecret: null,
      statusOrder: null,
      statusOutcomes: {},
    }
    expect(parseOptions(good)).toEqual(expected)
    const { integration: _, ...named } = { ...good, name: 'acme', connector: 'hrworks' }
    expect(parseOptions(named)).toEqual(expected)
  })

  it('take everything that can be said', () => {
    const all = {
      ...{ ...good, base_url: 'https://api.demo-hrworks.de/v2/', webhook_secret: 'w' },
      ...{ status_order: ['new', 'hired'], status_outcomes: { zusage: 'HIRED' } },
    }
    expect(parseOptions(all)).toMatchObject({
      ...{ baseUrl: 'https://api.demo-hrworks.de/v2', webhookSecret: 'w' },
      ...{ statusOrder: ['new', 'hired'], statusOutcomes: { zusage: 'HIRED' } },
    })
  })

  it.each([
    ['base_url', { ...good, base_url: 'hrworks' }],
    ['base_url', { ...good, base_url: 'https://user:pw@api.hrworks.de/v2' }],
    ['access_key', { ...good, access_key: undefined }],
    ['secret_access_key', { ...good, secret_access_key: 'two words' }],
    ['webhook_secret', { ...good, webhook_secret: '' }],
    ['integration', { ...good, integration: undefined }],
    ['integration', { ...good, integration: 'two words' }],
    ['status_order', { ...good, status_order: ['a', 'a'] }],
    ['status_outcomes.a', { ...good, status_outcomes: { a: 'MAYBE' } }],
    ['accesskey', { ...good, accesskey: 'x' }],
  ])('name %s when it is wrong', (key, options) => {
    expect(() => parseOptions(options)).toThrowError(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(new RegExp(`^${key}: `)) as string,
        fields: { key },
      }) as Error,
    )
  })

  it('are never repeated in an error', () => {
    try {
      parseOptions({ ...good, secret_access_key: 'top secret' })
    } catch (error) {
      expect(String(error)).not.toContain('top secret')
      return
    }
    expect.unreachable()
  })
})
