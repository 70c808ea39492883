import { readFileSync } from 'node:fs'
import type { Mapped, MappedRecord } from '@tidemark/connector'
import type { Json } from '@tidemark/connector/mapping'
import { type ModelName, normalizeRecord, publicId, recordKey } from '@tidemark/model'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Collector, type MapContext } from './collector.ts'
import { addApplication } from './mapApplications.ts'
import { isBlanked, mapCandidates, mapTags, mapUsers, tagOf } from './mapping.ts'
import { createTimes } from './times.ts'
import { mapStages, outcomeOf, readWorkflows } from './workflows.ts'

const fixture = <T = Json>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')) as T

const INTEGRATION = 'traffit:acme'
const context: MapContext = { integrationId: INTEGRATION, times: createTimes('UTC') }
const ref = (model: ModelName, key: string): string => publicId(recordKey(INTEGRATION, model, key))

const only = ({ records }: Mapped): MappedRecord => {
  expect(records).toHaveLength(1)
  const record = records[0] as MappedRecord
  expect(() => normalizeRecord(record.model, { id: 'x', ...record.record })).not.toThrow()
  return record
}

describe('users', () => {
  it('are mapped with their state', () => {
    expect(only(mapUsers(context, [fixture('user')]))).toEqual({
      model: 'users',
      remoteKey: '28',
      kind: 'record',
      remoteVersion: Date.parse('2022-12-22T11:51:23Z'),
      record: {
        remote_id: '28',
        first_name: 'Ann',
        last_name: 'Lee',
        email: 'ann.lee@acme.example',
        status: 'ACTIVE',
        remote_data: { '/users': fixture('user') },
      },
    })
  })

  it.each([
    [{ id: 1, username: 'ann', email: 'a.lee@x' }, 'ann'],
    [{ id: 1, name: '', username: null, email: 'a.lee@x' }, 'a.lee'],
    [{ id: 1, name: null }, null],
    [{ id: 1 }, undefined],
  ])('are called by what they have: %j', (row, name) => {
    expect(only(mapUsers(context, [row])).record['first_name']).toBe(name)
  })
})

describe('candidates', () => {
  it('are mapped with the fields that the row has, and the source that is known of them', () => {
    const { record, kind, remoteVersion } = only(mapCandidates(context, [fixture('employee')], () => 'LinkedIn'))
    expect(record).toEqual({
      remote_id: '1246',
      first_name: 'Frodo',
      last_name: 'Baggins',
      source: 'LinkedIn',
      email_addresses: [{ email_address: 'frodo@shire.example', type: null }],
      phone_numbers: [{ phone_number: '+48000000000', type: null }],
      social_media: [],
      custom_fields: { _nationality: null, _experience: '6 months' },
      remote_created_at: Date.parse('2025-05-12T00:00:00Z'),
      remote_updated_at: Date.parse('2026-07-19T06:59:26Z'),
      remote_data: { '/employees': fixture('employee') },
    })
    expect([kind, remoteVersion]).toEqual(['record', Date.parse('2026-07-19T06:59:26Z')])
  })

  it('are delivered without what is not there', () => {
    expect(only(mapCandidates(context, [{ id: 7, name: null }], () => undefined)).record).toEqual({
      remote_id: '7',
      first_name: null,
      custom_fields: {},
      remote_data: { '/employees': { id: 7, name: null } },
    })
  })

  it('take the source of their own row first', () => {
    const row = { id: 7, source: { id: 150, value: 'Referral' } }
    expect(only(mapCandidates(context, [row], () => 'LinkedIn')).record['source']).toBe('Referral')
    expect(only(mapCandidates(context, [{ id: 7 }], () => null)).record['source']).toBeNull()
  })

  it('without name and address are anonymized', () => {
    const row = { ...fixture('employee'), name: null, lastname: '', email: null, mobile: null }
    expect(only(mapCandidates(context, [row], () => undefined)).kind).toBe('anonymized')
    expect(isBlanked({ name: null, lastname: null })).toBe(false)
  })

  it('whose time is no time are refused by the model with the path, not silently changed', () => {
    const { records } = mapCandidates(context, [{ id: 7, updated_at: 'yesterday' }], () => undefined)
    expect(records[0]?.remoteVersion).toBeNull()
    expect(() => normalizeRecord('candidates', { id: 'x', ...records[0]?.record })).toThrow('/remote_updated_at')
  })
})

