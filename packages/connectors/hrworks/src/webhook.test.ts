import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { applicantOf, readWebhook, verify } from './webhook.ts'

const NOW = Date.parse('2026-03-01T09:00:00Z')
const SECRET = 'the-secret'
const UUID = 'ea0c59f7-2f09-44e6-aa97-4641216af05b'
const options = { secretAccessKey: SECRET, webhookSecret: null }

const body = (more: object = {}): Buffer =>
  Buffer.from(
    JSON.stringify({
      event: 'serverEvent',
      resourceLocation: `https://api.hrworks.de/v2/applicant-management/applicants/${UUID}`,
      jobId: 'abc-123',
      action: 'resourceUpdated',
      ...more,
    }),
  )

const hmac = (text: string, secret = SECRET): string => createHmac('sha256', secret).update(text).digest('base64')

const request = (more: { headers?: Record<string, string>; query?: Record<string, string>; rawBody?: Buffer } = {}) => {
  const timestamp = String(NOW / 1000)
  return {
    headers: { 'x-hrworks-timestamp': timestamp, 'x-hrworks-signature': hmac(`abc-123.${timestamp}`), ...more.headers },
    query: more.query ?? {},
    rawBody: more.rawBody ?? body(),
  }
}

/** A request signed for another timestamp. */
const at = (timestamp: string) =>
  request({ headers: { 'x-hrworks-timestamp': timestamp, 'x-hrworks-signature': hmac(`abc-123.${timestamp}`) } })

describe('a webhook is genuine', () => {
  it('when its job id and timestamp are signed with the secret access key', () => {
    expect(verify(options, NOW, request())).toBe(true)
  })

  it.each([
    ['no signature', request({ headers: { 'x-hrworks-signature': '' } })],
    ['no timestamp', request({ headers: { 'x-hrworks-timestamp': '' } })],
    ['another key', request({ headers: { 'x-hrworks-signature': hmac(`abc-123.${NOW / 1000}`, 'other') } })],
    [
      'a signature in hex',
      request({ headers: { 'x-hrworks-signature': Buffer.from(hmac('x'), 'base64').toString('hex') } }),
    ],
    ['another job id', request({ rawBody: body({ jobId: 'abc-124' }) })],
    ['no job id', request({ rawBody: body({ jobId: undefined }) })],
    ['no JSON', request({ rawBody: Buffer.from('{') })],
    ['a list', request({ rawBody: Buffer.from('[]') })],
  ])('not with %s', (_what, wrong) => {
    expect(verify(options, NOW, wrong)).toBe(false)
  })

  it.each([
    ['five minutes ago', 300_000, true],
    ['longer ago', 301_000, false],
    ['five minutes ahead', -300_000, true],
    ['further ahead', -301_000, false],
  ])('only near its time: %s', (_what, ageMs, expected) => {
    expect(verify(options, NOW, at(String((NOW - ageMs) / 1000)))).toBe(expected)
    expect(verify(options, NOW, at(String(NOW - ageMs)))).toBe(expected)
  })

  it.each(['', 'now', '1e9', '-5', '99999999999999999'])('not at the time "%s"', (timestamp) => {
    expect(verify(options, NOW, at(timestamp))).toBe(false)
  })

  it('only with the secret in its URL, where one is configured', () => {
    const guarded = { ...options, webhookSecret: 'url-secret' }
    expect(verify(guarded, NOW, request({ query: { secret: 'url-secret' } }))).toBe(true)
    expect(verify(guarded, NOW, request({ query: { secret: 'other' } }))).toBe(false)
    expect(verify(guarded, NOW, request())).toBe(false)
    expect(
      verify(guarded, NOW, request({ query: { secret: 'url-secret' }, headers: { 'x-hrworks-signature': 'x' } })),
    ).toBe(false)
  })
})

describe('a webhook means', () => {
  it('what the samples mean', () => {
    const samples = JSON.parse(readFileSync(new URL('../fixtures/webhooks.json', import.meta.url), 'utf8')) as object[]
    const kinds = samples.map((sample) => readWebhook(Buffer.from(JSON.stringify(sample)), 'a').effects[0]?.kind)
    expect(kinds).toEqual(['read', 'ignored'])
  })

  it('that its applicant is to be read', () => {
    expect(readWebhook(body(), 'hrworks:acme')).toEqual({
      eventId: expect.stringMatching(/^abc-123 https:.*\/applicants\//),
      eventName: 'resourceUpdated',
      integrationId: 'hrworks:acme',
      effects: [{ kind: 'read', model: 'candidates', remoteKeys: [UUID] }],
    })
  })

  it('nothing where it is about something else', () => {
    const { effects } = readWebhook(body({ resourceLocation: 'http://api.hrworks.de/v2/sick-leaves/3_25' }), 'a')
    expect(effects).toEqual([{ kind: 'ignored', reason: '/v2/sick-leaves/3_25 is not an applicant' }])
  })

  it.each([
    ['https://other.example/v2/applicant-management/applicants/u-1', 'u-1'],
    [`https://x/v2/applicant-management/applicants/${UUID}/`, UUID],
    ['https://x/v2/applicant-management/applicants/../../persons', null],
    ['https://x/v2/applicant-management/applicants/a%2Fb', null],
    [`https://x/v2/applicant-management/applicants/${'a'.repeat(65)}`, null],
    ['no url', null],
  ])('by its location %s the applicant %s', (location, expected) => {
    expect(applicantOf(location)).toBe(expected)
  })

  it.each([
    ['no JSON', Buffer.from('{')],
    ['no location', body({ resourceLocation: undefined })],
  ])('nothing that can be told with %s', (_what, rawBody) => {
    expect(() => readWebhook(rawBody, 'a')).toThrowError(
      expect.objectContaining({ code: 'WEBHOOK_UNMAPPABLE' }) as Error,
    )
  })
})
