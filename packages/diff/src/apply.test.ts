import {
  type Change,
  type Observation,
  type ObservationFields,
  type OpenCodec,
  openCodec,
  type Snapshot,
} from '@tidemark/codec'
import { type FieldChange, MODEL_NAMES, MODEL_SCHEMAS, type ModelName, normalizeRecord } from '@tidemark/model'
import { memoryRegistry, partialInput, recordInput } from '@tidemark/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { createDiffer, type Differ, type Outcome } from './apply.ts'
import { diffRecords } from './fieldDiff.ts'
import { naiveApply } from './naive.ts'

let codec: OpenCodec
let differ: Differ
beforeAll(async () => {
  codec = await openCodec(memoryRegistry())
  differ = createDiffer(codec)
})

const CAUSE = {
  kind: 'delta_sync',
  sync_id: 's1',
  event_name: null,
  event_id: null,
  actor: null,
  raw: null,
  evidence: null,
}
const FIELDS: ObservationFields = {
  integrationId: 'x:1',
  kind: 'record',
  parentKey: null,
  remoteVersion: null,
  fetchStartedAt: 1000,
  observedAt: 1010,
  mergedIntoId: null,
  cause: CAUSE,
}

const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** Observations of one record, one after another, as a partition would bring them. */
class Subject {
  snapshot: Buffer | undefined
  readonly changes: Change[] = []
  readonly model: ModelName
  offset = 0

  constructor(model: ModelName) {
    this.model = model
  }

  see(input: Record<string, unknown>, fields: Partial<ObservationFields> = {}, offset = this.offset++): Outcome {
    const at = 1000 + offset * 100
    const value = codec.encodeObservation(
      this.model,
      { ...FIELDS, fetchStartedAt: at, observedAt: at + 10, ...fields },
      normalizeRecord(this.model, { id: 'H5daSm8e85Dmvmne3wLeCPhX', ...input }),
    )
    const outcome = differ.apply(this.model, this.snapshot, value, { partition: 3, offset })
    if ('snapshot' in outcome) this.snapshot = outcome.snapshot
    if (outcome.kind === 'changed') this.changes.push(codec.decodeChange(this.model, outcome.change))
    return outcome
  }

  get state(): Snapshot {
    return codec.decodeSnapshot(this.model, this.snapshot as Buffer)
  }

  get last(): Change {
    return this.changes.at(-1) as Change
  }
}

const whole = (model: ModelName, input: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    MODEL_SCHEMAS[model].fields.map((f) => [
      f.name,
      f.name === 'id' ? 'H5daSm8e85Dmvmne3wLeCPhX' : (input[f.name] ?? null),
    ]),
  )

describe('a first sight', () => {
  it('is a creation of version 1 without field changes, with the position in its event id', () => {
    const c = new Subject('candidates')
    c.see({ first_name: 'Frodo' })
    expect(c.last).toMatchObject({
      op: 'created',
      version: 1,
      event_id: '3-0',
      changes: [],
      before: null,
      after: { first_name: 'Frodo' },
      changed_at: 1010,
      cause: { kind: 'delta_sync', observed: { partition: 3, offset: 0 }, previous_seen_at: null, first_seen_at: 1010 },
    })
  })

  it('of a record that is gone already is a deletion, never a creation', () => {
    const c = new Subject('candidates')
    c.see(whole('candidates', { first_name: 'Boromir', remote_deleted_at: 5 }))
    expect(c.last).toMatchObject({ op: 'deleted', version: 1, before: null })
  })

  it('of a deletion or merge of a record never seen is nothing', () => {
    const c = new Subject('candidates')
    expect(c.see({}, { kind: 'deleted' }).kind).toBe('unknown')
    expect(c.see({}, { kind: 'merged', mergedIntoId: 'x' }).kind).toBe('unknown')
  })
})

