import { seededRandom, TidemarkError } from '@tidemark/base'
import type { FetchOptions, Page } from '@tidemark/connector'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeSource, fakeConnector, pageOf } from '../test/fakeSource.ts'
import { aWhile, codec, Harness, PARTITIONS, until } from '../test/harness.ts'
import { MemoryStateStore } from '../test/memoryLog.ts'
import { rawRecord } from './raw.ts'
import { webhookRaw } from './spooledWebhook.ts'

let harness: Harness

afterEach(() => harness.close())

async function setUp(integrations?: readonly string[], streams?: readonly string[]): Promise<Harness> {
  harness = new Harness(integrations, streams)
  await harness.start()
  await harness.settle()
  return harness
}

const changed = (id: string, streams: readonly string[], more: object = {}) => ({
  ...{ id, type: 'changed', integration: 'acme:1', streams },
  ...more,
})

/** Fetches as `stream` or `stream since <time>`, from the given one on. */
const fetches = (from = 0): string[] =>
  harness.source.fetched
    .slice(from)
    .map(({ stream, updatedAfterMs }) => (updatedAfterMs === undefined ? stream : `${stream} since ${updatedAfterMs}`))

const unready =
  (code: 'PROVIDER_NOT_READY' | 'PROVIDER_UNAVAILABLE' = 'PROVIDER_NOT_READY') =>
  (): Iterable<Page> => {
    throw new TidemarkError(code, 'scripted')
  }

describe('the first sync', () => {
  it('fetches every stream completely, stores pages verbatim and observes their records', async () => {
    harness = new Harness(['acme:1'], ['tags'])
    harness.source.script = () => [pageOf('tags', ['a', 'b']), pageOf('tags', ['c'])]
    await harness.start()
    await harness.settle()
    expect(fetches()).toEqual(['tags'])
    const pages = harness.raws()
    expect(pages.map(({ kind, body }) => [kind, String(Buffer.from(body))])).toEqual([
      ['page', '["a","b"]'],
      ['page', '["c"]'],
    ])
    expect(pages[0]).toMatchObject({
      integration_id: 'acme:1',
      route: 'GET /tags',
      status: 200,
      requested_at: 1000,
      received_at: 2000,
      headers: { 'content-type': 'application/json' },
    })
    const observed = harness.observed()
    expect(observed.map(({ key }) => key).sort()).toEqual(['acme:1/tags/a', 'acme:1/tags/b', 'acme:1/tags/c'])
    for (const { key, value } of observed)
      expect(value).toMatchObject({
        observation: {
          fetch_started_at: 1000,
          observed_at: 2000,
          cause: {
            kind: 'full_sync',
            sync_id: pages[0]?.sync_id,
            raw: { partition: pages[0]?.partition, offset: key.endsWith('c') ? pages[1]?.offset : pages[0]?.offset },
          },
        },
      })
  })

  it('is told in ats.syncs from started to finished, with counts and a watermark per stream', async () => {
    harness = new Harness(['acme:1'], ['tags', 'roles'])
    harness.source.script = ({ stream }) => [pageOf(stream, ['a', 'b'])]
    await harness.start()
    await harness.settle()
    const events = harness.events()
    expect(new Set(events.map(({ sync_id }) => sync_id)).size).toBe(1)
    expect(events[0]).toMatchObject({ event: 'started', kind: 'full', streams: ['tags', 'roles'], source: 'main' })
    for (const stream of ['tags', 'roles'])
      expect(events.find((event) => event.event === 'stream_finished' && event.stream === stream)).toMatchObject({
        kind: 'full',
        state: 'SUCCEEDED',
        watermark: harness.clock.now(),
        pages: 1,
        counts: [{ model: stream, observed: 2, failed: 0 }],
      })
    expect(events.at(-1)).toMatchObject({ event: 'finished', state: 'SUCCEEDED', pages: 2, watermark: null })
    expect(harness.ingress.status()).toMatchObject([
      {
        integrationId: 'acme:1',
        isWaitingForProvider: false,
        streams: [
          { stream: 'tags', state: 'idle', watermarkMs: harness.clock.now(), pages: 1, error: null },
          { stream: 'roles' },
        ],
      },
    ])
  })

  it('reports progress at most once a second', async () => {
    harness = new Harness(['acme:1'], ['tags'])
    harness.source.script = async function* () {
      for (let i = 0; i < 30; i++) {
        await harness.clock.advance(100)
        yield pageOf('tags', [`t${i}`])
      }
    }
    await harness.start()
    await harness.settle()
    const progress = harness.events('progress')
    expect(progress).toHaveLength(3)
    expect(progress.map(({ counts }) => counts[0]?.observed)).toEqual([10, 20, 30])
  })

  it('records a stream that is not offered without a watermark, so that it is asked for again at the next start', async () => {
    harness = new Harness(['acme:1'], ['tags'])
    harness.source.script = () => [pageOf('tags', [], { status: 404, notOffered: 'no such model' })]
    await harness.start()
    await harness.settle()
    expect(harness.events('stream_finished')).toMatchObject([
      {
        state: 'SUCCEEDED',
        watermark: null,
        error_code: null,
        message: expect.stringContaining('no such model') as string,
      },
    ])
    expect(harness.events('finished')).toMatchObject([{ state: 'SUCCEEDED' }])
    harness.kill()
    harness.source.script = () => [pageOf('tags', ['a'])]
    await harness.start()
    await harness.settle()
    expect(fetches()).toEqual(['tags', 'tags'])
  })
})