describe('tags', () => {
  const none = new Set<string>()
  const isNew = (id: string): boolean => !none.has(id)

  it('give the tag, what joins it to the candidate, and the complete list', () => {
    const { records, childLists } = mapTags(context, '7', [{ id: 3, name: 'java' }], isNew)
    expect(records).toMatchObject([
      { model: 'tags', remoteKey: '3', record: { remote_id: '3', name: 'java' } },
      {
        model: 'candidate-tags',
        remoteKey: '7:3',
        record: { candidate_id: ref('candidates', '7'), tag_id: ref('tags', '3') },
      },
    ])
    expect(childLists).toEqual([
      { parentModel: 'candidates', parentRemoteKey: '7', model: 'candidate-tags', children: ['7:3'] },
    ])
  })

  it('say that a candidate has none', () => {
    expect(mapTags(context, '7', [], isNew)).toMatchObject({ records: [], childLists: [{ children: [] }] })
  })

  it('that are texts are their own id', () => {
    expect(tagOf(' Java/EE ')).toEqual({ id: 'java/ee', name: ' Java/EE ' })
    const { records } = mapTags(context, '7', ['Java/EE', 'java/ee'], isNew)
    expect(records.filter(({ model }) => model === 'candidate-tags').map(({ remoteKey }) => remoteKey)).toEqual([
      '7:java%2Fee',
    ])
  })

  it('that cannot be read delete nothing', () => {
    const mapped = mapTags(context, '7', [{ name: 'java' }, { id: 4 }], isNew)
    expect(mapped.childLists).toEqual([])
    expect(mapped.failures).toHaveLength(1)
    expect(mapped.incompleteModels).toEqual(['tags'])
  })
})

describe('stages', () => {
  const workflows = readWorkflows(fixture('workflows'))

  it('are ranked by workflow and order', () => {
    const { records } = mapStages(fixture('workflows'), workflows)
    const ranks = records.map(({ remoteKey, record }) => [remoteKey, record['name'], record['global_index']])
    expect(ranks).toEqual([
      ['90', 'Nowy', 6],
      ['20', 'Hired', 3],
      ['19', 'New', 0],
      ['33', 'Unsuitable', 2],
      ['21', 'Rejected', 4],
      ['22', 'Ended', 5],
      ['32', 'Pre-accepted', 1],
    ])
  })

  it.each([
    [{ type: 'end-good' }, 'HIRED'],
    [{ type: 'end-bad' }, 'DECLINED'],
    [{ type: 'screening', is_rejection: true }, 'DECLINED'],
    [{ type: 'wait' }, 'PENDING'],
    [{ type: 'a new one' }, 'PENDING'],
    [{}, null],
  ])('%j means %s', (state, outcome) => {
    expect(outcomeOf(state)).toBe(outcome)
  })

  it('of a workflow that cannot be read are known to be incomplete', () => {
    const { incomplete } = readWorkflows([{ id: 1, states: [{ name: 'x' }] }, { id: 2 }, { id: 3, states: [] }])
    expect([...incomplete]).toEqual(['1', '2'])
    expect(mapStages([{ id: 1, states: [{ name: 'x' }] }, { id: 2 }], workflows).failures).toHaveLength(2)
  })
})

it('an application refers to its candidate, job and stage; the workflow knows that the state rejects', () => {
  const out = new Collector()
  const [, row] = fixture<Json[]>('history')
  const pair = { employeeId: '6708', recruitmentId: '52' }
  addApplication(context, pair, row?.['workflow_state'], readWorkflows(fixture('workflows')), { row }, out)
  expect(only(out.mapped())).toEqual({
    model: 'applications',
    remoteKey: '6708:52',
    kind: 'record',
    remoteVersion: null,
    record: {
      remote_id: '6708:52',
      candidate_id: ref('candidates', '6708'),
      job_id: ref('jobs', '52'),
      current_stage_id: ref('application-stages', '33'),
      outcome: 'DECLINED',
      remote_data: { row },
    },
  })
})

it('never throws, whatever the JSON, and lists only children that it maps', () => {
  const value = fc.jsonValue()
  const row = fc.record(
    {
      id: fc.oneof(fc.nat(), value),
      name: value,
      email: value,
      states: fc.oneof(fc.array(value), value),
      source: value,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(row, value)), (rows) => {
      const all = [
        mapUsers(context, rows),
        mapCandidates(context, rows, () => undefined),
        mapTags(context, '7', rows, () => true),
        mapStages(rows, readWorkflows(rows)),
      ]
      for (const { records, childLists } of all) {
        const keys = new Set(records.map(({ remoteKey }) => remoteKey))
        for (const list of childLists) for (const child of list.children) expect(keys.has(child)).toBe(true)
      }
    }),
    { numRuns: 200 },
  )
})
