import { TidemarkError } from '@tidemark/base'
import type { PointRead, PointReadOptions, PointReads } from '@tidemark/connector'
import { publicId, recordKey } from '@tidemark/model'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pageOf } from '../test/fakeSource.ts'
import { aWhile, Harness, until } from '../test/harness.ts'

const ID = 'acme:1'
let harness: Harness
let asked: string[][]
let exists: Set<string>
/** What happens before the answer to a read, by its number. */
let before: (n: number) => Promise<void>

beforeEach(async () => {
  harness = new Harness([ID], ['tags'])
  asked = []
  exists = new Set()
  before = async () => undefined
  harness.source.pointReads = { models: new Set(['tags']), read }
  await harness.start()
  await harness.settle()
})

afterEach(() => harness.close())

async function* read({ remoteKeys }: PointReadOptions): AsyncGenerator<PointRead> {
  asked.push([...remoteKeys])
  await before(asked.length)
  const absent = remoteKeys.filter((key) => !exists.has(key)).map((remoteKey) => ({ remoteKey, record: {} }))
  const there = remoteKeys.filter((key) => exists.has(key))
  yield { ...pageOf('tags', there, { requestedAtMs: 5000, receivedAtMs: 6000, status: 404 }), absent }
}

const post = (id: string, keys: readonly string[], more: object = {}) =>
  harness.post({ id, type: 'read', integration: ID, keys, ...more })

const KINDS = ['record', 'deleted', 'merged', 'anonymized'] as const

const seen = () =>
  harness.observed().flatMap(({ key, value }) => {
    if (value.kind === 'control') return []
    const kind = KINDS[value.observation.kind as number]
    return [{ key, observation: { ...value.observation, kind } }]
  })

describe('a webhook that names records', () => {
  it('has them read: what is there is observed, what is not is deleted with the event as evidence', async () => {
    exists = new Set(['a'])
    await post('e1', ['a', 'b'])
    await harness.settle()
    expect(asked).toEqual([['a', 'b']])
    expect(seen()).toMatchObject([
      {
        key: `${ID}/tags/a`,
        observation: { kind: 'record', cause: { kind: 'webhook', event_name: 'read', event_id: 'e1', evidence: null } },
      },
      {
        key: `${ID}/tags/b`,
        observation: {
          kind: 'deleted',
          cause: {
            kind: 'webhook',
            evidence: { kind: 'provider_event', detail: 'read; GET /tags answered 404 without it' },
          },
        },
      },
    ])
    const page = harness.raws().find(({ kind }) => kind === 'page' && true)
    expect(page).toBeDefined()
    expect(seen()[0]?.observation.cause.raw).not.toBeNull()
  })

  it('tells what they have become, where they are there and where they are not', async () => {
    exists = new Set(['blank'])
    await post('e1', ['blank'], { meaning: { kind: 'anonymized' } })
    await post('e2', ['gone'], { meaning: { kind: 'merged', intoRemoteKey: 'kept' } })
    await harness.settle()
    const byKey = new Map(seen().map(({ key, observation }) => [key, observation]))
    expect(byKey.get(`${ID}/tags/blank`)).toMatchObject({ kind: 'anonymized' })
    expect(byKey.get(`${ID}/tags/gone`)).toMatchObject({
      kind: 'merged',
      merged_into_id: publicId(recordKey(ID, 'tags', 'kept')),
    })
  })

  it('is done when they are read: until then the next process reads it again', async () => {
    const gate = Promise.withResolvers<void>()
    before = async (n) => (n === 1 ? gate.promise : undefined)
    exists = new Set(['a'])
    await post('e1', ['a'])
    await until(() => asked.length === 1)
    await aWhile()
    expect(harness.isRead()).toBe(false)
    harness.kill()
    gate.resolve()
    await harness.start()
    await harness.settle()
    expect(asked.length).toBeGreaterThanOrEqual(2)
    expect(seen().map(({ key }) => key)).toContain(`${ID}/tags/a`)
  })

  it('has a record read once for all events that came while another read was under way', async () => {
    const gate = Promise.withResolvers<void>()
    before = async (n) => (n === 1 ? gate.promise : undefined)
    exists = new Set(['a', 'b'])
    await post('e1', ['a'])
    await until(() => asked.length === 1)
    for (let i = 0; i < 5; i++) await post(`e${i + 2}`, ['b'])
    await until(() => harness.raws().filter(({ kind }) => kind === 'webhook').length === 6)
    await aWhile()
    gate.resolve()
    await harness.settle()
    expect(asked).toEqual([['a'], ['b']])
  })

  it('has them read again after a failure, later and later, and sets them aside in the end', async () => {
    before = async () => {
      throw new TidemarkError('PROVIDER_REFUSED', 'scripted')
    }
    await post('e1', ['a'])
    for (let i = 0; i < 200 && harness.letters().length === 0; i++) {
      await aWhile()
      await harness.clock.advance(300_000)
    }
    expect(asked).toHaveLength(30)
    expect(harness.letters()).toMatchObject([
      { stage: 'read', code: 'PROVIDER_REFUSED', record_key: `${ID}/tags/a`, topic: 'ats.raw' },
    ])
    await harness.settle()
  })

  it('that may not be read is done: nothing is observed or deleted, and those behind it go on', async () => {
    const hidden: PointReads['read'] = async function* (options) {
      const [key = ''] = options.remoteKeys
      if (key !== 'hidden') return yield* read(options)
      asked.push([key])
      yield { ...pageOf('tags', [], { status: 403, notOffered: 'the scope is missing' }), absent: [] }
    }
    harness.source.pointReads = { models: new Set(['tags']), read: hidden }
    exists = new Set(['a'])
    await post('e1', ['hidden'])
    await post('e2', ['a'])
    await harness.settle()
    expect(asked).toEqual([['hidden'], ['a']])
    expect(seen()).toMatchObject([{ key: `${ID}/tags/a`, observation: { kind: 'record' } }])
    expect(harness.letters()).toEqual([])
  })

  it('of an integration that is not read is counted and passed over', async () => {
    harness.source.acceptsNewIntegrations = false
    await harness.post({ id: 'e1', type: 'read', integration: 'alien:1', keys: ['a'] })
    await harness.settle()
    expect(asked).toEqual([])
  })
})
