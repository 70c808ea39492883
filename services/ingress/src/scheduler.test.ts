import { type ErrorCode, seededRandom, TidemarkError } from '@tidemark/base'
import { ManualClock } from '@tidemark/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Scheduler, type StreamId } from './scheduler.ts'

interface Wanted {
  readonly full: boolean
  readonly hinted: boolean
  readonly names: readonly string[]
}

interface Fetch {
  readonly key: string
  readonly request: Wanted
  readonly atMs: number
  end(): Promise<void>
  fail(code: ErrorCode): Promise<void>
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function setUp(concurrency = 2) {
  const clock = new ManualClock(0)
  const running: Fetch[] = []
  const begun: string[] = []
  const cancelled: string[] = []
  const scheduler = new Scheduler<Wanted>({
    clock,
    random: seededRandom(3),
    concurrency,
    merge: (a, b) => ({ full: a.full || b.full, hinted: a.hinted || b.hinted, names: [...a.names, ...b.names] }),
    failed: (_id, request) => request,
    cancelled: (_id, request) => cancelled.push(...request.names),
    execute: (id, request, signal) =>
      new Promise((resolve, reject) => {
        const key = `${id.integrationId}/${id.stream}`
        begun.push(`${key}: ${request.names.join(' ')}`)
        const remove = (): void => {
          running.splice(running.indexOf(fetch), 1)
        }
        const fetch: Fetch = {
          key,
          request,
          atMs: clock.now(),
          end: () => {
            remove()
            resolve()
            return turn()
          },
          fail: (code) => {
            remove()
            reject(new TidemarkError(code, 'scripted'))
            return turn()
          },
        }
        running.push(fetch)
        signal.addEventListener('abort', () => {
          remove()
          reject(new Error('aborted'))
        })
      }),
  })
  const id = (stream: string, integrationId = 'i', source = 's'): StreamId => ({ source, integrationId, stream })
  const hint = (name: string): Wanted => ({ full: false, hinted: true, names: [name] })
  const delta = (name: string): Wanted => ({ full: false, hinted: false, names: [name] })
  const full = (name: string): Wanted => ({ full: true, hinted: false, names: [name] })
  const only = (): Fetch => {
    if (running.length !== 1) throw new Error(`${running.length} fetches are in flight`)
    return running[0] as Fetch
  }
  return { clock, running, begun, cancelled, scheduler, id, hint, delta, full, only }
}

describe('one stream', () => {
  it('is fetched once at a time; hints that come meanwhile cause exactly one more fetch', async () => {
    const { scheduler, id, hint, only, begun, running } = setUp()
    scheduler.submit(id('jobs'), hint('a'))
    scheduler.submit(id('jobs'), hint('b'))
    scheduler.submit(id('jobs'), hint('c'))
    expect(running).toHaveLength(1)
    await only().end()
    expect(begun).toEqual(['i/jobs: a', 'i/jobs: b c'])
    await only().end()
    expect(running).toEqual([])
    expect(scheduler.view(id('jobs'))?.state).toBe('idle')
  })

  it('is tried again after a failure, later each time, together with the hints that came meanwhile', async () => {
    const { scheduler, id, hint, only, clock, begun, running } = setUp()
    scheduler.submit(id('jobs'), hint('a'))
    await only().fail('PROVIDER_UNAVAILABLE')
    expect(scheduler.view(id('jobs'))).toMatchObject({ state: 'waiting', error: { code: 'PROVIDER_UNAVAILABLE' } })
    scheduler.submit(id('jobs'), hint('b'))
    expect(running).toEqual([])
    await clock.advance(1000)
    expect(begun).toEqual(['i/jobs: a', 'i/jobs: a b'])
    await only().fail('PROVIDER_UNAVAILABLE')
    await clock.advance(999)
    expect(running).toEqual([])
    await clock.advance(1001)
    await only().end()
    expect(scheduler.view(id('jobs'))).toMatchObject({ state: 'idle', error: null, nextAttemptAtMs: null })
  })

  it('waits at least half a minute when somebody has to act', async () => {
    const { scheduler, id, delta, only, clock, running } = setUp()
    scheduler.submit(id('jobs'), delta('a'))
    await only().fail('PROVIDER_AUTHENTICATION')
    await clock.advance(29_999)
    expect(running).toEqual([])
    await clock.advance(30_001)
    expect(running).toHaveLength(1)
  })
})

describe('lanes', () => {
  it('run at most the given number of fetches per source', async () => {
    const { scheduler, id, delta, running } = setUp(2)
    for (const stream of ['a', 'b', 'c']) scheduler.submit(id(stream), delta(stream))
    scheduler.submit(id('a', 'j', 'other'), delta('x'))
    expect(running.map(({ key }) => key)).toEqual(['i/a', 'i/b', 'j/a'])
    await running[0]?.end()
    expect(running.map(({ key }) => key)).toEqual(['i/b', 'j/a', 'i/c'])
  })

  it('let hints overtake deltas and full fetches, and keep a slot free of full ones', async () => {
    const { scheduler, id, hint, delta, full, running } = setUp(2)
    for (const stream of ['f1', 'f2']) scheduler.submit(id(stream), full(stream))
    expect(running.map(({ key }) => key)).toEqual(['i/f1'])
    scheduler.submit(id('d1'), delta('d1'))
    scheduler.submit(id('d2'), delta('d2'))
    scheduler.submit(id('h'), hint('h'))
    await running[1]?.end()
    expect(running.map(({ key }) => key)).toEqual(['i/f1', 'i/h'])
    await running[1]?.end()
    expect(running.map(({ key }) => key)).toEqual(['i/f1', 'i/d2'])
  })

  it('give the next slot to the integration with the fewest fetches in flight, however many another one waits with', async () => {
    const { scheduler, id, full, running } = setUp(3)
    for (const stream of ['a', 'b', 'c', 'd']) scheduler.submit(id(stream, 'large'), full(stream))
    scheduler.submit(id('a', 'small'), full('x'))
    expect(running.map(({ key }) => key)).toEqual(['large/a', 'large/b'])
    await running[0]?.end()
    expect(running.map(({ key }) => key)).toEqual(['large/b', 'small/a'])
    await running[1]?.end()
    expect(running.map(({ key }) => key)).toEqual(['large/b', 'large/c'])
  })

  it('let what has changed be fetched beside a complete fetch of the same stream', async () => {
    const { scheduler, id, hint, full, running } = setUp(2)
    scheduler.submit(id('a'), full('f'))
    scheduler.submit(id('a'), hint('h'))
    scheduler.submit(id('a'), hint('h2'))
    expect(running.map(({ request }) => request.names)).toEqual([['f'], ['h']])
    expect(scheduler.fullStartedAtMs(id('a'))).toBe(0)
    expect(scheduler.view(id('a'))?.state).toBe('running')
    await running[1]?.end()
    expect(running.map(({ request }) => request.names)).toEqual([['f'], ['h2']])
  })

  it('still run full fetches when there is only one slot', () => {
    const { scheduler, id, full, running } = setUp(1)
    scheduler.submit(id('f'), full('f'))
    expect(running).toHaveLength(1)
  })
})

describe('an integration that is not ready', () => {
  it('is probed by one stream, slower each time, and all others wait', async () => {
    const { scheduler, id, full, running, clock, begun } = setUp(3)
    for (const stream of ['a', 'b', 'c']) scheduler.submit(id(stream), full(stream))
    for (const fetch of [...running]) await fetch.fail('PROVIDER_NOT_READY')
    expect(running).toEqual([])
    expect(scheduler.isGated('i')).toBe(true)
    begun.length = 0
    for (const waitMs of [10_000, 20_000, 40_000, 60_000]) {
      await clock.advance(waitMs / 2 - 1)
      expect(running).toEqual([])
      await clock.advance(waitMs / 2 + 1)
      expect(running).toHaveLength(1)
      await running[0]?.fail('PROVIDER_NOT_READY')
    }
    expect(begun).toHaveLength(4)
  })

  it('opens for all streams with the first answer', async () => {
    const { scheduler, id, full, running, clock } = setUp(4)
    for (const stream of ['a', 'b', 'c']) scheduler.submit(id(stream), full(stream))
    for (const fetch of [...running]) await fetch.fail('PROVIDER_NOT_READY')
    await clock.advance(10_000)
    await running[0]?.end()
    expect(scheduler.isGated('i')).toBe(false)
    expect(running).toHaveLength(2)
  })

  it('is asked at once when a webhook comes, also when the webhook comes while a probe is in flight', async () => {
    const { scheduler, id, full, only, running, clock } = setUp()
    scheduler.submit(id('a'), full('a'))
    await only().fail('PROVIDER_NOT_READY')
    expect(running).toEqual([])
    scheduler.wake('i')
    expect(running).toHaveLength(1)
    scheduler.wake('i')
    await only().fail('PROVIDER_NOT_READY')
    expect(running).toHaveLength(1)
    await only().fail('PROVIDER_NOT_READY')
    expect(running).toEqual([])
    await clock.advance(20_000)
    expect(running).toHaveLength(1)
  })

  it('does not hold up other integrations', async () => {
    const { scheduler, id, full, only, running } = setUp()
    scheduler.submit(id('a', 'i'), full('a'))
    await only().fail('PROVIDER_NOT_READY')
    scheduler.submit(id('a', 'j'), full('a'))
    expect(running.map(({ key }) => key)).toEqual(['j/a'])
  })
})

describe('the end', () => {
  it('of an integration aborts its fetches and drops its requests', async () => {
    const { scheduler, id, hint, cancelled, running } = setUp(1)
    scheduler.submit(id('a'), hint('a1'))
    scheduler.submit(id('a'), hint('a2'))
    scheduler.submit(id('b'), hint('b'))
    scheduler.submit(id('a', 'j'), hint('j'))
    await scheduler.remove('i')
    expect(cancelled.sort()).toEqual(['a1', 'a2', 'b'])
    expect(running.map(({ key }) => key)).toEqual(['j/a'])
    expect([...scheduler.outstanding()]).toHaveLength(1)
  })

  it('of the scheduler resolves when nothing is in flight, and refuses what comes later', async () => {
    const { scheduler, id, hint, cancelled, running } = setUp(1)
    scheduler.submit(id('a'), hint('a'))
    scheduler.submit(id('b'), hint('b'))
    await scheduler.stop()
    expect(running).toEqual([])
    scheduler.submit(id('c'), hint('c'))
    expect(cancelled.sort()).toEqual(['a', 'b', 'c'])
    expect([...scheduler.outstanding()]).toEqual([])
  })
})

it('serves every request by a fetch that begins after it, whatever fails in between', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('submit' as const), stream: fc.constantFrom('a', 'b', 'c'), full: fc.boolean() }),
    fc.record({ do: fc.constant('end' as const), pick: fc.nat(5) }),
    fc.record({
      do: fc.constant('fail' as const),
      pick: fc.nat(5),
      code: fc.constantFrom<ErrorCode>('PROVIDER_UNAVAILABLE', 'PROVIDER_NOT_READY', 'PROVIDER_REFUSED'),
    }),
    fc.record({ do: fc.constant('wake' as const) }),
    fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(500, 5000, 50_000) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { scheduler, id, running, clock, begun } = setUp(2)
      const submitted: { readonly name: string; readonly begunBefore: number }[] = []
      const served = new Map<string, number>()
      for (const [n, one] of steps.entries()) {
        if (one.do === 'submit') {
          const name = `${one.stream}${n}`
          submitted.push({ name, begunBefore: begun.length })
          scheduler.submit(id(one.stream), { full: one.full, hinted: !one.full, names: [name] })
        } else if (one.do === 'advance') await clock.advance(one.ms)
        else if (one.do === 'wake') scheduler.wake('i')
        else {
          const fetch = running[one.pick % Math.max(1, running.length)]
          if (one.do === 'end') for (const name of fetch?.request.names ?? []) served.set(name, n)
          await (one.do === 'end' ? fetch?.end() : fetch?.fail(one.code))
        }
        expect(running.length).toBeLessThanOrEqual(2)
        // A complete fetch and one of what has changed go on beside each other.
        expect(new Set(running.map(({ key, request }) => `${key} ${request.full}`)).size).toBe(running.length)
      }
      for (let rounds = 0; rounds < 50 && [...scheduler.outstanding()].length > 0; rounds++) {
        for (const fetch of [...running]) {
          for (const name of fetch.request.names) served.set(name, -1)
          await fetch.end()
        }
        await clock.advance(1_000_000)
      }
      for (const { name, begunBefore } of submitted) {
        expect(served.has(name)).toBe(true)
        expect(begun.findIndex((entry) => entry.split(' ').includes(name))).toBeGreaterThanOrEqual(begunBefore)
      }
      await scheduler.stop()
    }),
    { numRuns: 150 },
  )
})
