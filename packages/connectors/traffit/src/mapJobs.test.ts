import { readFileSync } from 'node:fs'
import type { Json } from '@tidemark/connector/mapping'
import { normalizeRecord, publicId, recordKey } from '@tidemark/model'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Collector, type MapContext } from './collector.ts'
import { mapSafely } from './jobs.ts'
import { type JobAnswers, mapJob } from './mapJobs.ts'
import { locationOf, readPublished } from './published.ts'
import { createTimes } from './times.ts'
import { readWorkflows } from './workflows.ts'

const fixture = <T = Json>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')) as T

const context: MapContext = { integrationId: 'traffit:acme', times: createTimes('UTC') }
const ref = (model: 'jobs' | 'users' | 'application-stages', key: string): string =>
  publicId(recordKey('traffit:acme', model, key))

const ALL: JobAnswers = {
  row: fixture('recruitment-row'),
  detail: fixture('recruitment-detail'),
  published: readPublished(fixture('published'), 0),
  workflows: readWorkflows(fixture('workflows')),
}

function map(answers: Partial<JobAnswers>) {
  const out = new Collector()
  mapJob(context, { ...ALL, ...answers }, out)
  for (const { model, record } of out.records)
    expect(() => normalizeRecord(model, { id: 'x', ...record })).not.toThrow()
  return out.mapped()
}
const jobOf = (answers: Partial<JobAnswers>) => map(answers).records[0]?.record ?? {}
const childrenOf = (answers: Partial<JobAnswers>) =>
  map(answers).childLists.map(({ model, children }) => [model, children] as const)

describe('a job', () => {
  it('is told by its row, its detail and its published post', () => {
    const { records, failures } = map({})
    expect(failures).toEqual([])
    expect(records[0]).toMatchObject({
      model: 'jobs',
      remoteKey: '60',
      remoteVersion: Date.parse('2026-02-22T09:54:21Z'),
    })
    const { remote_data, ...record } = records[0]?.record ?? {}
    expect(Object.keys(remote_data as object)).toEqual([
      '/recruitments',
      '/recruitments/{id}',
      '/public/job_posts/published',
    ])
    expect(record).toEqual({
      remote_id: '60',
      name: 'Ring bearer',
      confidential: false,
      status: 'CLOSED',
      closed_at: Date.parse('2026-02-22T09:54:21Z'),
      remote_created_at: Date.parse('2025-08-09T09:59:10Z'),
      remote_updated_at: Date.parse('2026-02-22T09:54:21Z'),
      custom_fields: { _budget: '12000' },
      integration_fields: [
        { id: 'nrRef', key: 'nrRef', type: 'DEFAULT', label: 'nrRef', value: '/12/08/2025/RB' },
        { id: 'client.name', key: 'client.name', type: 'DEFAULT', label: 'client.name', value: 'Shire Ltd' },
        { id: 'workflow_id', key: 'workflow_id', type: 'DEFAULT', label: 'workflow_id', value: 4 },
      ],
      description: '<p>One does walk.</p>',
      location: {
        city: 'Kraków',
        country: 'PL',
        state: 'Małopolska',
        zip_code: '31-154',
        raw: 'Kraków, Małopolska, 31-154, Poland',
      },
    })
  })

  it.each([
    [{ is_closed: false, status: 'active' }, 'OPEN', null],
    [{ is_closed: false, status: 'Draft' }, 'DRAFT', null],
    [{ is_closed: true, status: 'active' }, 'CLOSED', Date.parse('2026-02-22T09:54:21Z')],
  ])('%j is %s', (patch, status, closedAt) => {
    const detail = { ...ALL.detail, ...patch }
    expect(jobOf({ detail })).toMatchObject({ status, closed_at: closedAt })
  })

  it('without its detail is partial: what only the detail knows is not delivered', () => {
    const row = { ...ALL.row, is_closed: false }
    expect(Object.keys(jobOf({ row, detail: null })).sort()).toEqual([
      ...['closed_at', 'confidential', 'description', 'location', 'name', 'remote_created_at', 'remote_id'],
      'remote_updated_at',
    ])
    expect(childrenOf({ row, detail: null })).toEqual([['job-postings', ['60:2']]])
  })

  it('has neither description nor location when nothing of it is published', () => {
    const published = readPublished([], 0)
    expect(jobOf({ published })).toMatchObject({ description: null, location: null })
    expect(childrenOf({ published })).toContainEqual(['job-postings', []])
  })

  it('keeps both, and its postings, where the public list is not there or a post names no job', () => {
    expect(jobOf({ published: null })).not.toHaveProperty('description')
    expect(childrenOf({ published: null }).map(([model]) => model)).toEqual(['job-hiring-team', 'job-stages'])
    const published = readPublished([{ id: 3, advert: {} }], 0)
    expect(jobOf({ published })).not.toHaveProperty('description')
    expect(childrenOf({ published }).map(([model]) => model)).toEqual(['job-hiring-team', 'job-stages'])
  })

  it('has the states of its workflow as stages, by rank, and its responsible persons as team', () => {
    const { records } = map({})
    const stages = records.filter(({ model }) => model === 'job-stages')
    expect(stages.map(({ remoteKey, record }) => [remoteKey, record['index']])).toEqual([
      ['60:19', 0],
      ['60:32', 1],
      ['60:33', 2],
      ['60:20', 3],
      ['60:21', 4],
      ['60:22', 5],
    ])
    expect(stages[0]?.record).toEqual({
      job_id: ref('jobs', '60'),
      stage_id: ref('application-stages', '19'),
      index: 0,
    })
    expect(records.filter(({ model }) => model === 'job-hiring-team').map(({ record }) => record)).toEqual([
      { job_id: ref('jobs', '60'), user_id: ref('users', '49'), hiring_team_roles: ['RECRUITER'] },
      { job_id: ref('jobs', '60'), user_id: ref('users', '28'), hiring_team_roles: ['RECRUITER'] },
    ])
  })

  it.each([
    ['the scope is missing', { workflows: null }],
    ['the workflow is not known', { detail: { ...ALL.detail, workflow_id: 5 } }],
    ['it could not be read whole', { workflows: readWorkflows([{ id: 4, states: [{}] }]) }],
  ])('has no list of stages when %s', (_what, answers) => {
    expect(childrenOf(answers).map(([model]) => model)).not.toContain('job-stages')
  })
})

