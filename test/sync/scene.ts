import { seededRandom } from '@tidemark/base'
import type { SweepGuard } from '@tidemark/ingress'
import type { SyncEvent } from '@tidemark/model'
import type { Company } from './company.ts'
import { isDeletion } from './deletions.ts'
import { type KeyedChange, Ledger } from './ledger.ts'
import { simSource } from './simSource.ts'
import { PARTITIONS, Stage } from './stage.ts'
import { type Sync, syncFull } from './syncs.ts'
import { isDeleted, partsOf, readTables, rowOf } from './tables.ts'
import { STREAMS, type StreamName, type Traits } from './traits.ts'
import { World } from './world.ts'

export interface SceneOptions {
  readonly integrations: readonly string[]
  /** Records of each kind, in each integration. */
  readonly records: Readonly<Partial<Record<StreamName, number>>>
  readonly guard?: SweepGuard
  readonly concurrency?: number
}

/** `tags` are listed in a stable way, `applications` and `candidates` may shift, and `candidates` can be asked for one by one. */
const TRAITS: Readonly<Record<StreamName, Traits>> = {
  jobs: { paging: 'stable', hasVersions: true, hasPointReads: false, hasTrash: false },
  candidates: { paging: 'shifting', hasVersions: true, hasPointReads: true, hasTrash: false },
  applications: { paging: 'shifting', hasVersions: false, hasPointReads: false, hasTrash: false },
  tags: { paging: 'stable', hasVersions: false, hasPointReads: false, hasTrash: false },
}

/** A world in which nothing happens by itself, for a story that is told step by step. */
export class Scene {
  readonly world: World
  readonly stage: Stage
  readonly ledger: Ledger

  private constructor(world: World, stage: Stage) {
    this.world = world
    this.stage = stage
    this.ledger = new Ledger(stage.log, stage.codec, PARTITIONS)
  }

  static async open({ integrations, records, guard, concurrency }: SceneOptions): Promise<Scene> {
    const world = new World({ seed: 1, integrations, traits: TRAITS, size: 0, pageSize: 20 })
    const random = seededRandom(1)
    for (const company of world.companies)
      for (const stream of STREAMS) for (let n = records[stream] ?? 0; n > 0; n--) company.create(stream, random)
    const { provider, clock } = world
    provider.isQuiet = true
    const sources = () => [simSource(provider)]
    const options = {
      sources,
      work: provider,
      clock,
      seed: 1,
      ...(guard ? { guard } : {}),
      ...(concurrency ? { concurrency } : {}),
    }
    const scene = new Scene(world, await Stage.open(options))
    await scene.settle()
    return scene
  }

  company(integration: string): Company {
    return this.world.companies.find((company) => company.integration === integration) as Company
  }

  /** A complete run, and whatever follows from it. */
  async sync(company: Company): Promise<Sync> {
    const sync = await syncFull(this.stage, this.ledger, company)
    await this.settle()
    return sync
  }

  async settle(): Promise<void> {
    await this.stage.settle()
    await this.ledger.refresh()
  }

  /** Records of a model that the tables show as alive. */
  async alive(company: Company, model: string): Promise<number> {
    const tables = await readTables(this.stage.store, this.stage.schema)
    return [...tables.keys()].filter((key) => {
      const { integrationId, model: of } = partsOf(key)
      return integrationId === company.integration && of === model && !isDeleted(rowOf(tables, key) ?? {})
    }).length
  }

  /** Events of an integration about a model, in their order. */
  events(company: Company, model: string, ...names: readonly string[]): SyncEvent[] {
    return this.ledger.events.filter(
      (event) => event.integration_id === company.integration && event.model === model && names.includes(event.event),
    )
  }

  deletions(company: Company): KeyedChange[] {
    return this.ledger.changes.filter(
      (changed) => isDeletion(changed) && changed.change.integration_id === company.integration,
    )
  }

  /** What is held of an integration. */
  held(company: Company) {
    return (this.stage.ingress?.held() ?? []).filter(({ integrationId }) => integrationId === company.integration)
  }

  async decide(kind: 'held_confirm' | 'held_discard', company: Company, model: string, syncId: string): Promise<void> {
    await this.stage.command(kind, company.integration, { model, sync_id: syncId })
    await this.settle()
  }

  close(): Promise<void> {
    return this.stage.close()
  }
}
