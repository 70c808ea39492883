import { TidemarkError } from '@tidemark/base'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { pageOf } from '../test/fakeSource.ts'
import { Harness, until } from '../test/harness.ts'
import { dueOf, FULL_MAX_MS, type Schedule } from './schedule.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

describe('when a listing is due', () => {
  const stream = { source: 'main', integrationId: 'acme:1', stream: 'tags', models: ['tags'] }

  it('is not decided before its first complete fetch', () => {
    const never = { ...stream, watermarkMs: null, lastFullMs: null, lastEndedMs: null }
    expect(dueOf({ deltaMs: 1, fullMs: 1 }, never)).toBeNull()
  })

  it('completely is never later than a week after the last time, and up to a tenth earlier', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 60_000, max: 30 * DAY }), (integrationId, fullMs) => {
        const due = dueOf(
          { deltaMs: HOUR, fullMs },
          { ...stream, integrationId, watermarkMs: 5, lastFullMs: 1000, lastEndedMs: 5 },
        )
        const wanted = Math.min(fullMs, FULL_MAX_MS)
        expect(due?.fullAtMs).toBeLessThanOrEqual(1000 + wanted)
        expect(due?.fullAtMs).toBeGreaterThanOrEqual(1000 + Math.floor(wanted * 0.9))
      }),
    )
  })

  it('goes by the shortest time that is given for the listing or one of its models', () => {
    const schedule: Schedule = { deltaMs: HOUR, fullMs: DAY, of: { tags: { deltaMs: 1000 }, roles: { deltaMs: 10 } } }
    const at = { ...stream, watermarkMs: 500, lastFullMs: 0, lastEndedMs: null }
    expect(dueOf(schedule, at)?.deltaAtMs).toBe(1500)
    expect(dueOf(schedule, { ...at, stream: 'all', models: ['tags', 'roles'] })?.deltaAtMs).toBe(510)
    expect(dueOf(schedule, { ...at, stream: 'jobs', models: ['jobs'] })?.deltaAtMs).toBe(500 + HOUR)
  })
})

describe('the timetable', () => {
  let harness: Harness
  afterEach(() => harness.close())

  async function setUp(): Promise<void> {
    harness = new Harness(['acme:1'], ['tags', 'roles'])
    await harness.start()
    await harness.settle()
    harness.source.fetched.length = 0
  }

  /** Moves the clock and waits for what that began. */
  async function advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 30_000) await harness.clock.advance(Math.min(left, 30_000))
    await harness.settle()
  }

  it('fetches what has changed every hour, in one run, and everything once a week, each listing in a run of its own', async () => {
    await setUp()
    await advance(HOUR + 60_000)
    expect(harness.source.fetched.map(({ stream, updatedAfterMs }) => [stream, updatedAfterMs !== undefined])).toEqual([
      ['tags', true],
      ['roles', true],
    ])
    const started = harness.events('started').at(-1)
    expect(started).toMatchObject({ reason: 'schedule', kind: 'delta', streams: ['tags', 'roles'] })
    await advance(7 * DAY)
    const full = harness.events('started').filter(({ kind, reason }) => kind === 'full' && reason === 'schedule')
    expect(full.map(({ streams }) => streams)).toEqual(expect.arrayContaining([['tags'], ['roles']]))
    // What lost webhooks would have cost shows as changes with this cause; what the feed still owed was fetched just before.
    const fulls = harness.source.fetched.filter(({ updatedAfterMs }) => updatedAfterMs === undefined)
    expect(fulls).toHaveLength(2)
    for (const { stream, atMs } of fulls) {
      const before = harness.source.fetched.filter(
        (f) => f.stream === stream && f.updatedAfterMs !== undefined && f.atMs <= atMs,
      )
      expect(atMs - (before.at(-1)?.atMs ?? 0)).toBeLessThanOrEqual(120_000)
    }
  })

  it('marks what a scheduled full pass observes as reconciliation, and what is asked for as a full sync', async () => {
    await setUp()
    harness.source.script = ({ stream }) => [pageOf(stream, ['a'])]
    await harness.command('sync_full', 'acme:1')
    await until(() => harness.events('finished').some(({ sync_id }) => sync_id === 'cmd-1'))
    await advance(7 * DAY)
    const kinds = harness
      .observed()
      .map(({ value }) => (value.kind === 'observation' ? value.observation.cause.kind : ''))
    expect(new Set(kinds)).toEqual(new Set(['full_sync', 'delta_sync', 'reconcile']))
  })

  it('stops after three days of refused credentials, says so, and goes on when they are accepted again', async () => {
    await setUp()
    harness.source.script = () => {
      throw new TidemarkError('PROVIDER_AUTHENTICATION', 'no longer welcome')
    }
    await advanceRoughly(harness, 2 * HOUR)
    await until(() => harness.ingress.status()[0]?.health.refusedSinceMs !== null)
    expect(harness.ingress.status()[0]?.health).toMatchObject({ setup: 'READY', connection: 'ACTIVE' })
    for (let hours = 0; hours < 96 && harness.events('schedule_stopped').length === 0; hours++)
      await advanceRoughly(harness, HOUR)
    await until(() => harness.events('schedule_stopped').length > 0)
    await harness.settle()
    expect(harness.events('schedule_stopped')).toHaveLength(1)
    expect(harness.ingress.status()[0]?.health).toMatchObject({ connection: 'INVALID' })
    expect(harness.ingress.status()[0]?.health.stoppedBecause).toContain('tidemark sync')
    const stoppedAt = harness.source.fetched.length
    await advance(3 * HOUR)
    expect(harness.source.fetched).toHaveLength(stoppedAt)
    harness.source.script = ({ stream }) => [pageOf(stream, [])]
    await harness.command('sync_delta', 'acme:1', 'cmd-9')
    await until(() => harness.events('schedule_resumed').length > 0)
    expect(harness.ingress.status()[0]?.health).toMatchObject({ connection: 'ACTIVE', stoppedBecause: null })
  })
})

/** In larger steps: retries in between are few. */
async function advanceRoughly(harness: Harness, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 600_000) await harness.clock.advance(Math.min(left, 600_000))
}
