import { describe, expect, it } from 'vitest'
import { DEFAULT_SCOPES, parseOptions } from './options.ts'

const valid = {
  name: 'acme',
  connector: 'traffit',
  base_url: 'https://acme.traffit.com/',
  client_id: 'acme_tidemark',
  client_secret: 'client-secret',
  webhook_secret: '0123456789abcdef',
}

describe('options', () => {
  it('have defaults', () => {
    expect(parseOptions(valid)).toEqual({
      baseUrl: 'https://acme.traffit.com',
      clientId: 'acme_tidemark',
      clientSecret: 'client-secret',
      webhookSecret: '0123456789abcdef',
      integration: 'traffit:acme',
      timeZone: 'UTC',
      scopes: DEFAULT_SCOPES,
      applicationsCreatedAfterMs: null,
      requestsPerSecond: 5,
    })
  })

  it('can all be given', () => {
    const more = {
      integration: 'traffit:8d1hp',
      time_zone: 'Europe/Warsaw',
      scopes: ['employee'],
      applications_created_after: '2026-11-20T00:00:00Z',
    }
    expect(parseOptions({ ...valid, ...more })).toMatchObject({
      integration: 'traffit:8d1hp',
      timeZone: 'Europe/Warsaw',
      scopes: ['employee'],
      applicationsCreatedAfterMs: Date.parse('2026-11-20T00:00:00Z'),
    })
    expect(parseOptions({ ...valid, base_url: 'http://127.0.0.1:8090' }).integration).toBe('traffit:127.0.0.1')
  })

  it.each([
    [{ base_url: 'acme' }, 'base_url'],
    [{ base_url: 'https://acme.traffit.com/api/integration/v2' }, 'base_url'],
    [{ base_url: 'https://user@acme.traffit.com' }, 'base_url'],
    [{ base_url: 'https://www.acme.traffit.com' }, 'base_url'],
    [{ base_url: 'ftp://acme.traffit.com' }, 'base_url'],
    [{ client_id: '' }, 'client_id'],
    [{ client_secret: 'two words' }, 'client_secret'],
    [{ webhook_secret: 'short' }, 'webhook_secret'],
    [{ time_zone: 'Mars/Olympus' }, 'time_zone'],
    [{ requests_per_second: 0 }, 'requests_per_second'],
    [{ scopes: [] }, 'scopes'],
    [{ scopes: ['Employee'] }, 'scopes.0'],
    [{ applications_created_after: 'today' }, 'applications_created_after'],
    [{ tenant: 'acme' }, 'tenant'],
  ])('%j is refused, naming %s and no value', (patch, key) => {
    const [value] = Object.values(patch).flat()
    const refused = expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(`^${key}: `) })
    expect(() => parseOptions({ ...valid, ...patch })).toThrow(refused)
    if (typeof value === 'string' && value !== '' && key !== 'tenant')
      expect(() => parseOptions({ ...valid, ...patch })).not.toThrow(value.length > 5 ? value : '\0')
  })
})
