import { type Random, seededRandom } from '@tidemark/base'
import type { HeldSweep } from '@tidemark/ingress'
import { createProjectionReader, verify } from '@tidemark/verify'
import type { Company } from './company.ts'
import { differences, recallOf } from './comparison.ts'
import { Copies } from './copies.ts'
import { Deletions, describeChange } from './deletions.ts'
import { Ledger } from './ledger.ts'
import { Order } from './order.ts'
import { compareWithApi } from './pastApi.ts'
import { PARTITIONS, type Stage } from './stage.ts'
import { exemptions, type Sync, sweepState, syncFull, unended } from './syncs.ts'
import { readTables, type Tables } from './tables.ts'
import { STREAMS } from './traits.ts'
import type { World } from './world.ts'

const MINUTE_MS = 60_000
/** Longer than anything waits before it is tried again, credentials that are refused apart. */
const RETRIED_MS = 6 * MINUTE_MS
const REST_MAX_MS = 3_600_000

/** A run in progress: the world, the pipeline on its stage, and what is checked of them. */
export class Play {
  readonly world: World
  readonly stage: Stage
  readonly random: Random
  readonly ledger: Ledger
  readonly deletions: Deletions
  readonly copies: Copies
  readonly #order: Order
  /** The latest steps, for whoever reads a failure. */
  readonly journal: string[] = []
  /** Complete runs that ended well, and after how many of them the projection was compared. */
  readonly counts = { settled: 0, syncs: 0, goodSyncs: 0, quietSyncs: 0, held: 0, kills: 0, gone: 0, found: 0 }

  constructor(world: World, stage: Stage, seed: number) {
    this.world = world
    this.stage = stage
    this.random = seededRandom(seed + 7)
    this.ledger = new Ledger(stage.log, stage.codec, PARTITIONS)
    const { provider, companies, outbox } = world
    this.deletions = new Deletions({ provider, companies, ledger: this.ledger, happenedAt: outbox.happenedAt })
    this.copies = new Copies(world.clock)
    this.#order = new Order(this.ledger)
  }

  note(line: string): void {
    this.journal.push(`${new Date(this.world.clock.now()).toISOString()} ${line}`)
    if (this.journal.length > 60) this.journal.shift()
  }

  fail(problems: readonly string[], when: string): void {
    if (problems.length === 0) return
    const told = problems.slice(0, 3).flatMap((problem) => this.#toldOf(problem.split(' ')[0] ?? ''))
    const parts = [problems.slice(0, 12), ['', 'what is known of them:', ...told], ['', 'last steps:', ...this.journal]]
    throw new Error(`${when}:\n${parts.flat().join('\n')}`)
  }

  /** The latest changes of a record, for whoever reads a failure. */
  #toldOf(key: string): string[] {
    return this.ledger.changes
      .filter((changed) => changed.key === key)
      .slice(-6)
      .map(describeChange)
  }

  async restart(): Promise<void> {
    if (!this.stage.isDead) return
    await this.stage.start(this.random.chance(0.7))
    this.counts.kills++
    // Webhooks that were not done with are read again.
    this.world.retell()
    this.note('ingress began again')
  }