describe('a webhook', () => {
  it('makes its streams be fetched from the start of their last good fetch on, and says so in the cause', async () => {
    await setUp()
    const first = harness.clock.now()
    await harness.clock.advance(5000)
    harness.source.script = ({ stream }) => [pageOf(stream, ['x'])]
    await harness.post(changed('e1', ['tags']))
    await harness.settle()
    expect(fetches(2)).toEqual([`tags since ${first}`])
    expect(harness.observed().map(({ value }) => value)).toMatchObject([
      { observation: { cause: { kind: 'webhook', event_name: 'changed', event_id: 'e1' } } },
    ])
    await harness.clock.advance(5000)
    await harness.post(changed('e2', ['tags']))
    await harness.settle()
    expect(fetches(3)).toEqual([`tags since ${first + 5000}`])
  })

  it('that is repeated is stored again and acted on once', async () => {
    await setUp()
    for (let i = 0; i < 3; i++) expect((await harness.post(changed('e1', ['tags']))).statusCode).toBe(200)
    await harness.settle()
    expect(harness.raws().filter(({ kind }) => kind === 'webhook')).toHaveLength(3)
    expect(fetches(2)).toHaveLength(1)
  })

  it('that comes while its stream is fetched causes one more fetch afterwards, never a second one beside it', async () => {
    await setUp()
    const gate = Promise.withResolvers<void>()
    harness.source.script = async function* ({ stream }: FetchOptions) {
      await gate.promise
      yield pageOf(stream, [])
    }
    await harness.post(changed('e1', ['tags']))
    await until(() => harness.source.fetched.length === 3)
    for (let i = 2; i < 9; i++) await harness.post(changed(`e${i}`, ['tags']))
    await aWhile()
    expect(harness.source.fetched).toHaveLength(3)
    gate.resolve()
    await harness.settle()
    expect(harness.source.fetched).toHaveLength(4)
    expect(harness.source.peakPerStream).toBe(1)
    expect(harness.events('started').slice(1)).toHaveLength(2)
  })

  it('with unknown models fetches the known streams and counts the others', async () => {
    await setUp()
    await harness.post(changed('e1', ['tags'], { unknown: ['scorecards', 'surveys'] }))
    await harness.post(changed('e2', [], { unknown: ['scorecards'] }))
    await harness.settle()
    expect(fetches(2)).toHaveLength(1)
    expect(harness.letters()).toEqual([])
    const { values } = await harness.metrics.webhooks.get()
    expect(values.find(({ labels }) => labels.outcome === 'unknown_model')?.value).toBe(3)
  })

  it('of an unknown type is kept and counted, never an error', async () => {
    await setUp()
    expect((await harness.post({ id: 'e', type: 'novel', integration: 'acme:1' })).statusCode).toBe(200)
    expect((await harness.post({ id: 'f', type: 'novel' })).statusCode).toBe(200)
    await harness.settle()
    expect(harness.letters()).toEqual([])
    expect(harness.events('provider_event')).toMatchObject([{ integration_id: 'acme:1', message: 'novel: no meaning' }])
    const { values } = await harness.metrics.webhooks.get()
    expect(values.find(({ labels }) => labels.outcome === 'ignored')?.value).toBe(2)
  })

  it('that is genuine but cannot be understood is answered 200 and has one dead letter, and those behind it go on', async () => {
    await setUp()
    const bad = await harness.post('<no json>')
    expect(bad.statusCode).toBe(200)
    await harness.post(changed('e1', ['tags']))
    await harness.settle()
    const raw = harness.raws().find(({ body }) => String(Buffer.from(body)) === '<no json>')
    expect(harness.letters()).toMatchObject([
      {
        stage: 'webhook',
        code: 'WEBHOOK_UNMAPPABLE',
        source: 'main',
        topic: 'ats.raw',
        partition: raw?.partition,
        offset: raw?.offset,
        value: null,
      },
    ])
    expect(fetches(2)).toHaveLength(1)
  })

  it('with an integration id beyond reason is set aside like one that cannot be understood', async () => {
    await setUp()
    await harness.post(changed('e', ['tags'], { integration: 'x'.repeat(100_000) }))
    await harness.settle()
    expect(harness.letters()).toMatchObject([{ code: 'WEBHOOK_UNMAPPABLE' }])
    expect(harness.ingress.status()).toHaveLength(1)
  })

  it('that carries records has them observed, with itself as the cause', async () => {
    await setUp()
    await harness.post({ id: 'e', type: 'records', integration: 'acme:1', ids: ['r1'] })
    await harness.settle()
    const raw = harness.raws().find(({ kind }) => kind === 'webhook')
    expect(harness.observed().map(({ value }) => value)).toMatchObject([
      {
        observation: {
          cause: { kind: 'webhook', event_id: 'e', raw: { partition: raw?.partition, offset: raw?.offset } },
        },
      },
    ])
  })
})

