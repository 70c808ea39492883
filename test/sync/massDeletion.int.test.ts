import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Scene } from './scene.ts'

const RECORDS = 200
/** A tenth of them takes more than one page, so that it may have shifted. */
const CANDIDATES = 220

let scene: Scene
beforeAll(async () => {
  const integrations = ['sim:discarded', 'sim:confirmed', 'sim:superseded', 'sim:mistaken']
  scene = await Scene.open({ integrations, records: { tags: RECORDS, candidates: CANDIDATES } })
}, 120_000)
afterAll(() => scene.close())

/** A run that ends well and shows a tenth of what there is; returns its id. */
async function syncInPart(integration: string, stream: 'tags' | 'candidates'): Promise<string> {
  const company = scene.company(integration)
  scene.world.conditionsOf(company).shrunk.add(stream)
  const { id, state } = await scene.sync(company)
  expect(state).toBe('SUCCEEDED')
  return id
}

/** From now on it shows everything again. */
function mend(integration: string): void {
  scene.world.conditionsOf(scene.company(integration)).clear()
}

describe('a provider that suddenly shows a tenth of its records, in a run that ends well,', () => {
  it('deletes nothing until somebody decides, and nothing when that is to discard', async () => {
    const company = scene.company('sim:discarded')
    expect(await scene.alive(company, 'tags')).toBe(RECORDS)
    const syncId = await syncInPart('sim:discarded', 'tags')
    const held = { model: 'tags', syncId, suspects: 180, records: RECORDS }
    expect(scene.held(company)).toMatchObject([held])
    expect(await scene.alive(company, 'tags')).toBe(RECORDS)
    // What is held outlives the process, also one that did not get to note that it was done with the command.
    scene.stage.kill()
    await scene.stage.start(false)
    await scene.settle()
    expect(scene.held(company)).toMatchObject([held])
    await scene.decide('held_discard', company, 'tags', syncId)
    expect(scene.held(company)).toEqual([])
    expect(scene.events(company, 'tags', 'held_decided')).toMatchObject([{ state: 'DISCARDED', actor: 'the test' }])
    expect(await scene.alive(company, 'tags')).toBe(RECORDS)
    mend('sim:discarded')
    await scene.sync(company)
    expect(scene.events(company, 'tags', 'swept').at(-1)).toMatchObject({ state: 'NOTHING', records: RECORDS })
    expect(scene.deletions(company)).toEqual([])
  })

  it('and really has no more is believed when somebody confirms it', async () => {
    const company = scene.company('sim:confirmed')
    for (const row of company.alive('tags').slice(0, 180)) company.remove(row)
    const { id } = await scene.sync(company)
    expect(scene.held(company)).toMatchObject([{ model: 'tags', syncId: id, suspects: 180, records: RECORDS }])
    expect(scene.deletions(company)).toEqual([])
    await scene.decide('held_confirm', company, 'tags', 'another run')
    expect(scene.deletions(company)).toEqual([])
    await scene.decide('held_confirm', company, 'tags', id)
    expect(scene.held(company)).toEqual([])
    expect(await scene.alive(company, 'tags')).toBe(RECORDS - 180)
    const deletions = scene.deletions(company)
    expect(deletions).toHaveLength(180)
    for (const { change } of deletions) {
      expect(change.cause).toMatchObject({ sync_id: id, actor: 'the test', evidence: { kind: 'absence' } })
    }
  })

  it('and then all of them again is believed: the later run replaces what is held', async () => {
    const company = scene.company('sim:superseded')
    const syncId = await syncInPart('sim:superseded', 'tags')
    expect(scene.held(company)).toHaveLength(1)
    mend('sim:superseded')
    await scene.sync(company)
    expect(scene.held(company)).toEqual([])
    // Somebody who still looks at the old page.
    await scene.decide('held_confirm', company, 'tags', syncId)
    expect(scene.deletions(company)).toEqual([])
    expect(await scene.alive(company, 'tags')).toBe(RECORDS)
  })

  it('and answers for each of the others when it is asked loses none of them, even if somebody confirms', async () => {
    const company = scene.company('sim:mistaken')
    const syncId = await syncInPart('sim:mistaken', 'candidates')
    expect(scene.held(company)).toMatchObject([{ model: 'candidates', syncId, suspects: 198 }])
    await scene.decide('held_confirm', company, 'candidates', syncId)
    expect(scene.held(company)).toEqual([])
    expect(scene.events(company, 'candidates', 'swept').at(-1)).toMatchObject({ sync_id: syncId, suspects: 0 })
    expect(scene.deletions(company)).toEqual([])
    expect(await scene.alive(company, 'candidates')).toBe(CANDIDATES)
  })
})
