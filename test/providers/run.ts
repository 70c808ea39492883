import type { SqlStore } from '@tidemark/store'
import { SimClock } from '../sync/clock.ts'
import type { OpenedLog } from '../sync/openedLog.ts'
import { Stage } from '../sync/stage.ts'
import { Front } from './front.ts'
import { startHrworks } from './hrworks.ts'
import { startKnit } from './knit.ts'
import { startKombo } from './kombo.ts'
import { Play } from './play.ts'
import type { SimulatedProvider, StartProvider } from './provider.ts'
import { Sources } from './sources.ts'
import { liveBetweenPages, step } from './steps.ts'
import { startTraffit } from './traffit.ts'

export const CONNECTORS = ['kombo', 'traffit', 'hrworks', 'knit'] as const
export type ConnectorName = (typeof CONNECTORS)[number]

const START: Readonly<Record<ConnectorName, StartProvider>> = {
  kombo: startKombo,
  traffit: startTraffit,
  hrworks: startHrworks,
  knit: startKnit,
}

export interface RunOptions {
  /** Beside each other, in one installation. */
  readonly connectors: readonly ConnectorName[]
  readonly seed: number
  readonly steps: number
  readonly print: (line: string) => void
  /** Shared by several runs; stays open. */
  readonly store?: SqlStore
  /** Default: an embedded one of its own. Closed by whoever opened it. */
  readonly log?: OpenedLog
}

/** What a run came to with one of its connectors. */
export interface SideResult {
  readonly connector: string
  readonly deletions: number
  readonly wrong: number
  readonly byEvidence: ReadonlyMap<string, number>
  /** Share of the deletions that were right. */
  readonly precision: number
  /** Share of the records that were known and are gone that is shown so at the end. */
  readonly recall: number
  readonly gone: number
  /** Records of the last complete reading; each of their fields was compared with the tables. */
  readonly compared: number
}

export interface RunResult {
  readonly sides: readonly SideResult[]
  readonly counts: Play['counts']
  readonly changes: number
}

/** Simulated time begins in the past, for Kafka takes no record from the future. */
const START_MS = Date.parse('2024-01-08T09:00:00Z')
/** Real time in which anything has to come to rest: in Kafka every transaction takes its time. */
const REST_MS = 90_000
/** The providers stand still after so many steps, at the latest. */
const STILL_EVERY = 60

/** One run: simulators by a seed, the pipeline behind the real connectors, so many steps. Throws with the latest steps when something does not hold. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { connectors, seed, steps, print, store, log } = options
  const clock = new SimClock(START_MS)
  const providers: SimulatedProvider[] = []
  const front = await Front.open()
  try {
    for (const name of connectors) providers.push(await START[name]({ clock, seed }))
    const sources = new Sources(providers, clock, front)
    const schema = `providers_${connectors.join('_')}_${seed}`
    const limits = { processor: { limits: { outputsMax: 400, bytesMax: 1 << 20 } }, restMs: REST_MS }
    const given = { ...limits, ...(store ? { store } : {}), ...(log ? { log } : {}) }
    const stage = await Stage.open({ sources: () => sources.open(), work: sources, clock, seed, schema, ...given })
    try {
      front.stage = stage
      await sources.subscribe()
      const play = new Play(providers, stage, sources, seed)
      await play.settle()
      liveBetweenPages(play, seed)
      for (let n = 1; n <= steps; n++) {
        await step(play)
        if (n % STILL_EVERY === 0 && n < steps) await play.standStill()
        if (n % 100 === 0) print(`${n} of ${steps} steps, ${play.ledger.changes.length} changes`)
      }
      await play.standStill()
      return resultOf(play)
    } finally {
      await sources.close()
      await stage.close()
    }
  } finally {
    await Promise.all(providers.map((provider) => provider.stop()))
    await front.close()
  }
}

function resultOf({ sides, counts, ledger }: Play): RunResult {
  return {
    sides: sides.map(({ provider, deletions, gone, found, compared }) => {
      const { total, wrong, counts: byEvidence } = deletions
      const precision = total === 0 ? 1 : (total - wrong) / total
      const recall = gone === 0 ? 1 : found / gone
      return { connector: provider.name, deletions: total, wrong, byEvidence, precision, recall, gone, compared }
    }),
    counts,
    changes: ledger.changes.length,
  }
}
