/**
 * Decides about sweeps. Each partition answers a sweep_end with what the complete listing did not have there; when all have answered:
 *
 *   counted --nothing is missing--> swept NOTHING
 *           --more than the guard allows--> mass_deletion_held --confirmed--> sweep_end again, without the guard
 *           --the listing may have shifted--> confirmed by point reads, or by a second complete run
 *           --else--> sweep_apply --all have answered--> swept DELETED
 *
 * An answer's command is let go when what follows from it is durable, so whatever ends the process, the next one decides again; deciding
 * twice deletes once.
 */
import { backoffMs, type Clock, classify, type Random } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { EventLog } from '@tidemark/log'
import {
  isModelName,
  type ModelName,
  OBSERVED_TOPIC,
  type SweepReport,
  type SyncEvent,
  syncEvent,
} from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { NamedSource } from '../fetchStream.ts'
import type { Integrations } from '../integrations.ts'
import { confirmByPointReads } from '../pointReads.ts'
import type { IngressState } from '../state.ts'
import type { SyncLog } from '../syncLog.ts'
import { AnswerGroups, type Answers } from './answers.ts'
import { controlRecords } from './controls.ts'
import { DEFAULT_GUARD, isHeld, type SweepGuard } from './guard.ts'
import type { HeldSweep, SweepDetails, SweptRun } from './sweepState.ts'

export interface SweepDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  readonly partitions: number
  readonly state: IngressState
  readonly syncLog: SyncLog
  readonly integrations: Integrations
  /** Asks for one more complete run of a stream. */
  readonly askAgain: (source: NamedSource, integrationId: string, stream: string) => void
  readonly guard?: SweepGuard
}

/** What a sweep is about, with the source that reads it. */
interface Target {
  readonly from: NamedSource
  readonly integrationId: string
  readonly model: ModelName
  readonly stream: string
  readonly syncId: string
}

const BACKOFF = { startMs: 1000, maxMs: 300_000 }

export class SweepCoordinator {
  readonly #deps: SweepDeps
  readonly #signal: AbortSignal
  readonly #groups: AnswerGroups
  /**
   * By integration and model: where a run began whose sweep reaches back to the run before it. Lost with the process, and then the run counts
   * as none that another one may confirm.
   */
  readonly #reachingBack = new Map<string, SweptRun>()
  /**
   * Decisions about an integration go one after another: point reads of several sweeps would only wait for the same quota. Not those about others:
   * an integration whose provider refuses to answer waits for days.
   */
  readonly #tails = new Map<string, Promise<void>>()

  constructor(deps: SweepDeps, signal: AbortSignal) {
    this.#deps = deps
    this.#signal = signal
    this.#groups = new AnswerGroups(deps.partitions)
    this.#showHeld()
  }

  /** Takes a partition's answer; `release` is called when its command is done with. */
  answer(integrationId: string, report: SweepReport, release: () => void): void {
    if (this.#isOver(integrationId, report)) {
      release()
      return
    }
    const answers = this.#groups.add(integrationId, report, release)
    if (answers === null) return
    const before = this.#tails.get(integrationId) ?? Promise.resolve()
    this.#tails.set(
      integrationId,
      before.then(() => this.#settle(answers)),
    )
  }

  /** Resolves when nothing is being decided. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values())
  }

  /** Carries a held sweep out after all, or drops it. Durable when resolved; false when none is held. */
  async decide(held: HeldSweep, isConfirmed: boolean, actor: string | null): Promise<void> {
    const { integrationId, model, syncId, source, details } = held
    const { log, codec, clock, partitions, syncLog, logger } = this.#deps
    const atMs = clock.now()
    if (isConfirmed && isModelName(model)) {
      const scope = { integrationId, model, syncId, causeKind: details.causeKind }
      const again = { kind: 'sweep_end', atMs, confirmedBy: actor ?? 'operator', ...controlOf(details) } as const
      await log.append(controlRecords(codec, partitions, { ...scope, ...again }))
    }
    const state = isConfirmed ? 'CONFIRMED' : 'DISCARDED'
    await syncLog.append(
      syncEvent({
        ...{ source, integration_id: integrationId, event: 'held_decided', at: atMs, sync_id: syncId, kind: 'full' },
        ...{ model, state, actor, suspects: held.suspects, records: held.records },
      }),
    )
    logger.info({ integration_id: integrationId, model, sync_id: syncId, state, actor }, 'a held sweep was decided')
    this.#showHeld()
  }