it('a posting is active and public', () => {
  const posting = map({}).records.find(({ model }) => model === 'job-postings')
  expect(posting).toMatchObject({
    remoteKey: '60:2',
    record: {
      remote_id: '2',
      job_id: ref('jobs', '60'),
      title: 'Ring bearer (m/f/d)',
      description_html: '<p>One does walk.</p>',
      status: 'ACTIVE',
      visibility: 'PUBLIC',
      url: 'https://acme.traffit.com/public/an/QQ==',
      remote_created_at: Date.parse('2025-08-10T09:30:00Z'),
    },
  })
})

describe('a place', () => {
  it.each([
    [{ options: { job_location: '{"locality":"Bree","iso":"nz"}' } }, { city: 'Bree', country: 'NZ', raw: 'Bree' }],
    [{ options: { job_location: 'Bag End' } }, { city: null, raw: 'Bag End' }],
    [{ options: {} }, null],
    [{}, null],
  ])('of %j is %j', (post, place) => {
    const found = locationOf([post])
    if (place === null) expect(found).toBeNull()
    else expect(found).toMatchObject(place)
  })
})

it('never throws, whatever the answers hold, and keeps what was mapped before', () => {
  const value = fc.jsonValue()
  const detail = fc.record(
    { id: fc.nat(), workflow_id: value, responsible_person: value, client: value, is_closed: value, updated_at: value },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.oneof(detail, value), fc.array(value), fc.array(value), (any, posts, workflows) => {
      const out = new Collector()
      out.add('jobs', '1', {})
      const answers = { published: readPublished(posts, 0), workflows: readWorkflows(workflows) }
      mapSafely({ context } as Parameters<typeof mapSafely>[0], { row: null, detail: any, ...answers }, out)
      expect(out.records[0]).toMatchObject({ remoteKey: '1' })
    }),
    { numRuns: 200 },
  )
})
