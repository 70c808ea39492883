import { TidemarkError } from '@tidemark/base'
import type { PointRead, PointReadOptions } from '@tidemark/connector'
import {
  COMMANDS_TOPIC,
  partitionOf,
  type RecordKey,
  recordKey,
  rootKey,
  type SweepReport,
  sweepReportText,
} from '@tidemark/model'
import { afterEach, describe, expect, it } from 'vitest'
import { mapped, pageOf } from '../../test/fakeSource.ts'
import { codec, Harness, PARTITIONS, until } from '../../test/harness.ts'
import { DEFAULT_GUARD, isHeld } from './guard.ts'

const ID = 'acme:1'
let harness: Harness
afterEach(() => harness.close())

async function setUp(streams: readonly string[] = ['tags']): Promise<void> {
  harness = new Harness([ID], streams)
  await harness.start()
  await harness.settle()
}

const ends = () => harness.sweeps('sweep_end')
const applies = () => harness.sweeps('sweep_apply')
/** The newest control record of a kind on each partition. */
const newest = (kind: 'sweep_end' | 'sweep_apply') => [
  ...new Map(harness.sweeps(kind).map((control) => [control.partition, control])).values(),
]
const swept = () => harness.events('swept')

/** Answers the newest control record of a kind as the diff processor would, partition by partition. */
async function answer(
  kind: 'sweep_end' | 'sweep_apply',
  fields: (partition: number) => Partial<SweepReport>,
): Promise<void> {
  const { log } = harness.log.connect()
  for (const control of newest(kind)) {
    const { partition } = control
    const report: SweepReport = {
      phase: kind === 'sweep_end' ? 'counted' : 'applied',
      to: kind,
      sync_id: control.sync_id ?? '',
      model: control.model,
      partition,
      ...{ part: 0, parts: 1, begin_offset: control.begin_offset ?? 0, records: 0, suspects: 0, children: 0, keys: [] },
      ...{ deleted: 0, reason: null, confirmed_by: control.cause.actor, fetch_started_at: control.fetch_started_at },
      ...{ cause_kind: control.cause.kind, pages: control.pages, listed: control.records },
      ...{ names_suspects: control.names_suspects, spared: control.spared },
      ...fields(partition),
    }
    const at = harness.clock.now()
    const command = { id: `${partition}`, integration_id: ID, kind: 'confirm_absence', at, actor: null }
    const value = codec.encode('Command', { ...command, payload: sweepReportText(report) })
    await log.append([
      { topic: COMMANDS_TOPIC, partition: partitionOf(ID, PARTITIONS), key: null, value, timestampMs: at },
    ])
  }
}

const first =
  (fields: Partial<SweepReport>) =>
  (partition: number): Partial<SweepReport> =>
    partition === 0 ? fields : {}

async function fullSync(id = 'cmd-1'): Promise<void> {
  await harness.command('sync_full', ID, id)
  await until(() => harness.events('finished').some(({ sync_id }) => sync_id === id))
}

async function decide(kind: 'held_confirm' | 'held_discard', payload: object): Promise<void> {
  const { log } = harness.log.connect()
  const at = harness.clock.now()
  const value = codec.encode('Command', {
    id: 'd',
    integration_id: ID,
    kind,
    at,
    actor: 'ops',
    payload: JSON.stringify(payload),
  })
  await log.append([
    { topic: COMMANDS_TOPIC, partition: partitionOf(ID, PARTITIONS), key: null, value, timestampMs: at },
  ])
}

