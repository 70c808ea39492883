import { type Random, seededRandom } from '@tidemark/base'
import type { HeldSweep } from '@tidemark/ingress'
import { MODEL_NAMES, type ModelName } from '@tidemark/model'
import { describeChange } from '../sync/deletions.ts'
import { Ledger } from '../sync/ledger.ts'
import { PARTITIONS, type Stage } from '../sync/stage.ts'
import { type Sync, syncFull } from '../sync/syncs.ts'
import { compare } from './comparison.ts'
import { readingOf } from './oracle.ts'
import type { SimulatedProvider } from './provider.ts'
import { RawReader } from './rawReader.ts'
import { readRows } from './rows.ts'
import { Side } from './side.ts'
import type { Sources } from './sources.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** Longer than anything waits before it is tried again, refused credentials apart. */
const RETRIED_MS = 6 * MINUTE_MS
const REST_MAX_MS = 4 * HOUR_MS
/** Whoever sends events gives up after four days. */
const GIVEN_UP_MS = 97 * HOUR_MS
const LEAP_MS = 3 * HOUR_MS

/** A run in progress: the providers, the pipeline on its stage, and what is checked of them. */
export class Play {
  readonly sides: readonly Side[]
  readonly stage: Stage
  readonly sources: Sources
  readonly random: Random
  readonly ledger: Ledger
  /** The latest steps, for whoever reads a failure. */
  readonly journal: string[] = []
  readonly counts = { settled: 0, syncs: 0, goodSyncs: 0, quietSyncs: 0, held: 0, kills: 0, faults: 0, acts: 0 }
  /** Nothing happens between the pages of a fetch. */
  isQuiet = false

  constructor(providers: readonly SimulatedProvider[], stage: Stage, sources: Sources, seed: number) {
    this.stage = stage
    this.sources = sources
    this.random = seededRandom(seed + 7)
    this.ledger = new Ledger(stage.log, stage.codec, PARTITIONS, MODEL_NAMES)
    const raws = new RawReader(stage.log, stage.codec)
    this.sides = providers.map((provider) => new Side(provider, { clock: stage.clock, ledger: this.ledger, raws }))
  }

  note(line: string): void {
    this.journal.push(`${new Date(this.stage.clock.now()).toISOString()} ${line}`)
    if (this.journal.length > 80) this.journal.shift()
  }

  fail(problems: readonly string[], when: string): void {
    if (problems.length === 0) return
    const told = problems.slice(0, 4).flatMap((problem) => this.#toldOf(problem.split(' ')[0] ?? ''))
    const parts = [problems.slice(0, 12), ['', 'what is known of them:', ...told], ['', 'last steps:', ...this.journal]]
    throw new Error(`${when}, ${problems.length} problems:\n${parts.flat().join('\n')}`)
  }

  #toldOf(key: string): string[] {
    const changes = this.ledger.changes.filter((changed) => changed.key === key).slice(-6)
    const side = this.sides.find(({ integration }) => key.startsWith(`${integration}/`))
    const existed = side?.existence.history.describe(key as never)
    return [...changes.map(describeChange), `${key} ${existed ?? 'is of nobody'}`]
  }

  /** Something happens in a company. */
  act(side: Side, random: Random = this.random): void {
    this.counts.acts++
    side.act(random)
  }

  async restart(): Promise<void> {
    if (!this.stage.isDead) return
    await this.stage.start(this.random.chance(0.7))
    this.counts.kills++
    this.note('ingress began again')
  }

  /** Lets everything come to rest, and judges what was deleted meanwhile. */
  async settle(): Promise<void> {
    await this.restart()
    await this.stage.settle()
    // A kill may have come with it.
    if (this.stage.isDead) return await this.settle()
    await this.ledger.refresh()
    this.counts.settled++
    for (const { deletions } of this.sides) this.fail(await deletions.judge(), 'deletions that are wrong')
  }

