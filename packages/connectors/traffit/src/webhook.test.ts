import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { EVENTS, eventOf, readWebhook, verify } from './webhook.ts'

const samples = JSON.parse(readFileSync(new URL('../fixtures/webhooks.json', import.meta.url), 'utf8')) as {
  readonly type: string
}[]
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const effectsOf = (body: unknown, onlyCreated = false) => readWebhook(bytes(body), 'traffit:acme', onlyCreated).effects
const read = (model: string, ...remoteKeys: string[]) => ({ kind: 'read', model, remoteKeys })
const sample = (type: string) => samples.find((one) => one.type === type)

describe('the secret', () => {
  const of = (query: Record<string, string | undefined>) => verify('the-webhook-secret', { query })

  it('is accepted as it is, and refused in any other form', () => {
    expect(of({ secret: 'the-webhook-secret' })).toBe(true)
    for (const secret of [undefined, '', 'the-webhook-secre', 'the-webhook-secret ', 'THE-WEBHOOK-SECRET'])
      expect(of({ secret })).toBe(false)
    expect(of({})).toBe(false)
  })
})

describe('events', () => {
  it.each([
    ['candidate_created', [read('candidates', '6708')]],
    ['candidate_deleted', [read('candidates', '6708')]],
    ['candidate_soft_deleted', [{ ...read('candidates', '6708'), meaning: { kind: 'anonymized' } }]],
    [
      'candidate_merged',
      [
        read('candidates', '6708'),
        { ...read('candidates', '6709'), meaning: { kind: 'merged', intoRemoteKey: '6708' } },
      ],
    ],
    ['candidate_applied', [read('candidates', '6708'), read('applications', '6708:52')]],
    ['candidate_added_to_job', [read('candidates', '6708'), read('applications', '6708:52')]],
    ['candidate_moved_in_job', [read('applications', '6708:52')]],
    ['candidate_hired', [read('applications', '6708:52')]],
    ['candidate_removed_from_job', [read('applications', '6708:52')]],
    ['job_created', [read('jobs', '52')]],
    ['job_updated', [read('jobs', '52')]],
    ['job_deleted', [read('jobs', '52')]],
  ])('%s asks to look', (type, effects) => {
    expect(readWebhook(bytes(sample(type)), 'traffit:acme', false)).toEqual({
      eventId: null,
      eventName: type,
      integrationId: 'traffit:acme',
      effects,
    })
  })

  it('are the twelve, in whatever spelling', () => {
    expect(samples.map(({ type }) => type)).toEqual([...EVENTS])
    for (const event of EVENTS) expect(eventOf(event)).toBe(event)
    expect(eventOf('candidate.moved.in.job')).toBe('candidate_moved_in_job')
    expect(eventOf('EmployeeSoftDeleted')).toBe('candidate_soft_deleted')
    expect(eventOf('recruitment-updated')).toBe('job_updated')
    for (const other of ['note_added', '__proto__', 'constructor', '']) expect(eventOf(other)).toBeNull()
  })

  it('of other types are kept and ignored', () => {
    expect(effectsOf({ type: 'note_added', employee: { id: 1 } })).toMatchObject([{ kind: 'ignored' }])
    expect(effectsOf({ type: '__proto__' })).toMatchObject([{ kind: 'ignored' }])
  })
})

describe('payloads', () => {
  it.each([
    { event_type: 'candidate_created', candidate: { id: '7' } },
    { event: 'candidate_created', employee_id: 7 },
    { type: 'candidate_created', employee: 7 },
    { type: 'candidate_created', entity_id: 7 },
    { type: 'candidate_created', id: 7 },
    { type: 'candidate_created', data: { employee: { id: 7 } } },
    { type: 'employee.created', payload: { candidate_id: '7' } },
  ])('are read tolerantly: %j', (body) => {
    expect(effectsOf(body)).toEqual([read('candidates', '7')])
  })

  it('of an application without its job have the applications fetched', () => {
    expect(effectsOf({ type: 'candidate_hired', employee_id: 7 })).toEqual([
      { kind: 'fetch', streams: ['applications'], unknownModels: [] },
    ])
  })

  it('have the applications fetched where only created ones count', () => {
    const effects = effectsOf(sample('candidate_applied'), true)
    expect(effects.map(({ kind }) => kind)).toEqual(['read', 'fetch'])
  })

  it('of a merge that does not name the loser have the kept one read', () => {
    expect(effectsOf({ type: 'candidate_merged', employee: { id: 7 } })).toEqual([read('candidates', '7')])
  })

  it('keep an id of their own', () => {
    expect(readWebhook(bytes({ ...sample('job_updated'), event_id: 'e-1' }), 'i', false).eventId).toBe('e-1')
  })

  it.each([
    ['no JSON', Buffer.from('<html>')],
    ['a list', bytes([])],
    ['no type', bytes({ employee: { id: 1 } })],
    ['a known type about nobody', bytes({ type: 'candidate_created' })],
    ['an id that is none', bytes({ type: 'job_created', recruitment: { id: '../users' } })],
    ['more than a mebibyte', Buffer.alloc(1_048_577, ' ')],
  ])('with %s cannot be understood', (_what, body) => {
    expect(() => readWebhook(body, 'i', false)).toThrow(expect.objectContaining({ code: 'WEBHOOK_UNMAPPABLE' }))
  })
})
