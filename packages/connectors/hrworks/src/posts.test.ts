import { describe, expect, it } from 'vitest'
import { context, fixture, id, records } from '../test/mapped.ts'
import { mapJobs } from './mapping.ts'
import { Directory, personIdsByEmail, personRows } from './people.ts'
import { departmentsOf, needsDepartments, needsPersons } from './posts.ts'

describe('jobs', () => {
  const post = fixture('post')
  const departments = departmentsOf([
    { uuid: 'c3d1b5a2-8f6e-4a44-b9fb-3a5b0f1c2d3e', number: 100, name: 'Entwicklung' },
  ])

  it('are the offers of a post, joined with it', () => {
    const [open, closed] = records(mapJobs([post], context({ departments })))
    expect(open).toMatchObject({ model: 'jobs', remoteKey: 'a1b2c3' })
    const { integration_fields, ...fields } = open?.record ?? {}
    expect(fields).toEqual({
      remote_id: 'a1b2c3',
      name: 'Developer (m/f/d), Freiburg',
      description: '<p>Come to Freiburg</p>\n<p>Write code</p>\n<p>Curious</p>\n<p>Many</p>',
      employment_type: 'FULL_TIME',
      status: 'OPEN',
      category: 'Entwicklung',
      department: 'Entwicklung',
      experience_level: 'Berufserfahren',
      remote_work_status: 'HYBRID',
      location: {
        ...{ city: 'Freiburg', zip_code: '79106', street_1: 'Waldkircher Straße 28' },
        ...{ country: 'DE', raw: 'Zentrale' },
      },
      opened_at: '2026-01-05',
      remote_created_at: '2026-01-05',
      closed_at: null,
      contact_id: id('users', 'ea0c59f7-2f09-44e6-aa97-4641216af05b'),
    })
    expect(integration_fields).toContainEqual({
      ...{ id: 'postOffer.jobPortal', key: 'jobPortal', type: 'DEFAULT', label: 'jobPortal', value: 'website' },
    })
    expect(integration_fields).toContainEqual({
      ...{ id: 'post.key', key: 'key', type: 'DEFAULT', label: 'key', value: 'DEV-1' },
    })
    expect(closed?.record).toMatchObject({
      ...{ remote_id: 'a1b2c4', status: 'CLOSED', closed_at: '2025-06-30', location: null },
      ...{ employment_type: 'CONTRACT', remote_work_status: 'Von überall' },
    })
  })

  it('are a post itself where it has no offers, and tell of keys that no table knows', () => {
    const other = fixture('post-without-offers')
    const { warnings } = mapJobs([post, other], context())
    expect(warnings).toEqual([expect.stringContaining('placeOfWorkTypeKey anywhere')])
    const [job] = records(mapJobs([other], context()))
    const { integration_fields: _, ...fields } = job?.record ?? {}
    expect(fields).toEqual({
      ...{ remote_id: '0b9f1a8e-5a0c-4d53-8f05-0d6f6f1a9c02', name: 'baker', description: null, status: 'OPEN' },
    })
  })

  it('name the contact that has the address, once persons are known', () => {
    const other = fixture('post-without-offers')
    const directory = new Directory()
    directory.addMasterData(fixture('master-data')['persons'] as unknown[])
    const byEmail = personIdsByEmail(personRows(fixture('persons')) ?? [], directory)
    expect(needsPersons([other])).toBe(true)
    expect(needsPersons([post])).toBe(false)
    expect(needsDepartments([{ uuid: 'p' }])).toBe(false)
    const contactOf = (contactInformation: unknown): unknown =>
      records(mapJobs([{ uuid: 'p', contactInformation }], context({ personIdsByEmail: byEmail })))[0]?.record[
        'contact_id'
      ]
    expect(contactOf(other['contactInformation'])).toBe(id('users', 'ea0c59f7-2f09-44e6-aa97-4641216af05c'))
    expect(contactOf({ email: 'nobody@example.com' })).toBeNull()
    expect(contactOf(null)).toBeNull()
  })

  it.each([
    ['not published yet', { publicationDate: '2026-03-02' }, 'DRAFT'],
    ['on its last day', { validUntilDate: '2026-03-01' }, 'OPEN'],
    ['the day after', { validUntilDate: '2026-02-28' }, 'CLOSED'],
    ['inactive', { isActive: false, validUntilDate: '2026-12-31' }, 'CLOSED'],
  ])('have a status: %s', (_what, offer, status) => {
    const [job] = records(mapJobs([{ uuid: 'p', isActive: true, postOffers: [{ id: 'o', ...offer }] }], context()))
    expect(job?.record['status']).toBe(status)
  })

  it('without anything that says whether they are active have none', () => {
    const [job] = records(mapJobs([{ uuid: 'p' }], context()))
    expect(job?.record).toEqual({ remote_id: 'p', integration_fields: [expect.objectContaining({ id: 'post.uuid' })] })
  })

  it('that cannot be mapped are set aside alone', () => {
    const rows = [7, { name: 'no uuid' }, { uuid: 'a', postOffers: 'x' }, { uuid: 'b', postOffers: [{}, { id: 'o' }] }]
    const { mapped } = mapJobs(rows, context())
    expect(mapped.records.map(({ remoteKey }) => remoteKey)).toEqual(['o'])
    expect(mapped.failures).toHaveLength(4)
  })
})