describe('pages that fail', () => {
  it('move no watermark; what was stored before stays, and the next try begins where the last good fetch began', async () => {
    await setUp(['acme:1'], ['tags'])
    const first = harness.clock.now()
    await harness.clock.advance(5000)
    harness.source.script = function* () {
      yield pageOf('tags', ['a'])
      throw new TidemarkError('PROVIDER_UNAVAILABLE', 'page 2 of 3 failed')
    }
    await harness.post(changed('e1', ['tags']))
    await until(() => harness.ingress.status()[0]?.streams[0]?.state === 'waiting')
    expect(harness.observed().map(({ key }) => key)).toEqual(['acme:1/tags/a'])
    expect(harness.ingress.status()[0]?.streams[0]).toMatchObject({
      watermarkMs: first,
      error: { code: 'PROVIDER_UNAVAILABLE', message: 'page 2 of 3 failed' },
      nextAttemptAtMs: expect.any(Number) as number,
    })
    expect(harness.events('stream_finished').at(-1)).toMatchObject({ state: 'FAILED', watermark: null })
    expect(harness.events('finished').at(-1)).toMatchObject({ state: 'FAILED', error_code: 'PROVIDER_UNAVAILABLE' })
    harness.source.script = () => [pageOf('tags', ['a']), pageOf('tags', ['b'])]
    await harness.clock.advance(1000)
    await harness.settle()
    expect(fetches(1)).toEqual([`tags since ${first}`, `tags since ${first}`])
    const status = harness.ingress.status()[0]?.streams[0]
    expect(status).toMatchObject({ watermarkMs: harness.source.fetched.at(-1)?.atMs, error: null })
    expect(status?.watermarkMs).toBeGreaterThan(first + 5000)
  })

  it('move no watermark when the log refuses the last page', async () => {
    await setUp(['acme:1'], ['tags'])
    const first = harness.clock.now()
    harness.source.script = () => [pageOf('tags', ['a']), pageOf('tags', ['b'])]
    let appends = 0
    harness.log.beforeAppend = (records) => {
      if (records[0]?.topic === 'ats.observed' && ++appends === 2)
        throw new TidemarkError('DISK_FULL', 'No space is left.')
    }
    await harness.clock.advance(10)
    await harness.post(changed('e1', ['tags']))
    await until(() => harness.ingress.status()[0]?.streams[0]?.state === 'waiting')
    expect(harness.ingress.status()[0]?.streams[0]).toMatchObject({ watermarkMs: first, error: { code: 'DISK_FULL' } })
  })

  it('fill ats.syncs only with what is new while a provider is down', async () => {
    await setUp(['acme:1'], ['tags'])
    const before = harness.events().length
    harness.source.script = unready('PROVIDER_UNAVAILABLE')
    await harness.post(changed('e1', ['tags']))
    await until(() => harness.source.fetched.length === 2)
    while (harness.source.fetched.length < 8) {
      await harness.clock.advance(100_000)
      await aWhile()
    }
    await aWhile()
    expect(
      harness
        .events()
        .slice(before)
        .map(({ event }) => event),
    ).toEqual(['started', 'stream_finished', 'finished'])
    harness.source.script = () => [pageOf('tags', ['a'])]
    await harness.clock.advance(300_000)
    await harness.settle()
    expect(
      harness
        .events()
        .slice(before + 3)
        .map(({ event, state }) => `${event} ${state}`),
    ).toEqual(['started null', 'stream_finished SUCCEEDED', 'finished SUCCEEDED'])
  })

  it('do not hold up the records behind one that cannot be mapped or encoded', async () => {
    await setUp(['acme:1'], ['tags'])
    const page = pageOf('tags', ['a', 'b', 'c'])
    const bad = { ...page.mapped.records[1], record: { id: 'b', name: { not: 'text' } } }
    const records = [page.mapped.records[0], bad, page.mapped.records[2]] as typeof page.mapped.records
    const failure = {
      error: new TidemarkError('RECORD_INVALID', 'no id'),
      model: 'tags' as const,
      remoteKey: null,
      json: '{}',
    }
    harness.source.script = () => [{ ...page, mapped: { records, childLists: [], failures: [failure] } }]
    await harness.post(changed('e1', ['tags']))
    await harness.settle()
    expect(
      harness
        .observed()
        .map(({ key }) => key)
        .sort(),
    ).toEqual(['acme:1/tags/a', 'acme:1/tags/c'])
    expect(harness.letters().map(({ stage, record_key }) => [stage, record_key])).toEqual([
      ['mapping', null],
      ['mapping', 'acme:1/tags/b'],
    ])
    expect(harness.events('stream_finished').at(-1)).toMatchObject({
      state: 'SUCCEEDED',
      counts: [{ model: 'tags', observed: 2, failed: 2 }],
    })
  })
})

describe('a provider that is not ready', () => {
  it('is told once in ats.syncs, asked again slowly, and at once when it reports that its sync is finished', async () => {
    harness = new Harness(['acme:1'], ['tags', 'roles', 'users'])
    harness.source.script = unready()
    await harness.start()
    await until(() => harness.ingress.status()[0]?.isWaitingForProvider === true)
    await aWhile()
    const before = harness.source.fetched.length
    await harness.clock.advance(4000)
    await aWhile()
    expect(harness.source.fetched).toHaveLength(before)
    await harness.clock.advance(6000)
    await until(() => harness.source.fetched.length === before + 1)
    expect(harness.events('progress')).toMatchObject([{ state: 'PENDING', error_code: 'PROVIDER_NOT_READY' }])
    harness.source.script = ({ stream }) => [pageOf(stream, [])]
    await harness.post({ id: 's', type: 'synced', integration: 'acme:1' })
    await harness.settle()
    expect(harness.events('provider_sync_finished')).toMatchObject([{ state: 'SUCCEEDED' }])
    expect(harness.events('started')).toHaveLength(1)
    expect(harness.events('finished')).toMatchObject([{ state: 'SUCCEEDED' }])
  })
})