  /** A complete run that the world goes on beside. */
  async busySync(side: Side): Promise<Sync<Side>> {
    const sync = await syncFull(this.stage, this.ledger, side, () => this.restart())
    this.note(`${sync.id} of ${side.integration} ended ${sync.state}`)
    this.counts.syncs++
    if (sync.state === 'SUCCEEDED') this.counts.goodSyncs++
    await this.settle()
    return sync
  }

  /** While this is done nothing goes wrong any more, nothing happens at the providers, and nothing waits to be tried again. */
  async standStill(): Promise<void> {
    this.note('the world stands still')
    this.isQuiet = true
    for (const { provider } of this.sides) provider.mend()
    this.sources.front.isAway = false
    this.stage.killAfter(Number.POSITIVE_INFINITY)
    await this.restart()
    await this.#comeToRest()
    for (const side of this.sides) side.happen(() => side.provider.catchUp())
    for (const side of this.sides) await this.#quietSyncs(side)
    await this.settle()
    for (const side of this.sides) await this.#compare(side)
    this.isQuiet = false
    this.note('the world goes on')
  }

  /**
   * Two complete runs. One does where absence is proved at once; a listing that may shift and has no reads of single records needs the second, and
   * so does what a run sees that began as the one before ended.
   */
  async #quietSyncs(side: Side): Promise<void> {
    for (let round = 1; round <= 2; round++) {
      const { id, state } = await syncFull(this.stage, this.ledger, side, () => this.restart())
      this.note(`quiet ${id} of ${side.integration}, round ${round}, ended ${state}`)
      if (state !== 'SUCCEEDED') this.fail([`${id} ended ${state}`], `complete run of ${side.integration}`)
      // A provider that sends by itself does so after the run that asked for it.
      if (this.sources.sourceOf(side.provider).pushes === true) await this.stage.pass(5 * MINUTE_MS)
      await this.settle()
      await this.#decideAll()
      this.counts.quietSyncs++
    }
  }

  async #comeToRest(): Promise<void> {
    await this.stage.pass(RETRIED_MS)
    for (let waitedMs = 0; ; waitedMs += MINUTE_MS) {
      const streams = this.stage.ingress?.status().flatMap((integration) => integration.streams) ?? []
      if (streams.every(({ state }) => state === 'idle')) break
      if (waitedMs > REST_MAX_MS) throw new Error(`ingress does not come to rest: ${JSON.stringify(streams)}`)
      await this.stage.pass(MINUTE_MS)
    }
    for (let waitedMs = 0; this.sides.some(({ provider }) => provider.open > 0); waitedMs += LEAP_MS) {
      if (waitedMs > GIVEN_UP_MS) throw new Error('events are neither delivered nor given up')
      await this.stage.pass(LEAP_MS, LEAP_MS)
    }
  }

  /** What is missing from a complete run while nothing goes wrong is gone. */
  async #decideAll(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      const held = this.stage.ingress?.held() ?? []
      if (held.length === 0) return
      for (const one of held) await this.#confirm(one)
      await this.settle()
    }
    this.fail(['it is still held after five decisions'], 'the operator')
  }

  async #confirm({ integrationId, model, syncId }: HeldSweep): Promise<void> {
    this.counts.held++
    this.note(`held_confirm of ${model} of ${integrationId} by ${syncId}`)
    await this.stage.command('held_confirm', integrationId, { model, sync_id: syncId })
  }

  /** The tables beside a reading of everything that knows nothing of ingress, diff and projection. */
  async #compare(side: Side): Promise<void> {
    const { provider, integration } = side
    const reading = readingOf(integration, await provider.readAll())
    const source = this.sources.sourceOf(provider)
    const models: ModelName[] = [...new Set(source.streams.flatMap((stream) => source.modelsOf(stream)))]
    const rows = await readRows(this.stage.store, this.stage.schema, models, integration)
    const { problems, gone, found } = compare({ provider, source, reading, rows })
    Object.assign(side, { gone, found, compared: reading.records.size })
    this.fail(problems, `the tables beside ${integration}`)
  }
}
