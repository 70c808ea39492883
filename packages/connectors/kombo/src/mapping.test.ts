import { readFileSync } from 'node:fs'
import type { MappedRecord } from '@tidemark/connector'
import { type ModelName, normalizeRecord } from '@tidemark/model'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type KomboStream, mapPage, STREAM_MODELS } from './mapping.ts'

const fixture = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')) as Record<string, unknown>

const JOB = 'H5daSm8e85Dmvmne3wLeCPhX'
const NESTED_JOB = '3Vx8gq1nZ5hTjWkYp7bRcDmE'
const CANDIDATE = '26vafvWSRmbhNcxJYqjCzuJg'
const USER = '6gT2yLMBEipd3zpezATv3Rhu'
const CHANGED = Date.parse('2022-08-07T14:01:29.196Z')

const of = (records: readonly MappedRecord[], model: ModelName): MappedRecord[] =>
  records.filter((record) => record.model === model)

/** Every mapped record must be one that the model accepts. */
function expectNormalizable(records: readonly MappedRecord[]): void {
  for (const { model, record } of records) expect(() => normalizeRecord(model, { id: 'x', ...record })).not.toThrow()
}

describe('jobs', () => {
  it('maps the documented job with its stage and a child list for every child model', () => {
    const { records, childLists, failures } = mapPage('jobs', [fixture('job')])
    expect(failures).toEqual([])
    expect(records.map((record) => [record.model, record.remoteKey])).toEqual([
      ['jobs', JOB],
      ['job-stages', `${JOB}:5J7L4b48wBfffYwek9Az9pkM`],
    ])
    const { stages, screening_questions, job_postings, hiring_team, changed_at, ...own } = fixture('job')
    expect(records[0]).toEqual({
      model: 'jobs',
      remoteKey: JOB,
      kind: 'record',
      remoteVersion: CHANGED,
      record: own,
    })
    expect(records[1]?.record).toEqual({ job_id: JOB, stage_id: '5J7L4b48wBfffYwek9Az9pkM', index: 0 })
    expect(childLists).toEqual([
      { parentModel: 'jobs', parentRemoteKey: JOB, model: 'job-postings', children: [] },
      {
        parentModel: 'jobs',
        parentRemoteKey: JOB,
        model: 'job-stages',
        children: [`${JOB}:5J7L4b48wBfffYwek9Az9pkM`],
      },
      { parentModel: 'jobs', parentRemoteKey: JOB, model: 'job-hiring-team', children: [] },
      { parentModel: 'jobs', parentRemoteKey: JOB, model: 'job-role-assignments', children: [] },
      { parentModel: 'jobs', parentRemoteKey: JOB, model: 'job-screening-questions', children: [] },
    ])
    expectNormalizable(records)
  })

  it('splits postings, hiring team, role assignments and questions into records of their own', () => {
    const { records, childLists, failures } = mapPage('jobs', [fixture('job-nested')])
    expect(failures).toEqual([])
    expectNormalizable(records)
    expect(of(records, 'job-postings')).toEqual([
      {
        model: 'job-postings',
        remoteKey: `${NESTED_JOB}:${CANDIDATE}`,
        kind: 'record',
        remoteVersion: null,
        record: {
          id: CANDIDATE,
          remote_id: 'p1',
          job_id: NESTED_JOB,
          title: 'Data Engineer (m/f/d)',
          description_html: '<p>Hi</p>',
          status: 'ACTIVE',
          visibility: 'PUBLIC',
          url: 'https://jobs.example.com/33',
          remote_data: null,
        },
      },
    ])
    expect(of(records, 'job-hiring-team').map((record) => record.record)).toEqual([
      { job_id: NESTED_JOB, user_id: USER, hiring_team_roles: ['RECRUITER'] },
      { job_id: NESTED_JOB, user_id: '7hU3zMNCFjqe4aqfaBUw4Siv', hiring_team_roles: [] },
    ])
    expect(childLists.map((list) => [list.model, list.children.length])).toEqual([
      ['job-postings', 1],
      ['job-stages', 2],
      ['job-hiring-team', 2],
      ['job-role-assignments', 2],
      ['job-screening-questions', 2],
    ])
  })

  it('identifies a role by the id of the ATS, and by label and type only where there is none', () => {
    const { records } = mapPage('jobs', [fixture('job-nested')])
    expect(of(records, 'job-role-assignments').map(({ remoteKey, record }) => [remoteKey, record])).toEqual([
      [`${NESTED_JOB}:${USER}:r1`, { job_id: NESTED_JOB, user_id: USER, role_remote_id: 'r1' }],
      [
        `${NESTED_JOB}:7hU3zMNCFjqe4aqfaBUw4Siv::Sponsor:`,
        {
          job_id: NESTED_JOB,
          user_id: '7hU3zMNCFjqe4aqfaBUw4Siv',
          role_remote_id: null,
          role_label: 'Sponsor',
          role_unified_type: null,
        },
      ],
    ])
  })

  it('keeps the order of options as index and writes boolean preconditions as text', () => {
    const { records } = mapPage('jobs', [fixture('job-nested')])
    expect(of(records, 'screening-questions')[0]?.record['format']).toEqual({
      type: 'SINGLE_SELECT',
      display_type: 'DROPDOWN',
      options: [
        { id: 'oB', remote_id: '2', name: 'Go', index: 0 },
        { id: 'oA', name: 'TypeScript', index: 1 },
      ],
    })
    expect(of(records, 'job-screening-questions').map((record) => record.record)).toEqual([
      { job_id: NESTED_JOB, question_id: '9aQ1', index: 0, required: true, precondition_question_id: null },
      {
        job_id: NESTED_JOB,
        question_id: '9aQ2',
        index: 1,
        required: false,
        precondition_question_id: '9aQ3',
        precondition_options: ['true'],
      },
    ])
  })

  it('observes neither stages nor users from a job: they have endpoints of their own', () => {
    const { records } = mapPage('jobs', [fixture('job-nested')])
    expect(of(records, 'application-stages')).toEqual([])
    expect(of(records, 'users')).toEqual([])
  })

  it('observes a question asked by two jobs of a page once, and its use by each', () => {
    const other = { ...fixture('job-nested'), id: 'other' }
    const { records } = mapPage('jobs', [fixture('job-nested'), other])
    expect(of(records, 'screening-questions')).toHaveLength(2)
    expect(of(records, 'job-screening-questions')).toHaveLength(4)
  })

  it('gives no child list for a nested list that is absent, is no list, or holds an entry without id', () => {
    const { stages: _stages, ...job } = fixture('job-nested')
    const broken = { ...job, job_postings: 'none', hiring_team: [{ first_name: 'Ada' }] }
    const { childLists, failures, records } = mapPage('jobs', [broken])
    expect(childLists.map((list) => list.model)).toEqual(['job-screening-questions'])
    expect(failures.map(({ model, remoteKey }) => [model, remoteKey])).toEqual([
      ['job-postings', NESTED_JOB],
      ['job-hiring-team', NESTED_JOB],
      ['job-role-assignments', NESTED_JOB],
    ])
    expect(of(records, 'jobs')).toHaveLength(1)
  })

  it('gives no list of role assignments where an older answer lacks `job_roles`', () => {
    const job = { ...fixture('job'), hiring_team: [{ id: USER, hiring_team_roles: [] }] }
    const { childLists, failures } = mapPage('jobs', [job])
    expect(failures).toEqual([])
    expect(childLists.map((list) => list.model)).not.toContain('job-role-assignments')
    expect(childLists.map((list) => list.model)).toContain('job-hiring-team')
  })
})