describe('integrations', () => {
  const unknown = async (): Promise<number> =>
    (await harness.metrics.webhooks.get()).values
      .filter(({ labels }) => labels.outcome === 'unknown_integration')
      .reduce((sum, { value }) => sum + value, 0)

  it('that are created at the provider get their first sync, and are remembered', async () => {
    await setUp(['acme:1'], ['tags'])
    await harness.post({ id: 'c', type: 'created', integration: 'join:2' })
    await harness.settle()
    expect(harness.events('integration_created')).toMatchObject([{ integration_id: 'join:2', state: 'ACTIVE' }])
    expect(harness.source.fetched.at(-1)).toMatchObject({ integrationId: 'join:2', updatedAfterMs: undefined })
    await harness.ingress.stop()
    await harness.start()
    await harness.settle()
    expect(harness.ingress.status().map(({ integrationId }) => integrationId)).toEqual(['acme:1', 'join:2'])
  })

  it('that show up in a genuine webhook for the first time are read from then on', async () => {
    await setUp(['acme:1'], ['tags'])
    await harness.post(changed('e', ['tags'], { integration: 'join:3' }))
    await harness.settle()
    expect(harness.events('integration_created')).toMatchObject([
      { integration_id: 'join:3', message: 'first seen in changed' },
    ])
    expect(harness.ingress.status().map(({ integrationId }) => integrationId)).toEqual(['acme:1', 'join:3'])
  })

  it('that the source does not accept are not read', async () => {
    harness = new Harness(['acme:1'], ['tags'])
    harness.source.acceptsNewIntegrations = false
    await harness.start()
    await harness.settle()
    const from = harness.source.fetched.length
    const run = { id: 'r1', stream: 'tags', isComplete: true }
    const webhooks = [
      changed('e1', ['tags'], { integration: 'join:3' }),
      { id: 'e2', type: 'records', integration: 'join:3', ids: ['a'] },
      { id: 'e3', type: 'run_over', integration: 'join:3', run, outcome: 'complete', events: 0 },
    ]
    for (const webhook of webhooks) expect((await harness.post(webhook)).statusCode).toBe(200)
    await harness.settle()
    expect(harness.source.fetched).toHaveLength(from)
    expect(harness.observed()).toEqual([])
    // Kept and counted: who configures the integration later finds what was sent.
    const kept = harness.raws().filter(({ kind }) => kind === 'webhook')
    expect(kept.map(({ integration_id: id }) => id)).toEqual(['join:3', 'join:3', 'join:3'])
    expect(await unknown()).toBe(3)
    expect(harness.letters()).toEqual([])
    expect(harness.ingress.status().map(({ integrationId }) => integrationId)).toEqual(['acme:1'])
  })

  it('with equal remote ids are kept apart: what one is sent or shows never touches the other', async () => {
    await setUp(['acme:1', 'zeta:1'], ['tags'])
    harness.source.script = ({ integrationId }) => [pageOf('tags', ['7'], { route: `GET /tags of ${integrationId}` })]
    await harness.post(changed('e1', ['tags'], { integration: 'acme:1' }))
    await harness.settle()
    expect(harness.source.fetched.slice(2).map(({ integrationId }) => integrationId)).toEqual(['acme:1'])
    expect(harness.observed().map(({ key }) => key)).toEqual(['acme:1/tags/7'])
    await harness.post({ id: 'e2', type: 'records', integration: 'zeta:1', ids: ['7'] })
    await harness.settle()
    expect(harness.observed().map(({ key }) => key)).toEqual(['acme:1/tags/7', 'zeta:1/tags/7'])
    await harness.post({ id: 'd', type: 'deleted', integration: 'acme:1' })
    await harness.settle()
    expect(harness.ingress.status().map(({ integrationId }) => integrationId)).toEqual(['zeta:1'])
  })

  it.each(['configured', 'announced'])('of one source are beyond the webhooks of another one (%s)', async (how) => {
    harness = new Harness(how === 'configured' ? ['acme:1'] : [], ['tags'])
    const other = new FakeSource(() => harness.clock.now(), ['zeta:1'], ['tags'])
    await harness.start([
      { name: 'main', connector: fakeConnector, source: harness.source },
      { name: 'other', connector: fakeConnector, source: other },
    ])
    if (how === 'announced') await harness.post({ id: 'c', type: 'created', integration: 'acme:1' })
    await harness.settle()
    const before = harness.events().length
    const send = (body: object) => harness.post({ integration: 'acme:1', ...body }, undefined, 'other')
    for (const type of ['changed', 'records', 'created', 'state_changed', 'synced', 'novel', 'deleted'])
      expect((await send({ id: type, type, streams: ['tags'], ids: ['7'] })).statusCode).toBe(200)
    await harness.settle()
    expect(other.fetched.map(({ integrationId }) => integrationId)).toEqual(['zeta:1'])
    expect(harness.source.fetched).toHaveLength(1)
    expect(harness.observed()).toEqual([])
    expect(harness.events()).toHaveLength(before)
    expect(await unknown()).toBe(7)
    const owners = harness.ingress.status().map(({ integrationId, source }) => [integrationId, source])
    expect(owners).toEqual([
      ['acme:1', 'main'],
      ['zeta:1', 'other'],
    ])
  })

  it('that are deleted are not fetched any more, also after a restart and by a late webhook', async () => {
    await setUp(['acme:1'], ['tags'])
    await harness.post({ id: 'd', type: 'deleted', integration: 'acme:1' })
    await harness.settle()
    await harness.post(changed('late', ['tags']))
    await harness.settle()
    expect(harness.ingress.status()).toEqual([])
    harness.kill()
    await harness.start()
    await harness.settle()
    expect(harness.source.fetched).toHaveLength(1)
    expect(harness.events('integration_deleted')).toHaveLength(1)
  })

  it('that are deleted while they are fetched are let go at once', async () => {
    await setUp(['acme:1'], ['tags'])
    harness.source.script = async function* ({ signal }: FetchOptions) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      signal.throwIfAborted()
      yield pageOf('tags', ['never'])
    }
    await harness.post(changed('e', ['tags']))
    await until(() => harness.source.fetched.length === 2)
    await harness.post({ id: 'd', type: 'deleted', integration: 'acme:1' })
    await harness.settle()
    expect(harness.observed()).toEqual([])
    expect(harness.events('finished').at(-1)).toMatchObject({ state: 'CANCELLED' })
  })
})

