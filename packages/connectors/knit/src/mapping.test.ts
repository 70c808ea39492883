import { readFileSync } from 'node:fs'
import type { Mapped, MappedRecord } from '@tidemark/connector'
import { type ModelName, normalizeRecord, publicId, recordKey, remoteKey } from '@tidemark/model'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFrame } from './frame.ts'
import { mapDeletion, mapUpsert } from './mapping.ts'
import type { RecordVersion } from './options.ts'
import { STREAM_MODELS, streamOf } from './streams.ts'
import { versionsOf } from './versions.ts'

type Event = { eventData: Record<string, unknown>; recordId?: unknown } & Record<string, unknown>

const load = (name: string): Event =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')) as Event

const id = (model: ModelName, remote: string): string => publicId(recordKey('int-1', model, remoteKey(remote)))

function map(event: unknown, scale: RecordVersion = 'triggered_at'): Mapped {
  const frame = readFrame(Buffer.from(JSON.stringify(event)))
  const stream = streamOf(frame.dataType) ?? 'jobs'
  const context = { integrationId: 'int-1', stream, versions: versionsOf(frame, scale) }
  return frame.eventType === 'record.deleted' ? mapDeletion(frame, context) : mapUpsert(frame, context)
}

const with_ = (event: Event, data: Record<string, unknown>): Event => ({
  ...event,
  eventData: { ...event.eventData, ...data },
})
const info = (event: Event, fields: Record<string, unknown>): Event =>
  with_(event, { info: { ...(event.eventData['info'] as object), ...fields } })

const records = (mapped: Mapped, model: ModelName): MappedRecord[] =>
  mapped.records.filter((each) => each.model === model)
const record = (mapped: Mapped, model: ModelName, key: string): MappedRecord['record'] | undefined =>
  records(mapped, model).find((each) => each.remoteKey === key)?.record

const job = load('job')
const application = load('application')

describe('a job', () => {
  const mapped = map(job)

  it('has its own fields in the words of the model', () => {
    expect(record(mapped, 'jobs', 'J-100')).toEqual({
      remote_id: 'J-100',
      name: 'Lighthouse Keeper',
      description: '<p>Keep the lamp lit.</p>',
      post_url: 'https://jobs.example.com/J-100',
      status: 'OPEN',
      closed_at: null,
      remote_created_at: '2026-01-10T08:00:00.000Z',
      remote_updated_at: '2026-02-01T08:30:00.000Z',
      department: 'Harbour',
      location: { raw: 'Gdynia, PL' },
      employment_type: 'FULL_TIME',
      remote_work_status: 'ON_SITE',
      experience_level: 'Senior',
      salary_amount_from: 3000,
      salary_amount_to: 4200.5,
      salary_currency: 'EUR',
      salary_period: 'MONTH',
      custom_fields: { cost_center: 'CC-7', headcount: 2 },
      remote_data: { status: 'published', description: 'Keep the lamp lit.' },
    })
    expect(mapped.failures).toEqual([])
  })

  it('has postings, stages in their order, and a team with every role', () => {
    expect(record(mapped, 'job-postings', 'J-100:P-1')).toEqual({
      remote_id: 'P-1',
      title: 'Lighthouse Keeper (m/f/d)',
      url: 'https://jobs.example.com/J-100/apply',
      status: 'ACTIVE',
      visibility: 'PUBLIC',
      job_id: id('jobs', 'J-100'),
    })
    expect(records(mapped, 'job-stages').map((each) => each.record)).toEqual([
      { job_id: id('jobs', 'J-100'), stage_id: id('application-stages', 'S-1'), index: 0 },
      { job_id: id('jobs', 'J-100'), stage_id: id('application-stages', 'S-2'), index: 1 },
    ])
    expect(record(mapped, 'application-stages', 'S-2')).toEqual({ remote_id: 'S-2', name: 'Trial night' })
    expect(record(mapped, 'users', 'U-2')).toEqual({ remote_id: 'U-2', email: 'omar@example.com' })
    expect(record(mapped, 'job-hiring-team', 'J-100:U-1')).toEqual({
      job_id: id('jobs', 'J-100'),
      user_id: id('users', 'U-1'),
      hiring_team_roles: ['HIRING_MANAGER', 'RECRUITER'],
    })
    expect(mapped.childLists.map(({ model, children }) => [model, children])).toEqual([
      ['job-postings', ['J-100:P-1']],
      ['job-stages', ['J-100:S-1', 'J-100:S-2']],
      ['job-hiring-team', ['J-100:U-1', 'J-100:U-2']],
    ])
  })

  it('gives each list as complete, also when empty, or not at all', () => {
    const empty = map(with_(job, { stages: [], hiringManagers: [], recruiters: [], jobPosts: [] }))
    expect(empty.childLists.map(({ children }) => children)).toEqual([[], [], []])
    const absent = map({ ...job, eventData: { info: job.eventData['info'] } })
    expect(absent.childLists).toEqual([])
    expect(absent.failures).toEqual([])
    expect(Object.keys(record(absent, 'jobs', 'J-100') ?? {})).not.toContain('department')
    const half = map(with_(job, { recruiters: null }))
    expect(half.childLists.map(({ model }) => model)).toEqual(['job-postings', 'job-stages'])
    expect(record(half, 'job-hiring-team', 'J-100:U-1')?.['hiring_team_roles']).toEqual(['HIRING_MANAGER'])
  })

  it('sets aside an entry that cannot be read, and its list is then incomplete', () => {
    const mapped = map(
      with_(job, { stages: [{ id: 'S-1', text: 'Applied' }, { text: 'Nameless' }, 7], jobPosts: 'none' }),
    )
    expect(mapped.failures.map(({ model, remoteKey: key }) => [model, key])).toEqual([
      ['job-postings', 'J-100'],
      ['job-stages', 'J-100'],
      ['job-stages', 'J-100'],
    ])
    expect(records(mapped, 'job-stages')).toHaveLength(1)
    expect(mapped.childLists.map(({ model }) => model)).toEqual(['job-hiring-team'])
  })

  it.each([
    ['OPEN', 'OPEN'],
    ['ARCHIVED', 'ARCHIVED'],
    ['PENDING', 'PENDING'],
    ['NOT_SPECIFIED', 'published'],
    [null, null],
  ])('with the status %s is %s', (status, expected) => {
    expect(record(map(info(job, { status })), 'jobs', 'J-100')?.['status']).toBe(expected)
  })

  it('knows its place by text, by parts, or by name', () => {
    const place = (offices: unknown): unknown => record(map(with_(job, { offices })), 'jobs', 'J-100')?.['location']
    expect(place([{ id: 'O', name: 'Pier' }])).toEqual({ raw: 'Pier' })
    expect(place([{ id: 'O', name: 'Pier', location: { city: 'Gdynia', country: 'PL' } }])).toEqual({
      ...{ city: 'Gdynia', country: 'PL', raw: 'Pier' },
    })
    expect(place([])).toBeNull()
    expect(place(null)).toBeNull()
    expect(place('Pier')).toBeUndefined()
  })
})