describe('a complete listing', () => {
  it('begins on every partition before its first request, and ends on every partition before its run does', async () => {
    await setUp()
    const atFetch: number[] = []
    harness.source.script = () => {
      atFetch.push(harness.sweeps('sweep_begin').length)
      return [pageOf('tags', ['a']), pageOf('tags', ['b'])]
    }
    const before = harness.sweeps('sweep_begin').length
    await fullSync()
    expect(atFetch).toEqual([before + PARTITIONS])
    const own = newest('sweep_end')
    expect(own.map(({ partition }) => partition).sort()).toEqual([0, 1, 2])
    for (const { pages, records, begin_offset, names_suspects } of own) {
      expect([pages, records, names_suspects]).toEqual([2, 2, false])
      expect(begin_offset).toBeGreaterThanOrEqual(0)
    }
    expect(harness.events('finished').at(-1)?.details).toBe('{"swept":["tags"]}')
  })

  it.each([
    ['a page fails', () => failing()],
    ['a record could not be read, and nobody knows which', () => [unreadable(null)]],
    [
      'a page does not show all it knows of',
      () => [{ ...pageOf('tags', []), mapped: mapped([], { incompleteModels: ['tags'] }) }],
    ],
  ])('is not swept when %s', async (_, script) => {
    await setUp()
    const before = ends().length
    harness.source.script = script
    await harness.command('sync_full', ID)
    await until(() => harness.events('finished').length > 1)
    expect(ends()).toHaveLength(before)
  })

  it('is not swept when another listing of its run failed: a run that failed in part deletes nothing', async () => {
    await setUp(['tags', 'roles'])
    const before = ends().length
    harness.source.script = ({ stream }) => (stream === 'roles' ? failing() : [pageOf('tags', [])])
    await harness.command('sync_full', ID)
    await until(() => harness.events('finished').length > 1)
    expect(harness.events('finished').at(-1)).toMatchObject({ state: 'PARTIALLY_FAILED' })
    expect(ends()).toHaveLength(before)
  })

  it('spares records that were listed and could not be read', async () => {
    await setUp()
    harness.source.script = () => [unreadable('b')]
    await fullSync()
    const key = recordKey(ID, 'tags', 'b')
    const own = newest('sweep_end')
    for (const { partition, spared } of own)
      expect(spared).toEqual(partition === partitionOf(rootKey(key), PARTITIONS) ? [key] : [])
  })
})

const failing = (): never => {
  throw new TidemarkError('PROVIDER_UNAVAILABLE', 'scripted')
}

const unreadable = (remoteKey: string | null) => {
  const error = new TidemarkError('RECORD_INVALID', 'scripted')
  return { ...pageOf('tags', []), mapped: mapped([], { failures: [{ error, model: 'tags', remoteKey, json: '{}' }] }) }
}

describe('what a complete listing did not have', () => {
  it('is deleted on every partition when all of them have answered, not before', async () => {
    await setUp()
    await fullSync()
    const { log } = harness.log.connect()
    expect(log).toBeDefined()
    await answer('sweep_end', first({ records: 10, suspects: 2 }))
    await until(() => applies().length === PARTITIONS)
    expect(applies()[0]).toMatchObject({ sync_id: 'cmd-1', model: 'tags', pages: 1, records: 0 })
    expect(
      applies()
        .map(({ begin_offset }) => begin_offset)
        .sort(),
    ).toEqual(
      newest('sweep_end')
        .map(({ begin_offset }) => begin_offset)
        .sort(),
    )
    expect(swept()).toHaveLength(0)
    await answer('sweep_apply', first({ deleted: 2 }))
    await until(() => swept().length === 1)
    expect(swept()[0]).toMatchObject({ state: 'DELETED', model: 'tags', sync_id: 'cmd-1', suspects: 2 })
  })

  it('is nothing when nothing is missing', async () => {
    await setUp()
    await fullSync()
    await answer('sweep_end', first({ records: 10 }))
    await until(() => swept().length === 1)
    expect(swept()[0]).toMatchObject({ state: 'NOTHING', records: 10 })
    expect(applies()).toHaveLength(0)
  })

  it('is left alone when a partition can no longer tell', async () => {
    await setUp()
    await fullSync()
    await answer('sweep_end', first({ phase: 'skipped', reason: 'retention removed it' }))
    await until(() => swept().length === 1)
    expect(swept()[0]).toMatchObject({ state: 'SKIPPED', message: expect.stringContaining('retention removed it') })
    expect(applies()).toHaveLength(0)
  })

  it('is decided by the next process when this one is killed in between', async () => {
    await setUp()
    await fullSync()
    await harness.settle()
    harness.kill()
    await answer('sweep_end', first({ records: 10, suspects: 2 }))
    await harness.start()
    await until(() => applies().length >= PARTITIONS)
    harness.kill()
    await harness.start()
    await until(() => applies().length >= PARTITIONS)
    await answer('sweep_apply', first({ deleted: 2 }))
    await until(() => swept().some(({ state }) => state === 'DELETED'))
  })
})

