import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { WebhookEffect } from '@tidemark/connector'
import { describe, expect, it } from 'vitest'
import { integrationOf, readWebhook, streamsOf, verify } from './webhook.ts'

const samples = JSON.parse(readFileSync(new URL('../fixtures/webhooks.json', import.meta.url), 'utf8')) as {
  readonly type: string
}[]
const sample = (type: string): Record<string, unknown> => {
  const found = samples.find((webhook) => webhook.type === type)
  if (!found) throw new RangeError(`no sample of ${type}`)
  return { ...found }
}
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const ats = (type: string): Buffer => {
  const webhook = sample(type)
  const data = { ...(webhook['data'] as object) }
  return bytes({
    ...webhook,
    data: { ...data, ...('category' in data ? { category: 'ATS' } : { integration_category: 'ATS' }) },
  })
}
const effect = (rawBody: Uint8Array): WebhookEffect | undefined => readWebhook(rawBody).effects[0]

describe('signature', () => {
  const secret = 'säcret'
  const body = Buffer.from('{\n  "id": "x"\n}')
  const signature = createHmac('sha256', Buffer.from(secret, 'utf8')).update(body).digest('base64url')
  const request = (headers: Record<string, string | undefined>, rawBody: Uint8Array = body) => ({
    headers,
    query: {},
    rawBody,
  })

  it('accepts the HMAC of the exact bytes', () => {
    expect(verify(secret, request({ 'x-kombo-signature': signature }))).toBe(true)
  })

  it.each([
    ['a missing one', undefined],
    ['an empty one', ''],
    ['padding', `${signature}=`],
    ['another one of the same length', 'A'.repeat(signature.length)],
    ['hex', createHmac('sha256', secret).update(body).digest('hex')],
  ])('refuses %s', (_what, value) => {
    expect(verify(secret, request({ 'x-kombo-signature': value }))).toBe(false)
  })

  it('refuses the same content in other bytes', () => {
    expect(verify(secret, request({ 'x-kombo-signature': signature }, Buffer.from('{"id":"x"}')))).toBe(false)
  })

  it('refuses the HMAC under another secret', () => {
    expect(verify('other', request({ 'x-kombo-signature': signature }))).toBe(false)
  })
})

describe('data-changed', () => {
  it('reads the documented sample', () => {
    expect(readWebhook(bytes(sample('data-changed')))).toEqual({
      eventId: 'FhghqjnCi9WuAoLT8Z75CFcs',
      eventName: 'data-changed',
      integrationId: 'bombohr:ats-dev',
      effects: [{ kind: 'fetch', streams: ['applications', 'candidates', 'interviews', 'offers'], unknownModels: [] }],
    })
  })

  it.each([
    ['ats_rejection_reasons', ['rejection-reasons']],
    ['ats_tags', ['applications', 'candidates', 'tags']],
    ['ats_users', ['interviews', 'jobs', 'users']],
    ['ats_roles', ['users', 'roles']],
    ['ats_notes', ['notes']],
    ['ats_offers', ['applications', 'offers']],
    ['ats_job_postings', ['jobs']],
    ['ats_screening_questions', ['jobs']],
    ['ats_application_stages', ['applications', 'candidates', 'jobs', 'application-stages']],
    ['ats_join_users_roles', ['users']],
    ['ats_join_user_job_role_assignments', ['jobs']],
    ['ats_join_interviews_users', ['interviews']],
  ])('%s asks for %j', (model, streams) => {
    expect(streamsOf([model])).toEqual({ streams, unknown: [] })
  })

  it('names unknown models and still fetches the known ones', () => {
    expect(streamsOf(['ats_tags', 'ats_scorecards', 'hris_employees'])).toEqual({
      streams: ['applications', 'candidates', 'tags'],
      unknown: ['ats_scorecards', 'hris_employees'],
    })
  })
})

describe('lifecycle', () => {
  it('understands sync-finished', () => {
    expect(effect(ats('sync-finished'))).toEqual({
      kind: 'provider_sync',
      state: 'SUCCEEDED',
      startedAtMs: Date.parse('2021-09-01T12:00:00.000Z'),
    })
  })

  it('understands integration-state-changed and integration-deleted', () => {
    expect(effect(ats('integration-state-changed'))).toEqual({
      kind: 'integration',
      event: 'state_changed',
      state: 'ACTIVE COMPLETED PASSED',
    })
    expect(effect(ats('integration-deleted'))).toMatchObject({ kind: 'integration', event: 'deleted' })
    expect(integrationOf(ats('integration-deleted'))).toBe('personio:CBNMt7dSNCzBdnRTx87dev4E')
  })

  it('understands integration-created', () => {
    const body = bytes({ id: 'e', type: 'integration-created', data: { id: 'join:1', tool: 'join', category: 'ATS' } })
    expect(readWebhook(body)).toMatchObject({
      integrationId: 'join:1',
      effects: [{ kind: 'integration', event: 'created' }],
    })
  })

  it('ignores events of other categories than ATS', () => {
    expect(effect(bytes(sample('sync-finished')))).toEqual({
      kind: 'ignored',
      reason: 'category HRIS is not ATS',
    })
  })

  it.each(['issue-status-changed', 'connection-flow-failed', 'something-new', '__proto__', 'constructor'])(
    'ignores %s by name',
    (type) => {
      expect(readWebhook(bytes({ id: 'e', type, data: {} }))).toMatchObject({
        eventId: 'e',
        eventName: type,
        effects: [{ kind: 'ignored' }],
      })
    },
  )
})

describe('what cannot be understood', () => {
  it.each([
    ['no JSON', Buffer.from('<html>')],
    ['broken UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['no object', bytes([1])],
    ['no type', bytes({ id: 'x' })],
    ['data-changed without an integration', bytes({ type: 'data-changed', data: { changed_models: [] } })],
    ['data-changed without models', bytes({ type: 'data-changed', data: { integration_id: 'a:b' } })],
    [
      'a changed model without a name',
      bytes({ type: 'data-changed', data: { integration_id: 'a:b', changed_models: [{}] } }),
    ],
    ['integration-created without data', bytes({ type: 'integration-created' })],
  ])('%s is unmappable', (_what, body) => {
    expect(() => readWebhook(body)).toThrowError(expect.objectContaining({ code: 'WEBHOOK_UNMAPPABLE' }) as Error)
  })

  it('gives no integration, and no error, for a body that is no JSON', () => {
    expect(integrationOf(Buffer.from('<html>'))).toBeNull()
  })
})
