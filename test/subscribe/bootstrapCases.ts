import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '@tidemark/base'
import { changesTopic } from '@tidemark/model'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createFeed, withVersions } from './load.ts'
import { PARTITIONS, type Pipeline, sleep, waitForRecords } from './pipeline.ts'
import type { Place } from './programCases.ts'
import { type Program, runNode } from './programs.ts'
import { expectTruth, Result } from './tableResult.ts'

export function bootstrapCases(place: () => Place): void {
  let folder: string
  const running = new Set<Program>()

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-bootstrap-'))
  })
  afterEach(async () => {
    await Promise.all([...running].map((program) => program.kill('SIGKILL')))
    running.clear()
    rmSync(folder, { recursive: true, force: true })
  })

  const start = (model: string, { file }: Result): Program => {
    const program = runNode('typescript/bootstrap.ts', [model, file], place().settings)
    running.add(program)
    return program
  }

  it('begun at random moments while changes are made, and killed again and again: no gap, no repetition', async () => {
    const { pipeline } = place()
    const random = seededRandom(20_261_121)
    const feed = createFeed(pipeline, random)
    const feeding = feed.run()
    await waitForRecords(pipeline.log, changesTopic('candidates'), 50)
    const results = await Promise.all(
      [0, 1, 2].map(async (n) => {
        const result = new Result(join(folder, `${n}.sqlite`))
        await sleep(random.int(1500))
        for (let kill = 0; kill < 2; kill++) {
          const program = start('candidates', result)
          await sleep(400 + random.int(1500))
          await program.kill('SIGKILL')
        }
        const program = start('candidates', result)
        // However slow the machine: what was made while it ran has to be among what it applied.
        await until(program, () => result.history().some(({ op }) => op !== 'snapshot'))
        return { result, program }
      }),
    )
    feed.stop()
    await feeding
    for (const { result, program } of results) {
      await caughtUp(pipeline, 'candidates', result, program)
      await expectTruth(pipeline, result)
    }
  })

  it('a transaction that is open while the end is noted is neither skipped nor lost', async () => {
    const { pipeline, settings } = place()
    const result = new Result(join(folder, 'open.sqlite'))
    await withVersions(pipeline, settings, 'tags', async ({ key, producer, changes, snapshots, committed }) => {
      await committed(1)
      const open = await producer.transaction()
      await changes(open, 2)
      const program = start('tags', result)
      await until(program, () => program.stderr().includes('going on with changes'))
      expect(result.history()).toEqual([{ key, version: 1, op: 'snapshot' }])
      await snapshots(open, 2)
      await open.commit()
      await program.printed(1)
      expect(result.history()).toEqual([
        { key, version: 1, op: 'snapshot' },
        { key, version: 2, op: 'deleted' },
      ])
    })
  })

  it('snapshots of an open transaction are waited for, and their changes not repeated', async () => {
    const { pipeline, settings } = place()
    const result = new Result(join(folder, 'waits.sqlite'))
    await withVersions(pipeline, settings, 'users', async ({ key, producer, changes, snapshots, committed }) => {
      await committed(1)
      const open = await producer.transaction()
      await snapshots(open, 2)
      const program = start('users', result)
      await until(program, () => result.history().length === 1)
      await sleep(1000)
      expect(program.stderr()).not.toContain('going on with changes')
      await changes(open, 2)
      await open.commit()
      await until(program, () => program.stderr().includes('going on with changes'))
      await committed(3)
      await program.printed(1)
      expect(result.history()).toEqual([
        { key, version: 1, op: 'snapshot' },
        { key, version: 2, op: 'snapshot' },
        { key, version: 3, op: 'restored' },
      ])
    })
  })

  it('snapshots that end in aborted records are read to their end, without those', async () => {
    const { pipeline, settings } = place()
    const result = new Result(join(folder, 'aborted.sqlite'))
    await withVersions(pipeline, settings, 'offers', async ({ key, producer, changes, snapshots, committed }) => {
      await committed(1)
      const open = await producer.transaction()
      await changes(open, 2)
      await snapshots(open, 2)
      const program = start('offers', result)
      await until(program, () => result.history().length === 1)
      // From here on there is nothing to be read but aborted records and markers.
      await open.abort()
      await until(program, () => program.stderr().includes('going on with changes'))
      expect(result.history()).toEqual([{ key, version: 1, op: 'snapshot' }])
    })
  })

  it('changes whose snapshots do not show yet are read from their beginning', async () => {
    const { pipeline, settings } = place()
    const result = new Result(join(folder, 'empty.sqlite'))
    // What is seen between the two ends of one transaction: its changes are visible, its snapshots not yet.
    await withVersions(pipeline, settings, 'interviews', async ({ key, producer, changes }) => {
      const first = await producer.transaction()
      await changes(first, 1)
      await first.commit()
      const program = start('interviews', result)
      await program.printed(1)
      expect(result.history()).toEqual([{ key, version: 1, op: 'created' }])
    })
  })

  it('a change that is missing stops the program', async () => {
    const { pipeline, settings } = place()
    const result = new Result(join(folder, 'gap.sqlite'))
    await withVersions(pipeline, settings, 'notes', async ({ producer, changes, snapshots }) => {
      const first = await producer.transaction()
      await snapshots(first, 1)
      await first.commit()
      const program = start('notes', result)
      await until(program, () => program.stderr().includes('going on with changes'))
      const second = await producer.transaction()
      await changes(second, 3)
      await second.commit()
      expect(await program.ended).toBe(1)
      expect(program.stderr()).toContain('from version 1 to 3')
    })
  })
}

/** Waits for a condition; throws with its output when the program ends before. */
async function until(program: Program, condition: () => boolean): Promise<void> {
  let over = false
  void program.ended.then(() => {
    over = true
  })
  const givingUpAt = performance.now() + 100_000
  while (!condition()) {
    if (performance.now() > givingUpAt) throw new Error(`waited in vain; the program says:\n${program.stderr()}`)
    if (over) throw new Error(`the program ended:\n${program.stdout()}\n${program.stderr()}`)
    await sleep(25)
  }
}

async function caughtUp({ log }: Pipeline, model: 'candidates', result: Result, program: Program): Promise<void> {
  const ends: number[] = []
  for (let p = 0; p < PARTITIONS; p++) ends.push((await log.bounds(changesTopic(model), p)).end)
  await until(program, () => {
    const positions = result.positions(changesTopic(model))
    return positions.length === PARTITIONS && positions.every((position, p) => position >= (ends[p] as number))
  })
}