describe('an update', () => {
  it('names each changed field with its value before and after', () => {
    const c = new Subject('applications')
    c.see({ current_stage_id: 'screening', outcome: 'PENDING', rejected_at: null })
    c.see({ current_stage_id: 'interview', outcome: 'PENDING', rejected_at: '2026-03-01T10:00:00Z' })
    expect(c.last).toMatchObject({
      op: 'updated',
      version: 2,
      before: { current_stage_id: 'screening' },
      after: { current_stage_id: 'interview' },
    })
    expect(c.last.changes).toEqual([
      { path: '/rejected_at', op: 'add', before: null, after: '"2026-03-01T10:00:00.000Z"' },
      { path: '/current_stage_id', op: 'replace', before: '"screening"', after: '"interview"' },
    ])
    expect(c.last.cause).toMatchObject({ previous_seen_at: 1010, first_seen_at: 1110 })
  })

  it('looks into nested objects, maps, keyed collections, sets and lists', () => {
    const job = new Subject('jobs')
    const fields = (n: number): unknown[] => [
      { id: 'b', value: 1 },
      { id: 'a/1', value: n },
    ]
    job.see({
      location: { city: 'Bree', country: 'ME' },
      custom_fields: { a: 1, 'x/y': { q: [1] } },
      integration_fields: fields(2),
    })
    job.see({
      location: { city: 'Rivendell', country: 'ME' },
      custom_fields: { 'x/y': { q: [2] }, z: null },
      integration_fields: fields(3).reverse(),
    })
    expect(job.last.changes).toEqual([
      { path: '/location/city', op: 'replace', before: '"Bree"', after: '"Rivendell"' },
      { path: '/custom_fields/a', op: 'remove', before: '1', after: null },
      { path: '/custom_fields/x~1y', op: 'replace', before: '{"q":[1]}', after: '{"q":[2]}' },
      { path: '/custom_fields/z', op: 'add', before: null, after: 'null' },
      { path: '/integration_fields/a~11/value', op: 'replace', before: '2', after: '3' },
    ])
    const team = new Subject('job-hiring-team')
    team.see({ hiring_team_roles: ['SOURCER', 'RECRUITER'] })
    expect(team.see({ hiring_team_roles: ['RECRUITER', 'SOURCER', 'RECRUITER'] }).kind).toBe('unchanged')
    team.see({ hiring_team_roles: ['RECRUITER', 'INTERVIEWER'] })
    expect(team.last.changes).toEqual([
      { path: '/hiring_team_roles/INTERVIEWER', op: 'add', before: null, after: '"INTERVIEWER"' },
      { path: '/hiring_team_roles/SOURCER', op: 'remove', before: '"SOURCER"', after: null },
    ])
    const person = new Subject('candidates')
    person.see({ email_addresses: [{ email_address: 'a@x', type: 'HOME' }] })
    person.see({
      email_addresses: [
        { email_address: 'b@x', type: 'HOME' },
        { email_address: 'a@x', type: null },
      ],
    })
    expect(person.last.changes).toEqual([
      { path: '/email_addresses/0/email_address', op: 'replace', before: '"a@x"', after: '"b@x"' },
      { path: '/email_addresses/1', op: 'add', before: null, after: '{"email_address":"a@x","type":null}' },
    ])
  })

  it('keeps what was not delivered and overwrites with what was delivered as null', () => {
    const c = new Subject('candidates')
    c.see({ first_name: 'Sam', company: 'Gardens', title: 'Gardener' })
    c.see({ company: null, title: 'Mayor' })
    expect(c.state.record).toMatchObject({ first_name: 'Sam', company: null, title: 'Mayor' })
    expect(c.last.changes.map((x) => [x.path, x.op])).toEqual([
      ['/company', 'remove'],
      ['/title', 'replace'],
    ])
  })

  it('of bookkeeping alone moves the snapshot on without a change', () => {
    const c = new Subject('candidates')
    c.see({ first_name: 'Sam', remote_updated_at: 1, remote_data: { a: 1 } })
    expect(c.see({ first_name: 'Sam', remote_updated_at: 2, remote_data: { a: 2 } }).kind).toBe('refreshed')
    expect(c.state).toMatchObject({
      version: 1,
      source: { offset: 1 },
      record: { remote_updated_at: 2, remote_data: '{"a":2}' },
    })
  })

  it('of bookkeeping is a change where it is tracked', () => {
    const tracking = createDiffer(codec, { tracked: ['remote_data'] })
    const value = (n: number): Buffer =>
      codec.encodeObservation('tags', FIELDS, normalizeRecord('tags', { id: 'a', remote_data: n }))
    const first = tracking.apply('tags', undefined, value(1), { partition: 0, offset: 0 })
    const second = tracking.apply(
      'tags',
      'snapshot' in first ? first.snapshot : undefined,
      codec.encodeObservation(
        'tags',
        { ...FIELDS, fetchStartedAt: 2000 },
        normalizeRecord('tags', { id: 'a', remote_data: 2 }),
      ),
      { partition: 0, offset: 1 },
    )
    expect(second.kind).toBe('changed')
  })
})

