import type { Clock } from '@tidemark/base'
import type { Scheduler } from '../scheduler.ts'
import { type Account, jobOf, type Run, type SyncJob, type SyncType } from './accounts.ts'
import type { KnitDelivery } from './delivery.ts'
import {
  activationEvent,
  allConsumedEvent,
  deletedEvent,
  envelope,
  type PlannedEvent,
  processedEvent,
  runEvent,
} from './events.ts'
import { type KnitFaultSpec, type KnitFaults, RUN_FAULTS } from './faults.ts'
import { type DataType, fingerprint, show } from './models.ts'
import type { KnitSettings } from './options.ts'
import { nextSlotMs } from './slots.ts'
import type { KnitStats } from './stats.ts'

export interface SyncsDeps {
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly settings: KnitSettings
  readonly faults: KnitFaults
  readonly stats: KnitStats
  readonly delivery: KnitDelivery
}

/** Runs syncs: reads a company, compares it with what the last run saw, and emits the differences as events. */
export class Syncs {
  readonly #deps: SyncsDeps
  #runs = 0
  #events = 0

  constructor(deps: SyncsDeps) {
    this.#deps = deps
  }

  /** Begins a run; null while another one of the job reads, or while the job is paused. */
  begin(account: Account, dataType: DataType, syncType: SyncType, honorScheduler: boolean): Run | null {
    const job = jobOf(account, dataType)
    if (job.running || job.isPaused) return null
    const { clock, stats, settings, scheduler } = this.#deps
    const number = ++this.#runs
    // Both prefixes occur in Knit's samples.
    const run: Run = {
      syncRunId: `${number % 2 === 0 ? 'sn' : 'sr'}_${number}`,
      ...{ syncType, honorScheduler, startedAtMs: clock.now(), processedAtMs: null },
      ...{ processed: 0, emitted: 0, consumed: 0, state: 'RUNNING' },
    }
    job.running = run
    job.lastRun = run
    stats.runs++
    if (settings.runMs === 0) this.#emit(account, job, run)
    else {
      this.#beat(account, job, run)
      scheduler.at(run.startedAtMs + settings.runMs, () => this.#emit(account, job, run))
    }
    return run
  }

  /** Plans the next delta run of a job. */
  plan(account: Account, job: SyncJob, honorScheduler: boolean): void {
    const { clock, scheduler, settings } = this.#deps
    job.cancelPlan()
    job.plannedMs = nextSlotMs({
      ...{ nowMs: clock.now(), periodMs: settings.periods[job.frequency], start: job.start, honorScheduler },
      plannedMs: job.plannedMs,
    })
    job.cancelPlan = scheduler.at(job.plannedMs, () => {
      job.plannedMs = null
      const run = account.isActive ? this.begin(account, job.dataType, 'delta_sync', false) : null
      if (run === null) this.plan(account, job, false)
    })
  }

  /** Sends `app.integration.activate`. */
  activate(account: Account, errors: readonly string[]): void {
    this.#send(account, activationEvent(account, errors))
  }

  #beat(account: Account, job: SyncJob, run: Run): void {
    const { clock, scheduler, settings } = this.#deps
    scheduler.at(clock.now() + settings.heartbeatMs, () => {
      if (job.running !== run) return
      this.#send(account, runEvent('sync.heartbeat', run), job, run)
      this.#beat(account, job, run)
    })
  }

  #emit(account: Account, job: SyncJob, run: Run): void {
    const { clock, faults } = this.#deps
    const fault = faults.take(RUN_FAULTS, { dataType: job.dataType })
    const { events, fingerprints } = this.#differences(account, job, run)
    job.running = null
    if (fault?.kind === 'sync_failed') this.#fail(account, job, run, events, fault)
    else {
      job.fingerprints = fingerprints
      run.emitted = events.length
      run.processedAtMs = clock.now()
      run.state = 'PROCESSED'
      const all = [...events, processedEvent(run)]
      for (const event of fault?.kind === 'reordered' ? all.reverse() : all) this.#send(account, event, job, run)
      if (run.emitted === 0) this.#complete(account, job, run)
    }
    this.plan(account, job, run.honorScheduler)
  }

  /** Half way through the run breaks off: what was not emitted stays as it was, and comes with the next run. */
  #fail(account: Account, job: SyncJob, run: Run, events: readonly PlannedEvent[], fault: KnitFaultSpec): void {
    const emitted = events.slice(0, fault.after ?? Math.floor(events.length / 2))
    run.state = 'FAILED'
    run.emitted = emitted.length
    for (const event of emitted) this.#send(account, event, job, run)
    this.#send(account, runEvent('sync.failed', run), job, run)
  }

  /** Events of a run, and what it saw. An initial run shows everything active as new, and nothing of what is gone. */
  #differences(
    account: Account,
    job: SyncJob,
    run: Run,
  ): { readonly events: PlannedEvent[]; readonly fingerprints: Map<string, string> } {
    const isInitial = run.syncType === 'initial_sync'
    const fingerprints = new Map<string, string>()
    const events: PlannedEvent[] = []
    for (const shown of show(account.company, job.dataType, job.models, job.includeInactive)) {
      run.processed++
      const print = fingerprint(shown)
      const known = job.fingerprints.get(shown.recordId)
      fingerprints.set(shown.recordId, print)
      if (!isInitial && known === print) continue
      const eventType = isInitial || known === undefined ? 'record.new' : 'record.modified'
      events.push({ eventType, eventData: shown.data, recordId: shown.recordId })
    }
    if (isInitial) return { events, fingerprints }
    const { emptyDeletedIds } = this.#deps.settings
    for (const recordId of job.fingerprints.keys())
      if (!fingerprints.has(recordId)) events.push(deletedEvent(job.dataType, recordId, emptyDeletedIds))
    return { events, fingerprints }
  }

  #complete(account: Account, job: SyncJob, run: Run): void {
    run.state = 'COMPLETED'
    this.#send(account, allConsumedEvent(run, this.#deps.clock.now()), job, run)
  }

  #consumed(account: Account, job: SyncJob, run: Run): void {
    run.consumed++
    if (run.state === 'PROCESSED' && run.consumed === run.emitted) this.#complete(account, job, run)
  }

  #send(account: Account, event: PlannedEvent, job?: SyncJob, run?: Run): void {
    const { delivery, clock, settings, stats } = this.#deps
    const eventId = `e_${++this.#events}`
    const isRecord = event.eventType.startsWith('record.')
    const triggeredAtMs = settings.triggeredAt ? clock.now() : null
    stats.eventsEmitted++
    delivery.send({
      ...{ eventId, eventType: event.eventType, integrationId: account.integrationId, recordId: event.recordId },
      dataType: job?.dataType ?? '',
      body: envelope(event, { eventId, triggeredAtMs, ...(job && { job }), ...(run && { run }) }),
      destination: job?.destination ?? null,
      onAcknowledged: () => {
        if (isRecord && job && run) this.#consumed(account, job, run)
      },
    })
  }
}
