import { describe, expect, it } from 'vitest'
import { context, fixture, id, records } from '../test/mapped.ts'
import { mapApplications, mapCandidates, mapJobStages, mapUsers, statusesIn } from './mapping.ts'
import { Directory, personRows } from './people.ts'
import { createStatuses } from './statuses.ts'

describe('candidates', () => {
  const applicant = fixture('applicant')

  it('have every field that HR WORKS delivers', () => {
    expect(records(mapCandidates([applicant]))).toEqual([
      {
        model: 'candidates',
        remoteKey: '7c1d7e52-35ba-4a0a-9c3e-1f7a2f0d6b11',
        kind: 'record',
        remoteVersion: null,
        record: {
          remote_id: '7c1d7e52-35ba-4a0a-9c3e-1f7a2f0d6b11',
          first_name: 'Dana',
          last_name: 'Żółć-Müller',
          title: 'Dr.',
          email_addresses: [{ email_address: 'dana@example.com', type: null }],
          phone_numbers: [{ phone_number: '+49 761 479540', type: null }],
          location: {
            ...{ city: 'Freiburg', zip_code: '79106', street_1: 'Waldkircher Straße 28' },
            ...{ street_2: 'Hinterhaus', country: 'DE' },
          },
          source: 'linkedIn',
        },
      },
    ])
  })

  it('deliver only what is present, and null as null', () => {
    const [bare] = records(mapCandidates([{ uuid: 'u' }]))
    expect(bare?.record).toEqual({ remote_id: 'u' })
    const blank = { uuid: 'u', firstName: null, email: null, phone: '', address: null, jobApplications: [] }
    const [blanked] = records(mapCandidates([blank]))
    expect(blanked?.record).toEqual({
      ...{ remote_id: 'u', first_name: null, email_addresses: [], phone_numbers: [], location: null },
    })
  })

  it('come from where the newest application says, whatever the order and offsets', () => {
    const applications = [
      { creationDateAndTime: '2026-01-15T01:00:00+02:00', howDidYouHearAboutUs: 'older' },
      { creationDateAndTime: '2026-01-15T00:30:00Z', howDidYouHearAboutUs: 'newer' },
      { howDidYouHearAboutUs: 'without a time' },
    ]
    for (const jobApplications of [applications, [...applications].reverse()]) {
      const [candidate] = records(mapCandidates([{ uuid: 'u', jobApplications }]))
      expect(candidate?.record['source']).toBe('newer')
    }
    const [silent] = records(mapCandidates([{ uuid: 'u', jobApplications: [{ id: '1', howDidYouHearAboutUs: null }] }]))
    expect(silent?.record).toEqual({ remote_id: 'u', source: null })
  })

  it('keep a country that is no alpha-3 code as it is', () => {
    const [candidate] = records(mapCandidates([{ uuid: 'u', address: { countryCode: 'Mittelerde', streetNumber: 7 } }]))
    expect(candidate?.record['location']).toEqual({ country: 'Mittelerde', street_1: '7' })
  })

  it('that cannot be mapped are set aside alone', () => {
    const { mapped } = mapCandidates(['text', { firstName: 'Nobody' }, { uuid: 'u' }])
    expect(mapped.records.map(({ remoteKey }) => remoteKey)).toEqual(['u'])
    expect(mapped.failures.map(({ error, json }) => [error.code, json])).toEqual([
      ['RECORD_INVALID', '"text"'],
      ['RECORD_INVALID', '{"firstName":"Nobody"}'],
    ])
  })
})