describe('a stale observation', () => {
  it('with an older provider version is dropped, however late it was fetched', () => {
    const c = new Subject('jobs')
    c.see({ name: 'new' }, { remoteVersion: 20 })
    expect(c.see({ name: 'old' }, { remoteVersion: 19 }).kind).toBe('stale')
    expect(c.see({ name: 'newer' }, { remoteVersion: 21, fetchStartedAt: 0 }).kind).toBe('changed')
  })

  it('whose fetch began before the last one was observed is dropped, unless its version is newer', () => {
    const c = new Subject('jobs')
    c.see({ name: 'live' }, { fetchStartedAt: 500, observedAt: 600 })
    expect(c.see({ name: 'old page' }, { fetchStartedAt: 599, observedAt: 700 }).kind).toBe('stale')
    expect(c.see({ name: 'next page' }, { fetchStartedAt: 600, observedAt: 700 }).kind).toBe('changed')
  })

  it('cannot bring back a record that is gone', () => {
    const c = new Subject('jobs')
    c.see({ name: 'a' })
    c.see({}, { kind: 'deleted', fetchStartedAt: 2000, observedAt: 2000 })
    expect(c.see({ name: 'a' }, { fetchStartedAt: 1999, observedAt: 2001 }).kind).toBe('stale')
  })
})

describe('a deletion', () => {
  it('sets remote_deleted_at once; the second time it is nothing', () => {
    const c = new Subject('jobs')
    c.see({ name: 'a' })
    c.see({}, { kind: 'deleted' })
    expect(c.last).toMatchObject({
      op: 'deleted',
      version: 2,
      before: { name: 'a', remote_deleted_at: null },
      after: { name: 'a', remote_deleted_at: 1110 },
    })
    expect(c.see({}, { kind: 'deleted' }).kind).toBe('unchanged')
    expect(c.see(whole('jobs', { name: 'a', remote_deleted_at: 99 })).kind).toBe('unchanged')
  })

  it('is undone when the record is seen again', () => {
    const c = new Subject('jobs')
    c.see({ name: 'a' })
    c.see(whole('jobs', { name: 'a', remote_deleted_at: 99 }))
    expect(c.last.op).toBe('deleted')
    c.see({ name: 'a' })
    expect(c.last).toMatchObject({ op: 'restored', version: 3, after: { remote_deleted_at: null } })
  })
})

describe('a merge', () => {
  it('names the survivor, tombstones the loser, and is told once', () => {
    const c = new Subject('candidates')
    c.see({ first_name: 'Strider' })
    c.see({}, { kind: 'merged', mergedIntoId: 'Aragorn' })
    expect(c.last).toMatchObject({ op: 'merged', merged_into_id: 'Aragorn', after: { remote_deleted_at: 1110 } })
    expect(c.see({}, { kind: 'merged', mergedIntoId: 'Aragorn' }).kind).toBe('unchanged')
    c.see({}, { kind: 'merged', mergedIntoId: 'Elessar' })
    expect(c.last).toMatchObject({ op: 'merged', version: 3, merged_into_id: 'Elessar', changes: [] })
    c.see({ first_name: 'Strider' })
    expect(c.last).toMatchObject({ op: 'restored', merged_into_id: null })
  })
})