  /** Tries until it is done, the process stops, or the integration is gone. */
  async #settle(answers: Answers): Promise<void> {
    const { clock, random, logger } = this.#deps
    for (let attempt = 0; !this.#signal.aborted; attempt++) {
      try {
        const target = this.#target(answers)
        if (target) await this.#conclude(target, answers)
        answers.release()
        const { integrationId, model } = answers
        this.#groups.forget(integrationId, model, (report) => this.#isOver(integrationId, report))
        return
      } catch (thrown) {
        const error = classify(thrown)
        if (this.#signal.aborted) return
        const waitMs = Math.ceil(backoffMs(attempt, BACKOFF, random))
        const { integrationId, model, syncId } = answers
        const fields = { err: error, integration_id: integrationId, model, sync_id: syncId, waitMs }
        logger.warn(fields, 'what a complete run did not have could not be settled; tried again')
        await clock.sleep(waitMs, this.#signal)
      }
    }
  }

  #target({ integrationId, model, syncId }: Answers): Target | undefined {
    const live = this.#deps.integrations.list().find(({ id }) => id === integrationId)
    if (!live || !isModelName(model)) return undefined
    const { source } = live.source
    const stream = source.streams.find((name) => source.modelsOf(name).includes(model))
    return stream === undefined ? undefined : { from: live.source, integrationId, model, stream, syncId }
  }

  async #conclude(target: Target, answers: Answers): Promise<void> {
    if (answers.reports.some((report) => this.#isOver(target.integrationId, report))) return
    const skipped = answers.reports.find(({ phase }) => phase === 'skipped')
    if (skipped) return await this.#skip(target, answers, skipped.reason ?? 'a partition could not be swept')
    if (answers.reports[0]?.to === 'sweep_apply') return await this.#applied(target, answers)
    const suspects = sum(answers, 'suspects')
    if (suspects + sum(answers, 'children') === 0) return await this.#swept(target, answers, 'NOTHING', 0)
    const records = sum(answers, 'records')
    const confirmedBy = answers.reports[0]?.confirmed_by ?? null
    if (confirmedBy === null && isHeld(this.#deps.guard ?? DEFAULT_GUARD, suspects, records))
      return await this.#hold(target, answers, suspects, records)
    if (answers.reports[0]?.names_suspects !== true) return await this.#apply(target, detailsOf(answers), confirmedBy)
    const { pointReads } = target.from.source
    if (pointReads?.models.has(target.model)) {
      const deleted = await confirmByPointReads(
        this.#deps,
        { ...target, keys: answers.keys, confirmedBy, ...causeOf(answers) },
        this.#signal,
      )
      return await this.#swept(target, answers, 'DELETED', deleted)
    }
    await this.#confirmBySecondRun(target, answers, confirmedBy)
  }

  /**
   * Answers may be read again by the next process, and questions that it asked again are answered twice. A run that is not newer than the last one
   * that was swept has nothing to say any more: that one said again what is gone, and what it saw must not be measured by older runs.
   */
  #isOver(integrationId: string, { model, partition, begin_offset: begin, sync_id: syncId }: SweepReport): boolean {
    const last = this.#deps.state.lastSweptRun(integrationId, model)
    const lastBegin = last?.details.partitions[partition]?.beginOffset
    if (lastBegin === undefined) return false
    // A sweep that reaches back begins where the last run did, in its own name.
    return begin < lastBegin || (begin === lastBegin && syncId === last?.syncId)
  }

  /** What two complete runs in a row did not have is gone: the sweep reaches back to where the first of them began. */
  async #confirmBySecondRun(target: Target, answers: Answers, confirmedBy: string | null): Promise<void> {
    const { state, askAgain } = this.#deps
    const details = detailsOf(answers)
    const before = state.lastSweptRun(target.integrationId, target.model)
    if (before && (await this.#isKept(before))) {
      const partitions = details.partitions.map(({ spared }, i) => ({
        beginOffset: before.details.partitions[i]?.beginOffset ?? 0,
        spared: [...spared, ...(before.details.partitions[i]?.spared ?? [])],
      }))
      this.#reachingBack.set(nameOf(target), { syncId: target.syncId, details })
      return await this.#apply(target, { ...details, partitions }, confirmedBy)
    }
    await this.#swept(target, answers, 'UNCONFIRMED', 0)
    askAgain(target.from, target.integrationId, target.stream)
  }

  /** Whether the log still has everything since a run began. */
  async #isKept({ details }: SweptRun): Promise<boolean> {
    for (const [partition, { beginOffset }] of details.partitions.entries()) {
      const { start } = await this.#deps.log.bounds(OBSERVED_TOPIC, partition)
      if (start > beginOffset) return false
    }
    return true
  }

  async #apply(target: Target, details: SweepDetails, confirmedBy: string | null): Promise<void> {
    const { log, codec, clock, partitions } = this.#deps
    const { integrationId, model, syncId } = target
    const scope = { integrationId, model, syncId, causeKind: details.causeKind }
    const apply = { kind: 'sweep_apply', atMs: clock.now(), confirmedBy, ...controlOf(details) } as const
    await log.append(controlRecords(codec, partitions, { ...scope, ...apply }))
  }