describe('an application', () => {
  const mapped = map(application)

  it('has its own fields and references', () => {
    expect(record(mapped, 'applications', 'A-7')).toEqual({
      remote_id: 'A-7',
      outcome: 'DECLINED',
      rejection_reason_name: 'Afraid of heights',
      rejected_at: '2026-02-24T09:00:00.000Z',
      current_stage_id: id('application-stages', 'S-2'),
      job_id: id('jobs', 'J-100'),
      candidate_id: id('candidates', 'C-3'),
      remote_created_at: '2026-02-03T10:00:00.000Z',
      remote_updated_at: 1772012345678,
    })
    expect(mapped.failures).toEqual([])
  })

  it('shows the candidate, interviews with interviewers, offers, the stage and users', () => {
    expect(record(mapped, 'candidates', 'C-3')).toEqual({
      remote_id: 'C-3',
      first_name: 'Iva',
      last_name: 'Moreno',
      email_addresses: [
        { email_address: 'iva@example.org', type: 'WORK' },
        { email_address: 'iva@example.com', type: 'OTHER' },
      ],
      phone_numbers: [{ phone_number: '+48 500 100 200', type: 'PERSONAL' }],
      social_media: [{ link: 'https://www.linkedin.com/in/iva' }],
      location: { raw: 'Sopot' },
      source: 'REFERRAL',
    })
    const application_id = id('applications', 'A-7')
    expect(records(mapped, 'interviews').map((each) => each.record)).toEqual([
      {
        ...{ remote_id: 'I-1', title: 'Storm drill', canceled: false, application_id },
        ...{ starting_at: '2026-02-20T18:00:00.000Z', ending_at: '2026-02-20T19:00:00.000Z' },
      },
      {
        ...{ remote_id: 'I-2', title: 'Second drill', canceled: true, application_id },
        ...{ starting_at: 1771866000000, ending_at: null },
      },
    ])
    expect(record(mapped, 'interview-users', 'I-1:U-1')).toEqual({
      interview_id: id('interviews', 'I-1'),
      user_id: id('users', 'U-1'),
    })
    expect(record(mapped, 'offers', 'F-1')).toEqual({
      ...{ remote_id: 'F-1', status: 'ACCEPTED', employment_start_date: '2026-04-01', application_id },
    })
    expect(records(mapped, 'users').map((each) => each.remoteKey)).toEqual(['U-2', 'U-9', 'U-1'])
    expect(mapped.childLists.map(({ parentRemoteKey, children }) => [parentRemoteKey, children])).toEqual([
      ['I-1', ['I-1:U-1']],
      ['I-2', []],
    ])
  })

  it.each([
    ['ACTIVE', 'PENDING'],
    ['HIRED', 'HIRED'],
    ['REJECTED', 'DECLINED'],
    ['NOT_SPECIFIED', null],
    ['constructor', null],
  ])('with the status %s has the outcome %s', (status, outcome) => {
    expect(record(map(info(application, { status })), 'applications', 'A-7')?.['outcome']).toBe(outcome)
  })

  it('tells absent from null', () => {
    const bare = record(map({ ...application, eventData: { info: { id: 'A-7' } } }), 'applications', 'A-7')
    expect(bare).toEqual({ remote_id: 'A-7' })
    const nulls = { currentStage: null, rejection: null, interviews: null, offers: null }
    const emptied = map({ ...application, eventData: { info: { id: 'A-7', candidate: null, jobId: null }, ...nulls } })
    expect(record(emptied, 'applications', 'A-7')).toEqual({
      ...{ remote_id: 'A-7', candidate_id: null, job_id: null, current_stage_id: null },
      ...{ rejection_reason_name: null, rejected_at: null },
    })
    expect(emptied.childLists).toEqual([])
  })

  it('takes the placeholders of the documented sample for nothing', () => {
    const sample = { info: { id: 'A-7', jobId: '' }, currentStage: {}, interviews: [], rejection: {}, offers: [] }
    const mapped = map({ ...application, eventData: sample })
    expect(mapped.records).toHaveLength(1)
    expect(record(mapped, 'applications', 'A-7')).toEqual({ remote_id: 'A-7' })
    expect(mapped.failures).toEqual([])
  })

  it('sets aside a candidate, interview or offer without an id, and goes on', () => {
    const broken = info(with_(application, { interviews: [{ subject: 'x' }], offers: {} }), {
      candidate: { firstName: 'x' },
    })
    const mapped = map(broken)
    expect(mapped.failures.map(({ model }) => model)).toEqual(['candidates', 'interviews', 'offers'])
    expect(record(mapped, 'applications', 'A-7')).not.toHaveProperty('candidate_id')
  })

  it('keeps the source of a candidate where another application does not specify one', () => {
    expect(record(map(info(application, { origin: 'NOT_SPECIFIED' })), 'candidates', 'C-3')).not.toHaveProperty(
      'source',
    )
  })
})