describe('an anonymization', () => {
  it('blanks what it delivers and says nothing about existence', () => {
    const c = new Subject('candidates')
    c.see({ first_name: 'Gollum', source: 'River' })
    c.see({ first_name: null, last_name: null }, { kind: 'anonymized' })
    expect(c.last).toMatchObject({
      op: 'anonymized',
      after: { first_name: null, source: 'River', remote_deleted_at: null },
    })
    expect(c.see({ first_name: null, last_name: null }, { kind: 'anonymized' }).kind).toBe('unchanged')
  })
})

describe('the same source offset', () => {
  it('is applied once, and so is every earlier one', () => {
    const c = new Subject('jobs')
    c.see({ name: 'a' }, {}, 5)
    expect(c.see({ name: 'b' }, {}, 5).kind).toBe('repeated')
    expect(c.see({ name: 'b' }, {}, 4).kind).toBe('repeated')
    expect(c.see({ name: 'b' }, {}, 6).kind).toBe('changed')
  })
})

describe('a sweep over children', () => {
  const sweep = { fetchStartedAt: 5000, observedAt: 5010 }
  const cause = (): Buffer => {
    const value = codec.encodeObservation(
      'tags',
      { ...FIELDS, cause: { ...CAUSE, evidence: { kind: 'absence', detail: 'list', pages: 1, records: 2 } } },
      normalizeRecord('tags', { id: 'a' }),
    )
    const decoded = codec.decodeObserved(value)
    expect(decoded.kind).toBe('observation')
    return causeBytes(value)
  }

  it('deletes with evidence and an event id of its own, and spares what was observed later', () => {
    const c = new Subject('candidate-tags')
    c.see({ candidate_id: 'c', tag_id: 't' }, { parentKey: 'x:1/candidates/c' })
    const outcome = differ.removeAbsent(
      'candidate-tags',
      c.snapshot as Buffer,
      { ...sweep, cause: cause() },
      { partition: 3, offset: 9 },
    )
    expect(outcome.kind).toBe('changed')
    if (outcome.kind !== 'changed') return
    expect(codec.decodeChange('candidate-tags', outcome.change)).toMatchObject({
      op: 'deleted',
      version: 2,
      event_id: '3-9-H5daSm8e85Dmvmne3wLeCPhX',
      cause: { evidence: { kind: 'absence' } },
      after: { remote_deleted_at: 5010 },
    })
    expect(codec.decodeSnapshot('candidate-tags', outcome.snapshot)).toMatchObject({
      parent_key: 'x:1/candidates/c',
      version: 2,
      integration_id: 'x:1',
    })
    expect(
      differ.removeAbsent(
        'candidate-tags',
        outcome.snapshot,
        { ...sweep, cause: cause() },
        { partition: 3, offset: 10 },
      ).kind,
    ).toBe('unchanged')
    expect(
      differ.removeAbsent('candidate-tags', outcome.snapshot, { ...sweep, cause: cause() }, { partition: 3, offset: 9 })
        .kind,
    ).toBe('repeated')
    expect(
      differ.removeAbsent(
        'candidate-tags',
        c.snapshot as Buffer,
        { fetchStartedAt: 1009, observedAt: 1100, cause: cause() },
        { partition: 3, offset: 9 },
      ).kind,
    ).toBe('stale')
  })
})

function causeBytes(observation: Buffer): Buffer {
  // The cause lies between merged_into_id (null here) and mask; found by its own text, to stay apart from the code under test.
  const start = observation.indexOf(Buffer.from([CAUSE.kind.length * 2, ...Buffer.from(CAUSE.kind)]))
  const end = observation.indexOf(Buffer.from([2, 2, 2, 4]), start) + 4
  return observation.subarray(start, end)
}

interface Step {
  readonly input: Record<string, unknown>
  readonly kind: ObservationFields['kind']
  readonly version: number | null
  readonly started: number
  readonly took: number
  readonly step: number
  readonly again: boolean
}