  async #applied(target: Target, answers: Answers): Promise<void> {
    const own = this.#ownDetails(target, answers)
    await this.#swept(target, answers, 'DELETED', sum(answers, 'deleted'), own)
    this.#reachingBack.delete(nameOf(target))
  }

  /** The answers to a sweep that reached back say where that was, not where the run itself began. */
  #ownDetails(target: Target, answers: Answers): SweepDetails | null {
    if (answers.reports[0]?.names_suspects !== true) return detailsOf(answers)
    const run = this.#reachingBack.get(nameOf(target))
    return run?.syncId === target.syncId ? run.details : null
  }

  async #hold(target: Target, answers: Answers, suspects: number, records: number): Promise<void> {
    const { integrationId, model } = target
    const share = Math.round((suspects / Math.max(1, records)) * 100)
    const message =
      `A complete run did not have ${suspects} of ${records} ${model} of ${integrationId} (${share} %). Nothing was deleted. ` +
      `To decide: tidemark sync held`
    await this.#deps.syncLog.append(this.#event(target, answers, 'mass_deletion_held', { suspects, records, message }))
    this.#deps.logger.warn({ integration_id: integrationId, model, suspects, records }, message)
    this.#deps.metrics.sweeps.inc({ state: 'HELD' })
    this.#showHeld()
  }

  async #skip(target: Target, answers: Answers, reason: string): Promise<void> {
    const message = `What is gone of ${target.model} cannot be told from this run: ${reason}.`
    const event = this.#event(target, answers, 'swept', { state: 'SKIPPED', message })
    await this.#deps.syncLog.append({ ...event, details: null })
    this.#deps.metrics.sweeps.inc({ state: 'SKIPPED' })
  }

  async #swept(
    target: Target,
    answers: Answers,
    state: string,
    deleted: number,
    own: SweepDetails | null = detailsOf(answers),
  ): Promise<void> {
    const counts = {
      records: sum(answers, 'records'),
      suspects: state === 'DELETED' ? deleted : sum(answers, 'suspects'),
    }
    const details = own === null ? null : JSON.stringify(own)
    await this.#deps.syncLog.append(this.#event(target, answers, 'swept', { state, ...counts, details }))
    this.#deps.metrics.sweeps.inc({ state })
    this.#showHeld()
  }

  #event(target: Target, answers: Answers, event: string, fields: Partial<SyncEvent>): SyncEvent {
    const { from, integrationId, model, stream, syncId } = target
    return syncEvent({
      ...{ source: from.name, integration_id: integrationId, event, at: this.#deps.clock.now(), sync_id: syncId },
      ...{ kind: 'full', stream, model, details: JSON.stringify(detailsOf(answers)) },
      ...fields,
    })
  }

  #showHeld(): void {
    this.#deps.metrics.heldSweeps.set(this.#deps.state.heldSweeps().length)
  }
}

const sum = ({ reports }: Answers, name: 'records' | 'suspects' | 'children' | 'deleted'): number =>
  reports.reduce((total, report) => total + report[name], 0)

const nameOf = ({ integrationId, model }: Target): string => `${integrationId}\0${model}`

function detailsOf({ reports }: Answers): SweepDetails {
  const first = reports[0] as SweepReport
  return {
    partitions: reports.map(({ begin_offset, spared }) => ({ beginOffset: begin_offset, spared })),
    fetchStartedAtMs: first.fetch_started_at,
    causeKind: first.cause_kind,
    pages: first.pages,
    listed: first.listed,
    namesSuspects: first.names_suspects,
  }
}

const causeOf = ({ reports }: Answers): { readonly causeKind: string } => ({
  causeKind: reports[0]?.cause_kind ?? 'full_sync',
})

const controlOf = ({ partitions, fetchStartedAtMs, pages, listed, namesSuspects }: SweepDetails) => ({
  partitions,
  fetchStartedAtMs,
  pages,
  records: listed,
  namesSuspects,
})
