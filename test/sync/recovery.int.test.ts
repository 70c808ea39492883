import { seededRandom, systemClock } from '@tidemark/base'
import { partitionOf } from '@tidemark/model'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Row } from './company.ts'
import { failure } from './faults.ts'
import { Scene } from './scene.ts'
import { PARTITIONS } from './stage.ts'
import { syncFull } from './syncs.ts'

const DAY_MS = 86_400_000
const random = seededRandom(1)

let scene: Scene
beforeAll(async () => {
  const integrations = ['sim:refused', 'sim:other', 'sim:shared', 'sim:killed', 'sim:away']
  const records = { jobs: 30, candidates: 30, applications: 30, tags: 30 }
  scene = await Scene.open({ integrations, records, concurrency: 1 })
}, 120_000)
afterEach(() => {
  scene.world.provider.script = async () => undefined
  for (const conditions of scene.world.conditions.values()) conditions.clear()
})
afterAll(() => scene.close())

/** Resolves when ingress has taken the command on. */
async function begun(syncId: string): Promise<void> {
  while (!scene.ledger.events.some((event) => event.event === 'started' && event.sync_id === syncId)) {
    await systemClock.sleep(1)
    await scene.ledger.refresh()
  }
}

/** Resolves when a run has ended so many times. */
async function ended(syncId: string, times: number): Promise<void> {
  while (scene.ledger.outcomesOf('sim:killed', syncId).length < times) {
    await systemClock.sleep(1)
    await scene.ledger.refresh()
  }
}

describe('what is gone is found', () => {
  it('in one integration while another one refuses to be asked about its suspects', async () => {
    const [refused, other] = [scene.company('sim:refused'), scene.company('sim:other')]
    for (const company of [refused, other]) company.remove(company.alive('candidates')[0]!)
    scene.world.provider.script = async ({ company, page }) => {
      if (company === refused && page === null) throw failure('PROVIDER_AUTHENTICATION')
    }
    for (const company of [refused, other]) expect((await scene.sync(company)).state).toBe('SUCCEEDED')
    expect(scene.deletions(other)).toHaveLength(1)
    expect(scene.deletions(refused)).toHaveLength(0)
    scene.world.provider.script = async () => undefined
    await scene.stage.pass(10 * 60_000)
    await scene.settle()
    expect(scene.deletions(refused)).toHaveLength(1)
  })

  it('by a run that ended well, of a listing that it shared with one that failed in part', async () => {
    const company = scene.company('sim:shared')
    company.remove(company.alive('tags')[0]!)
    let second: Promise<string> | undefined
    scene.world.provider.script = async ({ stream, page }) => {
      if (stream !== 'jobs' || page !== 1 || second !== undefined) return
      // While the first run fetches jobs, another one is asked for; then the first one's jobs fail. The listings that wait are of both.
      second = scene.stage.command('sync_full', company.integration)
      await begun(await second)
      throw failure('PROVIDER_UNAVAILABLE')
    }
    expect((await syncFull(scene.stage, scene.ledger, company)).state).toBe('PARTIALLY_FAILED')
    await scene.stage.pass(60_000)
    await scene.settle()
    expect(scene.ledger.outcomesOf(company.integration, (await second) ?? '')).toEqual(['SUCCEEDED'])
    expect(scene.deletions(company)).toHaveLength(1)
  })

  it('after a killed process and a late processor, and then nothing is left to be done', async () => {
    const company = scene.company('sim:killed')
    company.remove(company.alive('tags')[0]!)
    // Most of what there is lies in one partition, which then answers last.
    const partition = (row: Row): number => partitionOf(company.keyOf(row), PARTITIONS)
    for (let n = 0; n < 200; n++) company.create('tags', random)
    for (const row of company.alive('tags').slice(30)) if (partition(row) !== 1) company.remove(row)
    await scene.stage.stopProcessor()
    const syncId = await scene.stage.command('sync_full', company.integration)
    await ended(syncId, 1)
    scene.stage.kill()
    await scene.stage.start()
    await ended(syncId, 2)
    scene.stage.startProcessor({ fetchMax: 3 })
    await scene.settle()
    expect(scene.deletions(company)).toHaveLength(1)
    await scene.stage.done()
  })

  it('where records cannot be asked for, also when the log does not reach back to the run before any more', async () => {
    const company = scene.company('sim:away')
    await scene.sync(company)
    company.remove(company.alive('applications')[0]!)
    const { clock } = scene.world
    const conditions = scene.world.conditionsOf(company)
    conditions.refusedUntilMs = clock.now() + 41 * DAY_MS
    for (const days of [4, 37]) {
      clock.tick(days * DAY_MS)
      await scene.stage.pass(60_000)
    }
    await scene.stage.opened.maintain(clock.now())
    for (let run = 0; run < 2; run++) expect((await scene.sync(company)).state).toBe('SUCCEEDED')
    expect(scene.deletions(company)).toHaveLength(1)
  })
})