describe('commands', () => {
  it('run a full sync of one integration under the id of the command', async () => {
    await setUp(['acme:1', 'acme:2'], ['tags'])
    await harness.command('sync_full', 'acme:2', 'cmd-9')
    await until(() => harness.events('finished').some(({ sync_id }) => sync_id === 'cmd-9'))
    expect(harness.source.fetched.slice(2)).toMatchObject([{ integrationId: 'acme:2', updatedAfterMs: undefined }])
    expect(harness.events('started').filter(({ sync_id }) => sync_id === 'cmd-9')).toMatchObject([
      { kind: 'full', integration_id: 'acme:2', streams: ['tags'] },
    ])
  })

  it('run a delta sync of all integrations', async () => {
    await setUp(['acme:1', 'acme:2'], ['tags'])
    await harness.command('sync_delta', null)
    await until(() => harness.events('finished').filter(({ sync_id }) => sync_id === 'cmd-1').length === 2)
    expect(fetches(2)).toEqual([expect.stringContaining('tags since'), expect.stringContaining('tags since')])
  })

  it('do not keep a webhook waiting: what has changed is fetched beside a complete fetch of the same listing', async () => {
    await setUp(['acme:1'], ['tags'])
    const gate = Promise.withResolvers<void>()
    harness.source.script = async function* ({ updatedAfterMs }) {
      if (updatedAfterMs === undefined) await gate.promise
      yield pageOf('tags', updatedAfterMs === undefined ? ['old'] : ['new'])
    }
    await harness.command('sync_full', 'acme:1')
    await until(() => harness.source.fetched.length === 2)
    await harness.clock.advance(5000)
    await harness.post(changed('e', ['tags']))
    await until(() => harness.observed().some(({ key }) => key === 'acme:1/tags/new'))
    const hintedAt = harness.clock.now()
    expect(harness.observed().some(({ key }) => key === 'acme:1/tags/old')).toBe(false)
    gate.resolve()
    await harness.settle()
    // The complete fetch began before; its end takes nothing back.
    expect(harness.ingress.status()[0]?.streams[0]?.watermarkMs).toBe(hintedAt)
  })

  it('of a first sync do not keep webhooks waiting either, which say nothing about what was before', async () => {
    harness = new Harness(['acme:1'], ['tags'])
    const gate = Promise.withResolvers<void>()
    harness.source.script = async function* ({ updatedAfterMs }) {
      if (updatedAfterMs === undefined) await gate.promise
      yield pageOf('tags', updatedAfterMs === undefined ? ['old'] : ['new'])
    }
    await harness.start()
    await until(() => harness.source.fetched.length === 1)
    const firstAt = harness.clock.now()
    await harness.clock.advance(5000)
    await harness.post(changed('e', ['tags']))
    await until(() => harness.observed().some(({ key }) => key === 'acme:1/tags/new'))
    await until(() => harness.events('finished').length === 1)
    expect(harness.source.fetched[1]?.updatedAfterMs).toBe(firstAt)
    expect(harness.ingress.status()[0]).toMatchObject({
      health: { setup: 'SETUP_SYNC_PENDING' },
      streams: [{ watermarkMs: null }],
    })
    gate.resolve()
    await harness.settle()
    expect(harness.ingress.status()[0]).toMatchObject({
      health: { setup: 'READY' },
      streams: [{ watermarkMs: firstAt }],
    })
  })

  it('end a fetch that takes too long, as timed out, and begin it again', async () => {
    await setUp(['acme:1'], ['tags'])
    harness.source.script = async function* ({ signal }) {
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }),
      )
      yield pageOf('tags', [])
    }
    await harness.command('sync_full', 'acme:1')
    await until(() => harness.source.fetched.length === 2)
    await harness.clock.advance(12 * 3_600_000)
    await until(() => harness.events('finished').some(({ sync_id }) => sync_id === 'cmd-1'))
    expect(harness.events('finished').at(-1)).toMatchObject({ state: 'TIMED_OUT', error_code: 'SYNC_TIMED_OUT' })
    harness.source.script = () => [pageOf('tags', [])]
    await harness.clock.advance(60_000)
    await harness.settle()
    expect(harness.ingress.status()[0]?.streams[0]?.error).toBeNull()
  })

  it('give every command its own end, also when two ask for the same', async () => {
    await setUp(['acme:1'], ['tags'])
    const gate = Promise.withResolvers<void>()
    harness.source.script = async function* () {
      await gate.promise
      yield pageOf('tags', [])
    }
    await harness.post(changed('e', ['tags']))
    await until(() => harness.source.fetched.length === 2)
    await harness.command('sync_full', 'acme:1', 'cmd-a')
    await harness.command('sync_full', 'acme:1', 'cmd-b')
    await until(() => harness.events('started').some(({ sync_id }) => sync_id === 'cmd-b'))
    gate.resolve()
    await harness.settle()
    // The first sync, the hint, and the two that were asked for.
    expect(harness.source.fetched).toHaveLength(4)
    const ended = harness.events('finished').map(({ sync_id }) => sync_id)
    expect(ended.slice(-2).sort()).toEqual(['cmd-a', 'cmd-b'])
  })

  it('are set aside when their kind is unknown, and answered when nobody reads the integration', async () => {
    await setUp(['acme:1'], ['tags'])
    await harness.command('dance', 'acme:1', 'cmd-x')
    await harness.command('sync_full', 'nobody:1', 'cmd-y')
    await until(() => harness.events('finished').some(({ sync_id }) => sync_id === 'cmd-y'))
    await until(() => harness.letters().length === 1)
    expect(harness.letters()).toMatchObject([{ stage: 'command', code: 'REQUEST_INVALID', topic: 'ats.commands' }])
    expect(harness.events('finished').at(-1)).toMatchObject({ state: 'FAILED', error_code: 'CONFIG_INVALID' })
  })

  it('that were cut short are begun again by the next process', async () => {
    await setUp(['acme:1'], ['tags'])
    harness.source.script = async function* ({ signal }: FetchOptions) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      signal.throwIfAborted()
      yield pageOf('tags', [])
    }
    await harness.command('sync_full', 'acme:1', 'cmd-r')
    await until(() => harness.source.fetched.length === 2)
    await harness.ingress.stop()
    expect(harness.events('finished').at(-1)).toMatchObject({ sync_id: 'cmd-r', state: 'CANCELLED' })
    harness.source.script = () => [pageOf('tags', ['a'])]
    await harness.start()
    await until(() => harness.events('finished').at(-1)?.state === 'SUCCEEDED' && harness.isQuiet())
    expect(
      harness
        .events('finished')
        .filter(({ sync_id }) => sync_id === 'cmd-r')
        .at(-1),
    ).toMatchObject({
      state: 'SUCCEEDED',
    })
  })
})