describe('a mass deletion', () => {
  async function held(): Promise<void> {
    await setUp()
    await fullSync()
    await answer('sweep_end', first({ records: 100, suspects: 60 }))
    await until(() => harness.events('mass_deletion_held').length === 1)
  }

  it('is held, survives a restart, and is shown', async () => {
    await held()
    expect(harness.events('mass_deletion_held')[0]).toMatchObject({ model: 'tags', suspects: 60, records: 100 })
    expect(harness.ingress.held()).toMatchObject([
      { integrationId: ID, model: 'tags', syncId: 'cmd-1', suspects: 60, records: 100 },
    ])
    expect(applies()).toHaveLength(0)
    harness.kill()
    await harness.start()
    expect(harness.ingress.held()).toHaveLength(1)
  })

  it('is carried out when it is confirmed: counted again without the guard, in the name of who confirmed it', async () => {
    await held()
    const before = ends().length
    await decide('held_confirm', { model: 'tags', sync_id: 'cmd-1' })
    await until(() => ends().length === before + PARTITIONS)
    expect(harness.ingress.held()).toHaveLength(0)
    await answer('sweep_end', first({ records: 100, suspects: 60 }))
    await until(() => applies().length === PARTITIONS)
    expect(applies()[0]?.cause.actor).toBe('ops')
    expect(harness.events('held_decided')[0]).toMatchObject({ state: 'CONFIRMED', actor: 'ops' })
  })

  it('is dropped when it is discarded, and a decision about another run changes nothing', async () => {
    await held()
    await decide('held_confirm', { model: 'tags', sync_id: 'another' })
    await decide('held_discard', { model: 'tags', sync_id: 'cmd-1' })
    await until(() => harness.events('held_decided').length === 1)
    expect(harness.events('held_decided')[0]).toMatchObject({ state: 'DISCARDED' })
    expect(harness.ingress.held()).toEqual([])
    expect(applies()).toHaveLength(0)
  })

  it('is replaced by what a later complete run says', async () => {
    await held()
    await fullSync('cmd-2')
    await answer('sweep_end', first({ records: 100 }))
    await until(() => swept().length === 1)
    expect(harness.ingress.held()).toEqual([])
  })

  it('is one above the share, from a number of records on', () => {
    expect(isHeld(DEFAULT_GUARD, 49, 50)).toBe(false)
    expect(isHeld(DEFAULT_GUARD, 50, 166)).toBe(true)
    expect(isHeld(DEFAULT_GUARD, 50, 167)).toBe(false)
  })
})