describe('keys', () => {
  it('are the recordId, with the info left out or a number for an id', () => {
    expect(map({ ...job, eventData: { stages: [] } }).records[0]?.remoteKey).toBe('J-100')
    expect(map(info({ ...job, recordId: undefined }, { id: 42 })).records[0]?.remoteKey).toBe('42')
    expect(map(info({ ...job, recordId: 'a/b:c' }, { id: 'a/b:c' })).records[0]?.remoteKey).toBe('a%2Fb%3Ac')
  })

  it.each([
    ['two that differ', info(job, { id: 'J-2' })],
    ['none', info({ ...job, recordId: '' }, { id: null })],
    ['an info that is no object', with_(job, { info: 'J-100' })],
  ])('%s set the whole record aside', (_what, event) => {
    const mapped = map(event)
    expect(mapped.records).toEqual([])
    expect(mapped.failures).toHaveLength(1)
    expect(mapped.failures[0]).toMatchObject({ model: 'jobs', error: { code: 'RECORD_INVALID' } })
  })
})

describe('versions', () => {
  it('are the time of the event for everything it shows', () => {
    expect(new Set(map(application).records.map((each) => each.remoteVersion))).toEqual(new Set([1772355700000]))
  })

  it('are absent without that time, and never taken from the other scale', () => {
    for (const triggeredAt of [undefined, null, 'soon', {}])
      expect(map({ ...application, triggeredAt }).records.every((each) => each.remoteVersion === null)).toBe(true)
  })

  it('are the update of the record alone where the account is set to that', () => {
    const mapped = map(application, 'updated_at')
    expect(records(mapped, 'applications')[0]?.remoteVersion).toBe(1772012345678)
    expect(mapped.records.filter((each) => each.remoteVersion !== null)).toHaveLength(1)
    expect(
      map({ ...job, eventType: 'record.deleted', eventData: {} }, 'updated_at').records[0]?.remoteVersion,
    ).toBeNull()
  })
})

describe('any event', () => {
  const streams = [job, application]

  it('of the fixtures can be normalized, all its models are of its stream', () => {
    for (const event of streams) {
      const models: readonly ModelName[] = STREAM_MODELS[event === job ? 'jobs' : 'applications']
      for (const each of map(event).records) {
        expect(models).toContain(each.model)
        expect(() => normalizeRecord(each.model, { id: 'x', ...each.record })).not.toThrow()
      }
    }
  })

  it('whatever it holds, maps to something, the same each time', () => {
    const keys = [...Object.keys(job.eventData), ...Object.keys(application.eventData)]
    const data = fc.dictionary(fc.constantFrom(...keys), fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())))
    fc.assert(
      fc.property(data, fc.constantFrom(...streams), fc.boolean(), (extra, event, keepsInfo) => {
        const eventData = keepsInfo ? { ...event.eventData, ...extra, info: event.eventData['info'] } : extra
        const mapped = map({ ...event, eventData })
        expect(mapped.records.length + mapped.failures.length).toBeGreaterThan(0)
        for (const list of mapped.childLists)
          for (const child of list.children) expect(child.startsWith(`${list.parentRemoteKey}:`)).toBe(true)
        expect(map({ ...event, eventData })).toEqual(mapped)
      }),
      { numRuns: 300 },
    )
  })
})