describe('a restart', () => {
  it('after a kill ends the runs that were left open, but for those whose command is still to be done', async () => {
    await setUp(['acme:1'], ['tags'])
    harness.source.script = async function* ({ signal }: FetchOptions) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      signal.throwIfAborted()
      yield pageOf('tags', [])
    }
    await harness.post(changed('e1', ['tags']))
    await harness.command('sync_full', 'acme:1', 'cmd-r')
    await until(() => harness.events('started').some(({ sync_id }) => sync_id === 'cmd-r'))
    await aWhile()
    const finishedBefore = new Set(harness.events('finished').map(({ sync_id }) => sync_id))
    const open = harness.events('started').filter(({ sync_id }) => !finishedBefore.has(sync_id))
    expect(open.length).toBeGreaterThan(1)
    harness.kill()
    harness.source.script = ({ stream }) => [pageOf(stream, ['x'])]
    await harness.start()
    await until(() => harness.isQuiet() && harness.events('finished').some(({ sync_id }) => sync_id === 'cmd-r'))
    for (const { sync_id } of open) {
      const ends = harness.events('finished').filter((event) => event.sync_id === sync_id)
      expect(ends.map(({ state }) => state)).toEqual([sync_id === 'cmd-r' ? 'SUCCEEDED' : 'CANCELLED'])
    }
  })

  it('whose webhooks retention has removed is refused, and says what to do', async () => {
    await setUp(['acme:1'], ['tags'])
    await harness.post(changed('e1', ['tags']))
    await harness.settle()
    await harness.ingress.stop()
    const { log } = harness.log.connect()
    const [partition, position] = [...harness.log.committed('ingress', 'ats.raw')][0] as [number, number]
    await log.commitPositions('ingress', 'ats.raw', new Map([[partition, position + 100]]))
    await expect(harness.start()).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      message: expect.stringContaining('tidemark replay --from earliest --group ingress --topic ats.raw'),
    })
    await log.commitPositions('ingress', 'ats.raw', new Map([[partition, position]]))
    await harness.start()
  })

  it('after a kill reads webhooks again whose fetch had not ended, and loses no hint', async () => {
    await setUp(['acme:1'], ['tags', 'roles'])
    harness.source.script = unready('PROVIDER_UNAVAILABLE')
    await harness.post(changed('e1', ['tags']))
    await until(() => harness.source.fetched.length === 3)
    await harness.post(changed('e2', ['roles']))
    await until(() => harness.source.fetched.length === 4)
    await aWhile()
    harness.kill()
    const reached = harness.source.fetched.length
    harness.source.script = ({ stream }) => [pageOf(stream, ['x'])]
    harness.state = new MemoryStateStore()
    await harness.start()
    await harness.settle()
    const again = harness.source.fetched.slice(reached).map(({ stream }) => stream)
    expect(again).toContain('tags')
    expect(again).toContain('roles')
    const causes = harness
      .observed()
      .map(({ value }) => value.kind === 'observation' && value.observation.cause.event_id)
    expect(causes).toEqual(expect.arrayContaining(['e1', 'e2']))
  })

  it('never commits past a webhook whose fetch has not ended, whatever comes behind it', async () => {
    await setUp(['acme:1'], ['tags', 'roles'])
    const { partition, offset: last } = harness.raws().at(-1) ?? { partition: 0, offset: 0 }
    harness.source.script = (options) =>
      options.stream === 'tags' ? unready('PROVIDER_UNAVAILABLE')() : [pageOf('roles', [])]
    await harness.post(changed('e1', ['tags']))
    for (let i = 2; i < 6; i++) await harness.post(changed(`e${i}`, ['roles']))
    await until(() => harness.raws().length > last + 6)
    await aWhile()
    expect(harness.log.committed('ingress', 'ats.raw').get(partition)).toBe(last + 1)
    harness.source.script = ({ stream }) => [pageOf(stream, [])]
    await harness.clock.advance(1000)
    await harness.settle()
    expect(harness.log.committed('ingress', 'ats.raw').get(partition)).toBeGreaterThan(last + 5)
  })

  it('recognizes a webhook repeated after it', async () => {
    await setUp(['acme:1'], ['tags'])
    await harness.post(changed('e1', ['tags']))
    await harness.settle()
    harness.kill()
    await harness.start()
    await harness.settle()
    const before = harness.source.fetched.length
    await harness.post(changed('e1', ['tags']))
    await harness.settle()
    await aWhile()
    expect(harness.source.fetched).toHaveLength(before)
  })

  it('writes no second dead letter for a webhook that spent hours in the spool', async () => {
    await setUp(['acme:1'], ['tags'])
    harness.source.script = unready('PROVIDER_UNAVAILABLE')
    await harness.post(changed('held', ['tags']))
    await until(() => harness.source.fetched.length === 2)
    const now = harness.clock.now()
    const kept = { source: 'main', integration_id: 'acme:1', route: '/webhooks/main', headers: {} }
    const raw = webhookRaw({ ...kept, received_at: now - 3 * 3_600_000 }, Buffer.from('no json'))
    await harness.log.connect().log.append([rawRecord(codec, raw, PARTITIONS, now)])
    await until(() => harness.letters().length === 1)
    harness.kill()
    await harness.start()
    await until(() => harness.source.fetched.length >= 3)
    await aWhile()
    expect(harness.letters()).toHaveLength(1)
  })

  it('writes neither a dead letter nor a lifecycle event a second time for a webhook read again', async () => {
    await setUp(['acme:1'], ['tags'])
    harness.source.script = unready('PROVIDER_UNAVAILABLE')
    await harness.post(changed('held', ['tags']))
    await until(() => harness.source.fetched.length === 2)
    await harness.post({ id: 's', type: 'synced', integration: 'acme:1' })
    await harness.post({ id: 'n', type: 'novel', integration: 'acme:1' })
    await harness.post({ id: 'c', type: 'created', integration: 'acme:1' })
    // The same partition as the held webhook, so that it is read again with it.
    await harness.post('{"integration":"acme:1","type":')
    await until(() => harness.letters().length === 1 && harness.events('integration_created').length === 1)
    harness.kill()
    await harness.start()
    await aWhile()
    expect(harness.letters()).toHaveLength(1)
    for (const event of ['provider_sync_finished', 'provider_event', 'integration_created'])
      expect(harness.events(event)).toHaveLength(1)
  })

  it('fetches from the watermarks on, rebuilt from ats.syncs when the cache is new', async () => {
    await setUp(['acme:1'], ['tags'])
    const first = harness.clock.now()
    await harness.clock.advance(60_000)
    harness.kill()
    harness.state = new MemoryStateStore()
    await harness.start()
    await harness.settle()
    expect(fetches(1)).toEqual([`tags since ${first}`])
    expect(harness.state.position).toBeGreaterThan(0)
  })

  it('rebuilds a cache that belongs to another log', async () => {
    await setUp(['acme:1'], ['tags'])
    const cache = harness.state
    await harness.close()
    harness = new Harness(['acme:1'], ['tags'])
    harness.state = cache
    await harness.start()
    await harness.settle()
    expect(fetches()).toEqual(['tags'])
  })

  it('fetches a stream that is new to the source completely and the others from their watermarks', async () => {
    await setUp(['acme:1'], ['tags'])
    const first = harness.clock.now()
    harness.kill()
    harness.source = new FakeSource(() => harness.clock.now(), ['acme:1'], ['tags', 'roles'])
    await harness.start()
    await harness.settle()
    expect(fetches().sort()).toEqual(['roles', `tags since ${first}`])
  })
})