  /** Lets everything come to rest, and checks what has to hold at any moment. */
  async settle(): Promise<Tables> {
    await this.restart()
    await this.stage.settle()
    // A kill may have come with it.
    if (this.stage.isDead) return await this.settle()
    await this.ledger.refresh()
    this.counts.settled++
    this.fail(this.deletions.judge(), 'deletions that are wrong')
    this.fail(this.#order.check(), 'what arrived late')
    const tables = await readTables(this.stage.store, this.stage.schema)
    this.copies.add(tables)
    return tables
  }

  /** A complete run while the world goes on; then whatever can be demanded of the projection. */
  async busySync(company: Company): Promise<Sync> {
    const sync = await syncFull(this.stage, this.ledger, company, () => this.restart())
    this.note(`${sync.id} of ${company.integration} ended ${sync.state}`)
    this.counts.syncs++
    const tables = await this.settle()
    if (sync.state !== 'SUCCEEDED') return sync
    this.counts.goodSyncs++
    this.fail(unended(this.world, this.ledger, sync), `after ${sync.id} of ${company.integration}`)
    const isExempt = exemptions(this.world, this.ledger, sync)
    const isDeletionDue = (model: string): boolean => {
      const { paging, hasPointReads } = company.traits[model as (typeof STREAMS)[number]]
      const state = sweepState(this.ledger, company, model, sync.askedAtMs)
      return (state === 'DELETED' || state === 'NOTHING') && (paging === 'stable' || hasPointReads)
    }
    this.fail(differences(company, tables, { isExempt, isDeletionDue }), `after ${sync.id} of ${company.integration}`)
    return sync
  }

  /** Two complete runs of everything while the world stands still: then the projection is what the provider has. */
  async quietSyncs(): Promise<void> {
    await this.standStill(() => this.#quietSyncs())
  }

  /** While this is done nothing goes wrong by itself, nothing happens at the provider, and nothing waits to be tried again. */
  async standStill(work: () => Promise<void>): Promise<void> {
    this.note('the world stands still')
    const { provider, conditions } = this.world
    provider.isQuiet = true
    for (const condition of conditions.values()) condition.clear()
    this.stage.killAfter(Number.POSITIVE_INFINITY)
    await this.restart()
    await this.#comeToRest()
    await work()
    provider.isQuiet = false
    this.note('the world goes on')
  }

  async #quietSyncs(): Promise<void> {
    const { companies } = this.world
    for (const round of [1, 2]) {
      for (const company of companies) await this.#quietSync(company, round)
      this.counts.quietSyncs++
    }
    this.counts.gone = 0
    this.counts.found = 0
    const tables = await this.settle()
    for (const company of companies) {
      const { gone, found } = recallOf(company, tables)
      this.counts.gone += gone
      this.counts.found += found
    }
  }

  async #quietSync(company: Company, round: number): Promise<void> {
    const sync = await syncFull(this.stage, this.ledger, company, () => this.restart())
    const name = `quiet ${sync.id} of ${company.integration}, round ${round}`
    this.note(`${name} ended ${sync.state}`)
    if (sync.state !== 'SUCCEEDED') this.fail([`it ended ${sync.state}`], name)
    await this.settle()
    this.fail(this.#unswept(sync), name)
    await this.decideAll(company)
    const tables = await this.settle()
    // Where records cannot be asked for, what was seen in the run before needs one more run to be gone.
    const isDeletionDue = (model: string): boolean => {
      const { paging, hasPointReads } = company.traits[model as (typeof STREAMS)[number]]
      return round === 2 || paging === 'stable' || hasPointReads
    }
    this.fail(differences(company, tables, { isExempt: () => false, isDeletionDue }), `after ${name}`)
  }

  /** Listings of a run that ended well, and that nobody swept. */
  #unswept({ id, company, askedAtMs }: Sync): string[] {
    return STREAMS.filter((model) => sweepState(this.ledger, company, model, askedAtMs) === undefined).map(
      (model) => `${id} ended well, and ${model} were not swept`,
    )
  }

  /** Until nothing waits to be tried again. */
  async #comeToRest(): Promise<void> {
    await this.stage.pass(RETRIED_MS)
    for (let waitedMs = 0; waitedMs < REST_MAX_MS; waitedMs += MINUTE_MS) {
      const streams = this.stage.ingress?.status().flatMap((integration) => integration.streams) ?? []
      if (streams.every(({ state }) => state === 'idle')) return
      await this.stage.pass(MINUTE_MS)
    }
    throw new Error('ingress does not come to rest')
  }

  /** The operator decides about whatever is held, and waits for what follows. */
  async decideAll(company?: Company): Promise<void> {
    for (let round = 0; round < 5; round++) {
      const held = this.#held(company)
      if (held.length === 0) return
      for (const one of held) await this.#decide(one)
      await this.stage.drain()
    }
    this.fail(['it is still held after five decisions'], 'the operator')
  }

  /** The operator decides about one of those that are held. */
  async decideOne(): Promise<void> {
    const held = this.#held()
    if (held.length > 0) await this.#decide(this.random.pick(held))
    await this.stage.drain()
  }

  #held(company?: Company) {
    const held = this.stage.ingress?.held() ?? []
    return held.filter(({ integrationId }) => company === undefined || company.integration === integrationId)
  }

  /** Confirms what is true, and discards what a fault of the provider only made look so. */
  async #decide({ integrationId, model, syncId, details }: HeldSweep): Promise<void> {
    const company = this.world.companies.find(({ integration }) => integration === integrationId) as Company
    const listing = this.world.provider.listingSince(company, model, details.fetchStartedAtMs)
    const kind = listing?.isShrunk === false ? 'held_confirm' : 'held_discard'
    this.counts.held++
    this.note(`${kind} of ${model} of ${integrationId} by ${syncId}`)
    await this.stage.command(kind, integrationId, { model, sync_id: syncId })
  }

  /** Whatever is checked once, at the end. */
  async finish(): Promise<void> {
    await this.quietSyncs()
    await this.stage.done()
    this.fail(
      await this.copies.compare(this.stage.store, this.stage.schema),
      'as of the times at which copies were taken',
    )
    const { integrations } = this.world.provider
    this.fail(await compareWithApi(this.stage, this.copies.all, integrations), 'the API as of those times')
    const projection = createProjectionReader(this.stage.store, this.stage.schema)
    const { log, codec } = this.stage
    const report = await verify(
      { log, codec, projection },
      { partitions: PARTITIONS, signal: new AbortController().signal },
    )
    this.fail(
      report.problems.map((problem) => JSON.stringify(problem)),
      'verify',
    )
  }
}
