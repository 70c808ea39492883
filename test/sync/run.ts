import type { SqlStore } from '@tidemark/store'
import type { OpKind } from './company.ts'
import { Play } from './play.ts'
import { simSource } from './simSource.ts'
import { Stage } from './stage.ts'
import { liveBetweenPages, step } from './steps.ts'
import { World } from './world.ts'

export interface RunOptions {
  readonly seed: number
  readonly steps: number
  readonly print: (line: string) => void
  /** Shared by several runs with different seeds; stays open. */
  readonly store?: SqlStore
}

export interface RunResult {
  readonly deletions: number
  readonly wrong: number
  readonly byEvidence: ReadonlyMap<string, number>
  /** Share of the deletions that were right. */
  readonly precision: number
  /** Share of the records that are gone, and were known, that are shown so after good complete runs. */
  readonly recall: number
  readonly counts: Play['counts']
  readonly copies: number
  readonly ops: ReadonlyMap<OpKind, number>
  readonly changes: number
}

/** Small enough for the little that there is here. */
const GUARD = { share: 0.3, recordsMin: 6 } as const

/** One run: a world by a seed, the pipeline around it, so many steps. Throws with the latest steps when something does not hold. */
export async function run({ seed, steps, print, store }: RunOptions): Promise<RunResult> {
  const world = new World({ seed })
  const { provider, clock } = world
  const shared = store === undefined ? {} : { store }
  const stage = await Stage.open({
    sources: () => [simSource(provider)],
    work: provider,
    clock,
    seed,
    guard: GUARD,
    concurrency: 1 + (seed % 3),
    ...shared,
  })
  try {
    const play = new Play(world, stage, seed)
    liveBetweenPages(play)
    await play.settle()
    for (let n = 1; n <= steps; n++) {
      await step(play)
      if (n % 500 === 0) print(`${n} of ${steps} steps, ${play.deletions.total} deletions`)
    }
    await play.finish()
    return resultOf(play)
  } finally {
    await stage.close()
  }
}

function resultOf({ deletions, counts, copies, world, ledger }: Play): RunResult {
  const { total, wrong } = deletions
  return {
    ...{ deletions: total, wrong, byEvidence: deletions.counts, counts, copies: copies.all.length, ops: world.ops },
    precision: total === 0 ? 1 : (total - wrong) / total,
    recall: counts.gone === 0 ? 1 : counts.found / counts.gone,
    changes: ledger.changes.length,
  }
}