describe('candidates, applications, interviews, users, notes', () => {
  it('maps a candidate with its tags and leaves its applications to their own endpoint', () => {
    const { records, childLists, failures } = mapPage('candidates', [fixture('candidate')])
    const { applications, tags, changed_at, ...own } = fixture('candidate')
    expect(failures).toEqual([])
    expect(records).toEqual([
      { model: 'candidates', remoteKey: CANDIDATE, kind: 'record', remoteVersion: CHANGED, record: own },
      {
        model: 'candidate-tags',
        remoteKey: `${CANDIDATE}:8x3YKRDcuRnwShdh96ShBNn1`,
        kind: 'record',
        remoteVersion: null,
        record: { candidate_id: CANDIDATE, tag_id: '8x3YKRDcuRnwShdh96ShBNn1' },
      },
    ])
    expect(childLists).toEqual([
      {
        parentModel: 'candidates',
        parentRemoteKey: CANDIDATE,
        model: 'candidate-tags',
        children: [`${CANDIDATE}:8x3YKRDcuRnwShdh96ShBNn1`],
      },
    ])
    expectNormalizable(records)
  })

  it('maps the documented application alone, with flattened answers', () => {
    const { records, childLists } = mapPage('applications', [fixture('application')])
    const { candidate, current_stage, job, interviews, offers, changed_at, ...own } = fixture('application')
    expect(childLists).toEqual([])
    expect(records).toHaveLength(1)
    expect(records[0]?.record).toEqual({
      ...own,
      screening_question_answers: [
        {
          question_remote_id: '48b4d36a-1d4b-4c50-ada7-9519078e65b4',
          question_title: 'Which is your primary programming language',
          question_type: 'SINGLE_SELECT',
          answer: { choice: 'TypeScript' },
        },
      ],
    })
    expectNormalizable(records)
  })

  it('maps an interview with its interviewers', () => {
    const { records, childLists } = mapPage('interviews', [fixture('interview')])
    expect(of(records, 'interview-users').map((record) => record.record)).toEqual([
      { interview_id: 'CY5DiFy2KGvHNvnVQJjFvkLq', user_id: USER },
    ])
    expect(childLists[0]?.children).toEqual([`CY5DiFy2KGvHNvnVQJjFvkLq:${USER}`])
    expectNormalizable(records)
  })

  it('maps a user with system roles', () => {
    const { records, childLists } = mapPage('users', [fixture('user')])
    expect(of(records, 'user-roles').map((record) => record.record)).toEqual([
      { user_id: USER, role_remote_id: 'r9' },
      { user_id: USER, role_remote_id: null, role_label: 'Guest', role_unified_type: null },
    ])
    expect(childLists[0]?.children).toEqual([`${USER}:r9`, `${USER}::Guest:`])
    expectNormalizable(records)
  })

  it('maps a note without its author', () => {
    const { records } = mapPage('notes', [fixture('note')])
    const { author, changed_at, ...own } = fixture('note')
    expect(records.map((record) => record.record)).toEqual([own])
  })
})