function steps(model: ModelName): fc.Arbitrary<Step[]> {
  const step = fc.record({
    input: fc.oneof(
      { arbitrary: recordInput(model), weight: 3 },
      { arbitrary: partialInput(model), weight: 2 },
      fc.constant({ id: 'H5daSm8e85Dmvmne3wLeCPhX' }),
    ),
    kind: fc.oneof(
      { arbitrary: fc.constant('record' as const), weight: 6 },
      fc.constantFrom('deleted' as const, 'merged' as const, 'anonymized' as const),
    ),
    version: fc.option(fc.integer({ min: 1, max: 6 })),
    started: fc.integer({ min: -150, max: 150 }),
    took: fc.integer({ min: 0, max: 120 }),
    step: fc.integer({ min: 0, max: 2 }),
    again: fc.boolean(),
  })
  return fc.array(step, { minLength: 1, maxLength: 10 })
}

/** Applies field changes to the JSON form of a record, with collections as objects: what a consumer of `changes` would do. */
function contentOf(model: ModelName, record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    MODEL_SCHEMAS[model].fields.filter((f) => f.diff !== 'ignore').map((f) => [f.name, plain(record[f.name])]),
  )
}

describe.each(MODEL_NAMES)('%s: any sequence of observations', (model) => {
  it('gives what the naive model gives, chains its changes, and folds to the last snapshot', () => {
    fc.assert(
      fc.property(steps(model), (sequence) => {
        let encoded: Buffer | undefined
        let naive: Snapshot | undefined
        let offset = 0
        let last: Step | undefined
        const changes: Change[] = []
        sequence.forEach((drawn, i) => {
          const s = drawn.again && last ? { ...drawn, input: last.input } : drawn
          last = s
          offset += s.step
          const fields: ObservationFields = {
            ...FIELDS,
            kind: s.kind,
            remoteVersion: s.version,
            fetchStartedAt: i * 100 + s.started,
            observedAt: i * 100 + s.started + s.took,
            mergedIntoId: s.kind === 'merged' ? `m${s.version}` : null,
          }
          const value = codec.encodeObservation(model, fields, normalizeRecord(model, s.input))
          const source = { partition: 1, offset }
          const observed = codec.decodeObserved(value)
          // A complete run, before or after what was asked for.
          const lastSeenAt = s.took % 2 === 0 ? null : i * 100 - 40 + s.took
          const expected = naiveApply(model, naive, (observed as { observation: Observation }).observation, {
            ...source,
            lastSeenAt,
          })
          const lastSeen = { key: Buffer.from('key'), at: () => lastSeenAt ?? Number.NaN }
          const outcome = differ.apply(model, encoded, value, { ...source, lastSeen })
          expect(outcome.kind).toBe(expected.kind)
          if ('snapshot' in outcome) {
            encoded = outcome.snapshot
            naive = expected.snapshot
            expect(plain(codec.decodeSnapshot(model, encoded))).toEqual(plain(naive))
          }
          if (outcome.kind === 'changed') {
            const change = codec.decodeChange(model, outcome.change)
            const sorted = (list: readonly FieldChange[]): FieldChange[] =>
              [...list].sort((a, b) => (a.path < b.path ? -1 : 1))
            expect({ ...plain(change), changes: sorted(change.changes) }).toEqual({
              ...plain(expected.change),
              changes: sorted(expected.change?.changes ?? []),
            })
            const previous = changes.at(-1)
            expect(change.version).toBe((previous?.version ?? 0) + 1)
            if (change.before && change.after) {
              const [before, after] = [change.before, change.after] as unknown as [
                Record<string, unknown>,
                Record<string, unknown>,
              ]
              expect(contentOf(model, before)).toEqual(
                contentOf(model, previous?.after as unknown as Record<string, unknown>),
              )
              expect(diffRecords(MODEL_SCHEMAS[model], before, after, new Set())).toEqual(change.changes)
            }
            changes.push(change)
          }
        })
        if (naive)
          expect(contentOf(model, naive.record as never)).toEqual(contentOf(model, changes.at(-1)?.after as never))
      }),
      { numRuns: 60 },
    )
  })
})