describe('applications and stages', () => {
  const application = fixture('job-application')

  it('refer to their stage, candidate and job', () => {
    const [stage, mapped] = records(mapApplications([application], context()))
    expect(stage).toMatchObject({
      ...{ model: 'application-stages', remoteKey: 'interview' },
      record: { remote_id: 'interview', name: 'Vorstellungsgespräch' },
    })
    expect(mapped).toMatchObject({ model: 'applications', remoteKey: '1f00ab' })
    expect(mapped?.record).toEqual({
      remote_id: '1f00ab',
      outcome: 'PENDING',
      current_stage_id: id('application-stages', 'interview'),
      candidate_id: id('candidates', '7c1d7e52-35ba-4a0a-9c3e-1f7a2f0d6b11'),
      job_id: id('jobs', 'a1b2c4'),
      remote_created_at: '2026-01-15T08:30:00Z',
    })
  })

  it.each([
    [{ postOfferId: null, postUuid: 'u', postId: '1' }, 'u'],
    [{ postId: 17 }, '17'],
  ])('without an offer refer to the post: %j', (references, remote) => {
    const [mapped] = records(mapApplications([{ id: 'a', ...references }], context()))
    expect(mapped?.record['job_id']).toBe(id('jobs', remote))
  })

  it('deliver only what is present', () => {
    const [mapped] = records(mapApplications([{ id: 5 }], context()))
    expect(mapped?.record).toEqual({ remote_id: '5' })
    const [blank] = records(mapApplications([{ id: 'a', statusIdentifier: null, postUuid: null }], context()))
    expect(blank?.record).toEqual({ remote_id: 'a', current_stage_id: null, job_id: null })
  })

  it('end as the table says, as the configuration says, or are open with a warning', () => {
    const rows = ['hired', 'rejected', 'withdrawn', 'offer', 'zusage', 'mystery'].map((statusIdentifier, index) => ({
      ...{ id: String(index), statusIdentifier, status: statusIdentifier },
    }))
    const statuses = createStatuses({ statusOrder: null, statusOutcomes: { Zusage: 'HIRED' } })
    const mapped = mapApplications(rows, context({ statuses }))
    const outcomes = records(mapped).flatMap(({ model, record }) => (model === 'applications' ? record['outcome'] : []))
    expect(outcomes).toEqual(['HIRED', 'DECLINED', 'DECLINED', 'PENDING', 'HIRED', 'PENDING'])
    expect(mapped.warnings).toEqual([expect.stringContaining('The status mystery')])
  })

  it('show each status once a page', () => {
    const rows = [application, { ...application, id: 'b' }, { id: 'c', statusIdentifier: 'new' }, 7]
    expect(statusesIn(rows)).toEqual(['interview', 'new'])
    const stages = mapApplications(rows, context()).mapped.records.filter(({ model }) => model === 'application-stages')
    expect(stages.map(({ remoteKey }) => remoteKey)).toEqual(['interview', 'new'])
  })

  it('make every known stage one of every job, unknown ones last', () => {
    const statuses = createStatuses({ statusOrder: ['new', 'interview'], statusOutcomes: {} })
    const mapped = mapJobStages(
      [fixture('post'), fixture('post-without-offers')],
      ['mystery', 'interview'],
      context({ statuses }),
    )
    const stages = records(mapped)
    expect(stages.map(({ remoteKey, record }) => [remoteKey, record['index']])).toEqual([
      ['a1b2c3:mystery', 2],
      ['a1b2c3:interview', 1],
      ['a1b2c4:mystery', 2],
      ['a1b2c4:interview', 1],
      ['0b9f1a8e-5a0c-4d53-8f05-0d6f6f1a9c02:mystery', 2],
      ['0b9f1a8e-5a0c-4d53-8f05-0d6f6f1a9c02:interview', 1],
    ])
    expect(stages[0]?.record).toEqual({
      ...{ job_id: id('jobs', 'a1b2c3'), stage_id: id('application-stages', 'mystery'), index: 2 },
    })
    expect(mapped.mapped.childLists).toEqual([])
  })
})

describe('users', () => {
  const rows = personRows(fixture('persons')) ?? []

  it('are persons with what master data and the list of active ones add, each once', () => {
    const directory = new Directory()
    directory.addMasterData(fixture('master-data')['persons'] as unknown[])
    directory.setActive(rows.slice(0, 1))
    expect(records(mapUsers(rows, directory)).map(({ record }) => record)).toEqual([
      {
        ...{ remote_id: 'ea0c59f7-2f09-44e6-aa97-4641216af05b', first_name: 'Dana', last_name: 'Scully' },
        ...{ email: 'scully@example.com', status: 'ACTIVE' },
      },
      {
        ...{ remote_id: 'ea0c59f7-2f09-44e6-aa97-4641216af05c', first_name: 'Fox', last_name: 'Mulder' },
        ...{ email: 'mulder@example.com', status: 'INACTIVE' },
      },
      { remote_id: 'skinner', first_name: 'Walter', last_name: null, email: null, status: 'INACTIVE' },
    ])
  })

  it('lack address and status where these could not be read', () => {
    const [user] = records(mapUsers(rows, new Directory()))
    expect(Object.keys(user?.record ?? {})).toEqual(['remote_id', 'first_name', 'last_name'])
  })

  it('are listed by organization unit, and in no other form', () => {
    expect(personRows({ '100': 'x' })).toBeUndefined()
    expect(personRows('x')).toBeUndefined()
    expect(personRows({})).toEqual([])
    expect(mapUsers([{}, 'x'], new Directory()).mapped.failures).toHaveLength(2)
  })
})