describe('deletion', () => {
  const deletedAt = '2026-01-02T03:04:05.000Z'

  it('keeps a deleted row a record, with the time and the evidence of the flag', () => {
    const { records } = mapPage('tags', [
      { id: 't', remote_id: '1', name: 'x', changed_at: deletedAt, remote_deleted_at: deletedAt },
    ])
    expect(records[0]).toMatchObject({
      kind: 'record',
      record: { name: 'x', remote_deleted_at: deletedAt },
      evidence: { kind: 'provider_flag', detail: `remote_deleted_at ${deletedAt}` },
    })
  })

  it('takes a deleted row without any content for anonymized', () => {
    const blank = Object.fromEntries(Object.keys(fixture('candidate')).map((key) => [key, null]))
    const row = {
      ...blank,
      id: CANDIDATE,
      email_addresses: [],
      location: { city: null },
      tags: [],
      applications: [],
      remote_deleted_at: deletedAt,
    }
    expect(mapPage('candidates', [row]).records[0]?.kind).toBe('anonymized')
    expect(mapPage('candidates', [{ ...row, first_name: 'J' }]).records[0]?.kind).toBe('record')
    expect(mapPage('candidates', [{ ...row, remote_deleted_at: null }]).records[0]?.kind).toBe('record')
  })

  it('does not take a row that delivers nothing at all for anonymized', () => {
    expect(mapPage('tags', [{ id: 't', remote_deleted_at: deletedAt }]).records[0]?.kind).toBe('record')
  })
})

describe('bad records', () => {
  it('sets a record without id aside and goes on with its neighbours', () => {
    const { records, failures } = mapPage('tags', [{ id: 'a' }, { name: 'no id' }, 7, null, { id: 'b' }])
    expect(records.map((record) => record.remoteKey)).toEqual(['a', 'b'])
    expect(failures.map((failure) => [failure.error.code, failure.json])).toEqual([
      ['RECORD_INVALID', '{"name":"no id"}'],
      ['RECORD_INVALID', '7'],
      ['RECORD_INVALID', 'null'],
    ])
  })

  it('sets a record aside whose time of change is no time, and takes one without', () => {
    const { records, failures } = mapPage('tags', [
      { id: 'a', changed_at: '0000-01-01T00:00:00.000Z' },
      { id: 'b', changed_at: null },
    ])
    expect(records).toMatchObject([{ remoteKey: 'b', remoteVersion: null }])
    expect(failures).toMatchObject([{ model: 'tags', remoteKey: 'a' }])
  })

  it('keeps at most 64 KiB of a failed record', () => {
    const { failures } = mapPage('tags', [{ name: '€'.repeat(40_000) }])
    const bytes = Buffer.byteLength(failures[0]?.json ?? '')
    expect(bytes).toBeLessThanOrEqual(65_536)
    expect(bytes).toBeGreaterThan(65_000)
    expect(failures[0]?.json).not.toContain('\ufffd')
  })

  it('delivers only keys that are present', () => {
    expect(mapPage('candidates', [{ id: 'c', first_name: null }]).records[0]?.record).toEqual({
      id: 'c',
      first_name: null,
    })
  })

  it('never throws, and answers a list that is complete or absent, whatever the JSON', () => {
    const streams = Object.keys(STREAM_MODELS) as KomboStream[]
    const lists = ['stages', 'job_postings', 'hiring_team', 'screening_questions', 'tags', 'users', 'system_roles']
    const entry = fc.oneof(
      fc.record(
        { id: fc.string(), remote_id: fc.constantFrom(null, 'r', 7), job_roles: fc.anything(), index: fc.anything() },
        { requiredKeys: [] },
      ),
      fc.jsonValue(),
    )
    const item = fc.record(
      {
        id: fc.oneof(fc.string(), fc.jsonValue()),
        remote_deleted_at: fc.jsonValue(),
        ...Object.fromEntries(lists.map((list) => [list, fc.oneof(fc.array(entry), fc.jsonValue())])),
        screening_question_answers: fc.oneof(fc.array(entry), fc.jsonValue()),
        custom_fields: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.constantFrom(...streams), fc.array(fc.oneof(item, fc.jsonValue())), (stream, results) => {
        const { records, childLists } = mapPage(stream, results)
        for (const list of childLists) {
          const observed = of(records, list.model).map((record) => record.remoteKey)
          for (const child of list.children) expect(observed).toContain(child)
        }
        for (const record of records) expect(STREAM_MODELS[stream]).toContain(record.model)
      }),
      { numRuns: 300 },
    )
  })
})
