import { LIMITS, TidemarkError } from '@tidemark/base'
import type { Observed as ObservedValue } from '@tidemark/codec'
import type { Mapped, MappedRecord } from '@tidemark/connector'
import { type ModelName, partitionOf, publicId, recordKey } from '@tidemark/model'
import { describe, expect, it } from 'vitest'
import { mapped } from '../test/fakeSource.ts'
import { codec, PARTITIONS } from '../test/harness.ts'
import { observe, type Sighting } from './observe.ts'

const sighting: Sighting = {
  source: 'main',
  integrationId: 'join:1',
  fetchStartedAtMs: 10,
  observedAtMs: 20,
  cause: {
    kind: 'full_sync',
    sync_id: 'run',
    event_name: null,
    event_id: null,
    actor: null,
    raw: { partition: 1, offset: 5 },
    evidence: null,
  },
}

const record = (
  model: ModelName,
  remoteKey: string,
  fields: object,
  more: Partial<MappedRecord> = {},
): MappedRecord => ({
  model,
  remoteKey,
  kind: 'record',
  remoteVersion: 7,
  record: { ...fields },
  ...more,
})

const run = (input: Mapped) => observe(codec, PARTITIONS, input, sighting)
const decode = (value: Uint8Array | null): ObservedValue => codec.decodeObserved(value as Uint8Array)

describe('observations', () => {
  it('carry the envelope, the delivered fields and the key of the record', () => {
    const { appends, tally } = run(mapped([record('tags', 't1', { id: 't1', name: 'x' })]))
    expect(appends).toHaveLength(1)
    expect(appends[0]).toMatchObject({
      topic: 'ats.observed',
      partition: partitionOf('join:1/tags/t1', PARTITIONS),
      key: Buffer.from('join:1/tags/t1'),
      timestampMs: 20,
    })
    expect(decode(appends[0]?.value ?? null)).toMatchObject({
      kind: 'observation',
      model: 'tags',
      observation: {
        integration_id: 'join:1',
        kind: 0,
        parent_key: null,
        remote_version: 7,
        fetch_started_at: 10,
        observed_at: 20,
        cause: { kind: 'full_sync', sync_id: 'run', raw: { partition: 1, offset: 5 } },
        record: { id: 't1', name: 'x', remote_id: null },
      },
    })
    expect(tally.get('tags')).toEqual({ observed: 1, failed: 0 })
  })

  it('give a join without an id of its own the public id of its key, and send it to its parent', () => {
    const { appends } = run(mapped([record('candidate-tags', 'c1:t1', { candidate_id: 'c1', tag_id: 't1' })]))
    const key = recordKey('join:1', 'candidate-tags', 'c1:t1')
    const value = decode(appends[0]?.value ?? null)
    expect(value).toMatchObject({
      observation: { parent_key: 'join:1/candidates/c1', record: { id: publicId(key) } },
    })
    expect(appends[0]?.partition).toBe(partitionOf('join:1/candidates/c1', PARTITIONS))
  })

  it('carry the evidence and the kind of a deletion', () => {
    const evidence = { kind: 'provider_flag', detail: 'flag' } as const
    const { appends } = run(mapped([record('tags', 't', { id: 't' }, { kind: 'anonymized', evidence })]))
    expect(decode(appends[0]?.value ?? null)).toMatchObject({
      observation: { kind: 3, cause: { evidence: { ...evidence, pages: null, records: null } } },
    })
  })
})

describe('child lists', () => {
  it('stand behind all records, in the partition of the parent, also when empty', () => {
    const { appends } = run(
      mapped([record('candidates', 'c1', { id: 'c1' }), record('candidate-tags', 'c1:t1', {})], {
        childLists: [
          { parentModel: 'candidates', parentRemoteKey: 'c1', model: 'candidate-tags', children: ['c1:t1'] },
          { parentModel: 'candidates', parentRemoteKey: 'c2', model: 'candidate-tags', children: [] },
        ],
      }),
    )
    expect(appends.map(({ value }) => decode(value).kind)).toEqual(['observation', 'observation', 'control', 'control'])
    expect(appends[2]?.partition).toBe(appends[0]?.partition)
    expect(decode(appends[2]?.value ?? null)).toMatchObject({
      control: {
        kind: 'child_sweep',
        model: 'candidate-tags',
        parent_key: 'join:1/candidates/c1',
        children: ['join:1/candidate-tags/c1:t1'],
        sync_id: 'run',
        fetch_started_at: 10,
        observed_at: 20,
      },
    })
    expect(decode(appends[3]?.value ?? null)).toMatchObject({ control: { children: [] } })
  })
})

describe('what fails', () => {
  const letterOf = (value: Uint8Array | null | undefined) => codec.decode('DeadLetter', value as Uint8Array)

  it('becomes a dead letter with its reason and position; its neighbours go on', () => {
    const huge = 'x'.repeat(LIMITS.recordBytesMax)
    const { appends, tally, deadLetters } = run(
      mapped([
        record('tags', 'a', { id: 'a' }),
        record('tags', 'b', { id: 'b', name: { no: 'text' } }),
        record('tags', 'c', { id: 'c', name: huge }),
        record('tags', 'k'.repeat(2000), { id: 'k' }),
        record('tags', 'd', { id: 'd' }),
      ]),
    )
    expect(appends.map(({ topic }) => topic)).toEqual([
      'ats.observed',
      'ats.observed',
      'ats.dead-letters',
      'ats.dead-letters',
      'ats.dead-letters',
    ])
    expect(appends.slice(2).map(({ value }) => letterOf(value))).toMatchObject([
      {
        stage: 'mapping',
        code: 'RECORD_INVALID',
        record_key: 'join:1/tags/b',
        topic: 'ats.raw',
        partition: 1,
        offset: 5,
      },
      { stage: 'encoding', code: 'RECORD_TOO_LARGE', record_key: 'join:1/tags/c' },
      { stage: 'mapping', code: 'RECORD_TOO_LARGE' },
    ])
    expect(tally.get('tags')).toEqual({ observed: 2, failed: 3 })
    expect(deadLetters).toHaveLength(3)
  })

  it('of the mapping keeps what the provider sent', () => {
    const failure = {
      error: new TidemarkError('RECORD_INVALID', 'bad'),
      model: 'jobs' as const,
      remoteKey: 'j',
      json: '{"id":"j"}',
    }
    const { appends, tally } = run(mapped([], { failures: [failure] }))
    const letter = letterOf(appends[0]?.value)
    expect(letter).toMatchObject({ stage: 'mapping', model: 'jobs', record_key: 'join:1/jobs/j', message: 'bad' })
    expect(String(Buffer.from(letter.value ?? []))).toBe('{"id":"j"}')
    expect(tally.get('jobs')).toEqual({ observed: 0, failed: 1 })
  })
})

describe('a record nested deeper than the stack', () => {
  it('is set aside like any other that cannot be encoded, and its neighbours go on', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`) as object
    const records = [record('jobs', 'a', { name: 'Cook' }), record('jobs', 'b', { custom_fields: deep, status: deep })]
    const { tally, deadLetters } = run(mapped(records))
    expect(tally.get('jobs')).toEqual({ observed: 1, failed: 1 })
    expect(deadLetters).toHaveLength(1)
  })
})