describe('stopping', () => {
  it('resolves when the last unit of work has ended, and writes runs in flight as cancelled', async () => {
    await setUp(['acme:1'], ['tags'])
    harness.source.script = async function* ({ signal }: FetchOptions) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      signal.throwIfAborted()
      yield pageOf('tags', ['never'])
    }
    await harness.post(changed('e1', ['tags']))
    await until(() => harness.source.fetched.length === 2)
    await harness.ingress.stop()
    expect(harness.events('finished').at(-1)).toMatchObject({ state: 'CANCELLED' })
    const written = harness.raws().length + harness.events().length
    await aWhile()
    expect(harness.raws().length + harness.events().length).toBe(written)
    await expect(harness.ingress.done).resolves.toBeUndefined()
    harness.source.script = ({ stream }) => [pageOf(stream, [])]
    await harness.start()
    await harness.settle()
    expect(harness.source.fetched.length).toBeGreaterThan(2)
  })

  it('is refused no longer than a closed log: the service reports that it cannot go on', async () => {
    await setUp()
    harness.kill()
    await expect(harness.ingress.done).rejects.toMatchObject({ code: 'LOG_CLOSED' })
  })
})

it('survives kills at random moments without losing a hint', async () => {
  const random = seededRandom(42)
  harness = new Harness(['acme:1', 'acme:2'], ['tags', 'roles'])
  const provider = new Map<string, { readonly id: string; readonly atMs: number }[]>()
  const rows = (key: string) => provider.get(key) ?? provider.set(key, []).get(key) ?? []
  harness.source.script = function* ({ integrationId, stream, updatedAfterMs = 0 }) {
    if (random.chance(0.2)) throw new TidemarkError('PROVIDER_UNAVAILABLE', 'scripted')
    const changedRows = rows(`${integrationId} ${stream}`).filter(({ atMs }) => atMs >= updatedAfterMs)
    const ids = changedRows.map(({ id }) => id)
    yield pageOf(stream, ids.slice(0, 2))
    if (random.chance(0.2)) throw new TidemarkError('PROVIDER_UNAVAILABLE', 'scripted')
    if (ids.length > 2) yield pageOf(stream, ids.slice(2))
  }
  let acknowledged = 0
  for (let round = 0; round < 12; round++) {
    if (round % 4 === 0) harness.state = new MemoryStateStore()
    await harness.start()
    for (let n = 0; n < 6; n++) {
      await harness.clock.advance(random.int(3) * 700)
      const [integration, stream] = [random.pick(['acme:1', 'acme:2']), random.pick(['tags', 'roles'])]
      const id = `r${round}n${n}`
      rows(`${integration} ${stream}`).push({ id, atMs: harness.clock.now() })
      const response = await harness.post({ id, type: 'changed', integration, streams: [stream] })
      if (response.statusCode === 200) acknowledged++
      if (random.chance(0.5)) await aWhile()
    }
    harness.kill()
  }
  expect(acknowledged).toBe(72)
  await harness.start()
  for (let i = 0; i < 40 && !(harness.isQuiet() && harness.isRead()); i++) {
    await aWhile()
    await harness.clock.advance(300_000)
  }
  await harness.settle()
  const seen = new Set(harness.observed().map(({ key }) => key))
  for (const [key, all] of provider) {
    const [integration, stream] = key.split(' ')
    for (const { id } of all) expect(seen).toContain(`${integration}/${stream}/${id}`)
  }
})