describe('a listing whose pages may shift', () => {
  const asked: string[] = []

  async function shifting(exists: readonly string[] | null): Promise<void> {
    await setUp()
    asked.length = 0
    harness.source.paging = 'shifting'
    if (exists !== null)
      harness.source.pointReads = { models: new Set(['tags']), read: (options) => read(options, exists) }
    harness.source.script = () => [pageOf('tags', ['a']), pageOf('tags', ['b'])]
  }

  async function* read({ remoteKeys }: PointReadOptions, exists: readonly string[]): AsyncGenerator<PointRead> {
    asked.push(...remoteKeys)
    const there = remoteKeys.filter((key) => exists.includes(key))
    const absent = remoteKeys
      .filter((key) => !exists.includes(key))
      .map((remoteKey) => ({ remoteKey, record: { id: remoteKey } }))
    yield { ...pageOf('tags', there, { requestedAtMs: 5000, receivedAtMs: 6000 }), absent }
  }

  const suspects = { records: 10, suspects: 2, keys: [recordKey(ID, 'tags', 'x'), recordKey(ID, 'tags', 'y')] }

  it('asks for each suspect: one that exists is observed, one that does not is deleted, with the answer as evidence', async () => {
    await shifting(['x'])
    await fullSync()
    expect(newest('sweep_end')[0]?.names_suspects).toBe(true)
    await answer('sweep_end', first(suspects))
    await until(() => swept().length === 1)
    expect(asked).toEqual(['x', 'y'])
    expect(swept()[0]).toMatchObject({ state: 'DELETED', suspects: 1 })
    expect(applies()).toHaveLength(0)
    const seen = harness
      .observed()
      .filter(({ key }) => [recordKey(ID, 'tags', 'x'), recordKey(ID, 'tags', 'y')].includes(key as RecordKey))
    const kinds = seen.map(({ key, value }) => [key, value.kind === 'observation' && value.observation.kind])
    expect(new Map(kinds as [string, unknown][])).toEqual(
      new Map([
        [recordKey(ID, 'tags', 'x'), 0],
        [recordKey(ID, 'tags', 'y'), 1],
      ]),
    )
    const gone = seen.find(({ key }) => key.endsWith('y'))?.value
    expect(gone).toMatchObject({
      observation: {
        fetch_started_at: 5000,
        cause: {
          kind: 'full_sync',
          sync_id: 'cmd-1',
          evidence: { kind: 'point_read', detail: 'GET /tags answered 200 without it' },
        },
      },
    })
    expect((gone as { observation: { cause: { raw: unknown } } }).observation.cause.raw).not.toBeNull()
  })

  it('is asked again when a point read fails, and nothing is deleted until it is answered', async () => {
    await shifting([])
    let failures = 2
    const { pointReads } = harness.source
    harness.source.pointReads = {
      models: new Set(['tags']),
      read: (options) => {
        if (failures-- > 0) throw new TidemarkError('PROVIDER_UNAVAILABLE', 'scripted')
        return (pointReads as NonNullable<typeof pointReads>).read(options)
      },
    }
    await fullSync()
    await answer('sweep_end', first(suspects))
    await until(() => failures === 1)
    expect(swept()).toHaveLength(0)
    for (let i = 0; i < 10; i++) await harness.clock.advance(60_000)
    await until(() => swept().length === 1)
    expect(swept()[0]).toMatchObject({ state: 'DELETED', suspects: 2 })
  })

  it('that came in one page cannot have shifted', async () => {
    await shifting([])
    harness.source.script = () => [pageOf('tags', ['a'])]
    await fullSync()
    expect(newest('sweep_end')[0]?.names_suspects).toBe(false)
  })

  it('that does not list all that exists names its suspects, also in one page', async () => {
    await shifting([])
    harness.source.paging = 'partial'
    harness.source.script = () => [pageOf('tags', ['a'])]
    await fullSync()
    expect(newest('sweep_end')[0]?.names_suspects).toBe(true)
  })

  it('without point reads is read completely once more; what both runs did not have is gone since the first began', async () => {
    await shifting(null)
    await fullSync()
    const begins = newest('sweep_end').map(({ begin_offset }) => begin_offset)
    await answer('sweep_end', first(suspects))
    await until(() => swept().some(({ state }) => state === 'UNCONFIRMED'))
    expect(applies()).toHaveLength(0)
    await until(() => newest('sweep_end')[2]?.sync_id !== 'cmd-1')
    await answer('sweep_end', first({ records: 10, suspects: 1, keys: [recordKey(ID, 'tags', 'y')] }))
    await until(() => applies().length === PARTITIONS)
    expect(applies().map(({ begin_offset }) => begin_offset)).toEqual(begins)
  })
})
