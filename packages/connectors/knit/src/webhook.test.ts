import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { seededRandom, systemClock } from '@tidemark/base'
import type { WebhookEffect, WebhookRequest } from '@tidemark/connector'
import { describe, expect, it } from 'vitest'
import { connector } from './index.ts'
import { integrationOf, readWebhook } from './webhook.ts'

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'))
const events = fixture('events') as Record<string, Record<string, unknown>>

const request = (
  event: unknown,
  headers: Record<string, string> = { 'x-knit-integration-id': 'int-1' },
): WebhookRequest => ({
  headers,
  query: {},
  rawBody: Buffer.from(typeof event === 'string' ? event : JSON.stringify(event)),
})
const read = (event: unknown) => readWebhook(request(event), 'triggered_at')
const effect = (event: unknown): WebhookEffect | undefined => read(event).effects[0]

describe('signature', () => {
  const body = Buffer.from('{ "eventId": "é",\n "eventType": "x" }')
  const signed = (key: string): string =>
    createHmac('sha256', Buffer.from(key, 'utf8')).update(body).digest('base64url')
  const options = { base_url: 'http://127.0.0.1:9', api_key: 'current', second_api_key: 'other', integrations: [] }
  const deps = { clock: systemClock, random: seededRandom(1) }
  const source = connector.create(connector.parseOptions(options), deps)
  const verify = (signature: string | undefined, rawBody: Uint8Array = body): boolean =>
    source.verifyWebhook({ headers: { 'x-knit-signature': signature }, query: {}, rawBody })

  it('is accepted over the exact bytes, with either key, with or without padding', () => {
    expect(verify(signed('current'))).toBe(true)
    expect(verify(signed('other'))).toBe(true)
    expect(verify(`${signed('current')}=`)).toBe(true)
  })

  it('is refused with another key once there is only one', () => {
    const { second_api_key: _gone, ...one } = options
    const after = connector.create(connector.parseOptions(one), deps)
    expect(after.verifyWebhook({ headers: { 'x-knit-signature': signed('other') }, query: {}, rawBody: body })).toBe(
      false,
    )
  })

  it.each([
    ['a missing one', undefined],
    ['an empty one', ''],
    ['another key', signed('stranger')],
    ['hexadecimal', createHmac('sha256', 'current').update(body).digest('hex')],
    ['characters of several bytes', 'é'.repeat(43)],
    ['padding only', '='.repeat(43)],
  ])('%s is refused', (_what, signature) => expect(verify(signature)).toBe(false))

  it('never throws, whatever the body', () => {
    for (const bytes of [new Uint8Array(), Buffer.from([0xff, 0xfe, 0]), Buffer.from('{'.repeat(100_000))])
      expect(verify(signed('current'), bytes)).toBe(false)
  })

  it('is not computed over re-serialised JSON', () => {
    const compact = Buffer.from(JSON.stringify(JSON.parse(body.toString())))
    expect(verify(createHmac('sha256', 'current').update(compact).digest('base64url'))).toBe(false)
  })
})

describe('the integration', () => {
  it('is named by the header, whatever the body', () => {
    expect(integrationOf(request('not JSON'))).toBe('int-1')
    expect(integrationOf(request({}, {}))).toBeNull()
    expect(integrationOf(request({}, { 'x-knit-integration-id': ' ' }))).toBeNull()
  })

  it('must be named for an event that means something', () => {
    const nameless = request(fixture('job'), {})
    expect(() => readWebhook(nameless, 'triggered_at')).toThrowError(
      expect.objectContaining({
        code: 'WEBHOOK_UNMAPPABLE',
        message: expect.stringContaining('x-knit-integration-id'),
      }) as Error,
    )
  })
})

