import type { Clock } from '@tidemark/base'
import type { Faults, SyncFailure } from '../faults.ts'
import { fullIntervalMs, type Settings } from '../options.ts'
import type { Scheduler } from '../scheduler.ts'
import type { SandboxStats } from '../stats.ts'
import { base58Id } from '../world/ids.ts'
import type { Mutation } from '../world/types.ts'
import type { Integration, RunningSync } from './integration.ts'
import type { Webhooks } from './webhooks.ts'

export interface SyncDeps {
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly webhooks: Webhooks
  readonly faults: Faults
  readonly settings: Settings
  readonly stats: SandboxStats
}

/** Brings what happens in the ATS into Kombo's copy: through pushed events at once, through syncs later. */
export class Syncs {
  readonly #deps: SyncDeps
  #number = 0

  constructor(deps: SyncDeps) {
    this.#deps = deps
  }

  /** An ATS told of something, or kept it to itself. */
  onMutation(integration: Integration, mutation: Mutation): void {
    integration.mirror.markDirty(mutation)
    if (!integration.firstSyncDone || !this.#pushed(integration, mutation)) return
    const { clock, scheduler, settings } = this.#deps
    if (settings.upstreamDelayMs === 0) this.#apply(integration, mutation)
    else scheduler.at(clock.now() + settings.upstreamDelayMs, () => this.#apply(integration, mutation))
  }

  /** Starts a sync unless one is running; tells which one runs now. A delta before the first full sync, or for a tool without, becomes full. */
  trigger(
    integration: Integration,
    wanted: 'FULL' | 'DELTA',
  ): { readonly alreadyQueued: boolean; readonly sync: RunningSync } {
    if (integration.running) return { alreadyQueued: true, sync: integration.running }
    const { clock, scheduler, settings } = this.#deps
    integration.cancelSchedule()
    const delta = wanted === 'DELTA' && integration.company.tool.delta && integration.firstSyncDone
    const sync = this.#newSync(delta ? 'DELTA' : 'FULL')
    integration.running = sync
    const { firstMs, durationMs } = settings.sync
    scheduler.at(clock.now() + (integration.firstSyncDone ? durationMs : firstMs), () => {
      if (integration.running === sync) this.#finish(integration, sync)
    })
    return { alreadyQueued: false, sync }
  }

  /** Does a whole sync in this moment, whatever is running. */
  now(integration: Integration, type: 'FULL' | 'DELTA'): void {
    integration.cancelSchedule()
    this.#finish(integration, this.#newSync(integration.firstSyncDone ? type : 'FULL'))
  }

  /** The first sync of an integration that was connected long ago: no webhook, no time. */
  assumeSynced(integration: Integration): void {
    integration.mirror.ingestAll(this.#deps.clock.now())
    this.#complete(integration)
  }

  /** Resumes the schedule after start(): a sync that was interrupted begins anew. */
  arm(integration: Integration): void {
    const interrupted = integration.running
    integration.running = null
    if (!integration.firstSyncDone) this.trigger(integration, 'FULL')
    else if (interrupted) this.trigger(integration, interrupted.type)
    else this.#schedule(integration)
  }

  /** The state of an integration changed: only an active one is synced, and a running sync is cancelled otherwise. */
  onState(integration: Integration): void {
    if (integration.state === 'ACTIVE') {
      this.arm(integration)
      return
    }
    integration.cancelSchedule()
    const { running } = integration
    integration.running = null
    if (running) this.#deps.webhooks.syncFinished(integration, { ...running, state: 'CANCELLED' })
  }

  #finish(integration: Integration, sync: RunningSync): void {
    const { clock, faults, stats, webhooks } = this.#deps
    const [fault] = faults.take(['sync_failed'], { endpoint: 'sync', integrationId: integration.id })
    const failure: SyncFailure | null = fault ? (fault.syncState ?? 'FAILED') : null
    integration.running = null
    integration.lastSyncMs = clock.now()
    if (sync.type === 'FULL') integration.lastFullMs = clock.now()
    stats.syncs++
    if (failure === null || failure === 'PARTIALLY_FAILED') {
      const changed = this.#ingest(integration, failure === null ? sync.type : 'DELTA', clock.now())
      const first = !integration.firstSyncDone
      if (first) {
        this.#complete(integration)
        webhooks.integrationStateChanged(integration)
      }
      webhooks.dataChanged(integration, changed)
    }
    webhooks.syncFinished(integration, { ...sync, state: failure ?? 'SUCCEEDED' })
    if (integration.firstSyncDone) this.#schedule(integration)
    else this.trigger(integration, 'FULL')
  }

  #ingest(integration: Integration, type: 'FULL' | 'DELTA', nowMs: number): Set<string> {
    const { mirror } = integration
    return integration.firstSyncDone ? mirror.ingestPending(nowMs, type) : mirror.ingestAll(nowMs)
  }

  #complete(integration: Integration): void {
    integration.firstSyncDone = true
    integration.setupStatus = 'COMPLETED'
    integration.qaStatus = 'PASSED'
  }

  #apply(integration: Integration, mutation: Mutation): void {
    const changed = integration.mirror.ingest(mutation.changed, mutation.deleted, this.#deps.clock.now())
    this.#deps.webhooks.dataChanged(integration, changed)
  }

  #pushed(integration: Integration, mutation: Mutation): boolean {
    if (!mutation.announced || integration.state !== 'ACTIVE') return false
    const { upstream } = this.#deps.settings
    if (upstream !== 'tool') return upstream === 'all'
    const { upstream: kinds } = integration.company.tool
    return kinds === 'all' || kinds.includes(mutation.kind)
  }

  /** The next full and the next delta sync: the end of the last one plus the pause. Only active integrations are synced. */
  #schedule(integration: Integration): void {
    const { clock, scheduler, settings } = this.#deps
    const { delta } = integration.company.tool
    const cancels: (() => void)[] = []
    const plan = (lastMs: number, pauseMs: number | null, type: 'FULL' | 'DELTA'): void => {
      if (pauseMs === null) return
      const dueMs = Math.max(clock.now(), lastMs + pauseMs)
      cancels.push(scheduler.at(dueMs, () => void this.trigger(integration, type)))
    }
    integration.cancelSchedule()
    integration.cancelSchedule = () => {
      for (const cancel of cancels) cancel()
    }
    if (integration.state !== 'ACTIVE') return
    plan(integration.lastFullMs, fullIntervalMs(settings, delta), 'FULL')
    if (delta) plan(integration.lastSyncMs, settings.sync.deltaIntervalMs, 'DELTA')
  }

  #newSync(type: 'FULL' | 'DELTA'): RunningSync {
    const { clock, settings } = this.#deps
    return { id: base58Id(`sync|${settings.seed}|${this.#number++}`), type, startedMs: clock.now() }
  }
}