it('reads several sources side by side', async () => {
  harness = new Harness(['acme:1'], ['tags'])
  const other = new FakeSource(() => harness.clock.now(), ['zeta:1'], ['roles'])
  await harness.start([
    { name: 'main', connector: fakeConnector, source: harness.source },
    { name: 'other', connector: fakeConnector, source: other },
  ])
  await harness.settle()
  await harness.post({ id: 'e', type: 'changed', integration: 'zeta:1', streams: ['roles'] }, undefined, 'other')
  await harness.settle()
  expect(other.fetched).toHaveLength(2)
  expect(harness.source.fetched).toHaveLength(1)
  expect(harness.ingress.status().map(({ source }) => source)).toEqual(['main', 'other'])
})

describe('the setup of an integration', () => {
  const notReady = (code: string) => (): Iterable<Page> => {
    throw new TidemarkError('PROVIDER_NOT_READY', 'scripted', { fields: { provider_code: code } })
  }

  it.each([
    ['INTEGRATION.SETUP_SYNC_PENDING', 'SETUP_SYNC_PENDING'],
    ['INTEGRATION.SETUP_INCOMPLETE', 'SETUP_INCOMPLETE'],
    ['INTEGRATION.QA_FAILED', 'QA_FAILED'],
  ])('is told by the code with which the provider refuses (%s), until the first sync is done', async (code, setup) => {
    harness = new Harness(['acme:1'], ['tags'])
    harness.source.script = notReady(code)
    await harness.start()
    await until(() => harness.events('progress').length > 0)
    expect(harness.ingress.status()[0]?.health.setup).toBe(setup)
    harness.source.script = () => [pageOf('tags', [])]
    await harness.clock.advance(60_000)
    await harness.settle()
    expect(harness.ingress.status()[0]?.health.setup).toBe('READY')
    harness.source.script = notReady(code)
    await harness.post(changed('e', ['tags']))
    await until(() => harness.events('progress').length > 1)
    // Its data stays readable whatever fails later.
    expect(harness.ingress.status()[0]?.health.setup).toBe('READY')
  })
})