describe('records', () => {
  it('come with the event, new or modified alike', () => {
    const reading = read(fixture('application'))
    expect(reading).toMatchObject({ eventId: 'e_app_1', eventName: 'record.modified', integrationId: 'int-1' })
    expect(reading.effects).toHaveLength(1)
    const asNew = read({ ...(fixture('application') as object), eventType: 'record.new' })
    expect(asNew.effects).toEqual(reading.effects)
  })

  it('a deleted job is closed and gone, by the event', () => {
    expect(effect(events['jobDeleted'])).toEqual({
      kind: 'records',
      run: { id: 'sr_2', stream: 'jobs', isComplete: false },
      mapped: {
        records: [
          {
            model: 'jobs',
            remoteKey: 'J-100',
            kind: 'deleted',
            remoteVersion: 1772442000000,
            record: { remote_id: 'J-100', status: 'CLOSED' },
            evidence: { kind: 'provider_event', detail: 'record.deleted of ats_jobs, event e_3' },
          },
        ],
        childLists: [],
        failures: [],
      },
    })
  })

  it('a deleted application leaves its candidate alone', () => {
    const found = effect(events['applicationDeleted'])
    expect(found).toMatchObject({
      kind: 'records',
      mapped: { records: [{ model: 'applications', remoteKey: 'A-7', kind: 'deleted', remoteVersion: null }] },
    })
    const full = { applicationId: 'A-7', candidateId: 'C-3', jobId: 'J-100' }
    const { recordId: _gone, ...rest } = events['applicationDeleted'] as Record<string, unknown>
    expect(effect({ ...rest, eventData: full })).toEqual(found)
  })

  it.each([
    ['no data', { ...(fixture('job') as object), eventData: null }],
    ['a list for data', { ...(fixture('job') as object), eventData: [] }],
    ['a deletion of nothing', { ...events['jobDeleted'], recordId: '' }],
    ['no type', { eventId: 'e' }],
    ['a type that is no text', { eventType: 5 }],
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1')],
  ])('%s cannot be mapped', (_what, event) => {
    expect(() => read(event)).toThrowError(expect.objectContaining({ code: 'WEBHOOK_UNMAPPABLE' }) as Error)
  })

  it('of other categories are passed over', () => {
    expect(effect({ ...(fixture('job') as object), syncDataType: 'employee' })).toEqual({
      kind: 'ignored',
      reason: 'data type employee is not read',
    })
  })
})

describe('runs', () => {
  it('that are processed are still on their way', () => {
    expect(effect(events['processed'])).toEqual({
      kind: 'ignored',
      reason: 'run sr_2 of ats_jobs read 200 records and emitted 3 events; it is complete when all are consumed',
    })
  })

  it('end when all is consumed, with as many events as were emitted, or fail', () => {
    const allConsumed = events['allConsumed'] as { syncRunId: string; syncType: string; eventData: { emitted: number } }
    const startedAtMs = 1772355600000
    expect(effect(allConsumed)).toEqual({
      ...{ kind: 'pushed_run', outcome: 'complete', startedAtMs, message: null },
      events: Number(allConsumed.eventData.emitted),
      run: { id: allConsumed.syncRunId, stream: 'jobs', isComplete: allConsumed.syncType === 'initial_sync' },
    })
    expect(effect({ ...allConsumed, syncType: 'initial_sync' })).toMatchObject({ run: { isComplete: true } })
    expect(effect(events['failed'])).toMatchObject({ kind: 'pushed_run', outcome: 'failed', events: null, startedAtMs })
  })

  it('say nothing about what is gone when their counters disagree or are missing', () => {
    const event = events['allConsumed'] as { eventData: object }
    for (const eventData of [{ ...event.eventData, consumed: 2 }, { ...event.eventData, complete: false }, {}]) {
      const found = effect({ ...event, eventData })
      expect(found).toMatchObject({ kind: 'pushed_run', outcome: 'complete', events: null })
      expect(found).toHaveProperty('message', expect.any(String))
    }
  })

  it('without an id are only told', () => {
    const { syncRunId: _none, ...event } = events['allConsumed'] as Record<string, unknown>
    expect(effect(event)).toMatchObject({ kind: 'provider_sync', state: 'SUCCEEDED' })
    expect(effect({ ...event, eventData: {} })).toMatchObject({ kind: 'provider_sync', state: 'PARTIALLY_FAILED' })
  })

  it('are told by Knit without a data type too, but not of other categories', () => {
    const { syncDataType: _gone, ...failed } = events['failed'] as Record<string, unknown>
    expect(effect(failed)).toMatchObject({ kind: 'provider_sync', state: 'FAILED' })
    expect(effect({ ...failed, syncDataType: 'employee' })).toMatchObject({ kind: 'ignored' })
  })

  it('that go on mean nothing', () => {
    expect(effect(events['heartbeat'])).toEqual({ kind: 'ignored', reason: 'run sr_1 of ats_jobs goes on' })
  })
})

describe('integrations', () => {
  it('are created by an activation, unless it carries errors', () => {
    expect(effect(events['activated'])).toEqual({ kind: 'integration', event: 'created', state: 'ACTIVE' })
    expect(effect(events['activatedWithErrors'])).toEqual({
      ...{ kind: 'integration', event: 'state_changed', state: 'VALIDATION_FAILED (1)' },
    })
    for (const eventData of [{ errors: [] }, { validationErrors: {} }, { error: null }, null])
      expect(effect({ ...events['activated'], eventData })).toMatchObject({ event: 'created' })
  })
})

it.each(['bot.installed', 'record.archived', 'constructor', '__proto__', 'toString'])(
  '%s is kept and ignored',
  (type) => {
    expect(effect({ eventId: 'e', eventType: type })).toEqual({
      kind: 'ignored',
      reason: `type ${type} has no meaning for this connector`,
    })
  },
)
