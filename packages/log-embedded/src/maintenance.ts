import type { BatchWriter } from './batch.ts'
import { type Committer, closedError } from './committer.ts'
import { compact } from './compaction.ts'
import type { Environment } from './environment.ts'
import { expire } from './retention.ts'
import { purgeGarbage } from './state.ts'
import type { Topics } from './topics.ts'

export interface MaintenanceOptions {
  /** How long compaction keeps tombstones, counted from when it first met them, so that slow readers see them. Default 24 h. */
  readonly deleteRetentionMs: number
  /** A partition is compacted when at least this share of its bytes was not compacted yet. Default 0.5, as in Kafka. */
  readonly minDirtyRatio: number
  /** Distinct keys held in memory per round of compaction; a partition with more takes several rounds. Default 200,000. */
  readonly compactionKeysMax: number
}

export interface PartitionReport {
  readonly topic: string
  readonly partition: number
  readonly records: number
  readonly bytes: number
}

export interface MaintenanceReport {
  /** What retention removed. */
  readonly expired: readonly PartitionReport[]
  /** What compaction removed. */
  readonly compacted: readonly PartitionReport[]
  /** State entries removed that a clear had given up. */
  readonly purgedEntries: number
}

export interface MaintenanceContext {
  readonly environment: Environment
  readonly committer: Committer
  readonly topics: Topics
  readonly writer: BatchWriter
}

/** What retention and compaction of one partition work with. */
export interface PartitionWork extends MaintenanceContext {
  readonly topicId: number
  readonly partition: number
  readonly nowMs: number
  /** Lets other work of the process run; throws LOG_CLOSED when the log is closing. */
  pause(): Promise<void>
}

export interface Removed {
  readonly records: number
  readonly bytes: number
}

/** Retention and compaction over all topics, one run at a time. */
export class Maintainer {
  readonly #context: MaintenanceContext
  readonly #options: MaintenanceOptions
  #running: Promise<MaintenanceReport> | undefined
  #closing = false

  constructor(context: MaintenanceContext, options: Partial<MaintenanceOptions>) {
    this.#context = context
    this.#options = {
      deleteRetentionMs: options.deleteRetentionMs ?? 24 * 3600_000,
      minDirtyRatio: options.minDirtyRatio ?? 0.5,
      compactionKeysMax: options.compactionKeysMax ?? 200_000,
    }
  }

  run(nowMs: number): Promise<MaintenanceReport> {
    this.#running ??= this.#run(nowMs).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Makes a run end at its next pause, and waits for that. Its caller gets LOG_CLOSED. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.allSettled([this.#running])
  }

  async #run(nowMs: number): Promise<MaintenanceReport> {
    const { environment, committer, topics } = this.#context
    const expired: PartitionReport[] = []
    const compacted: PartitionReport[] = []
    for (const { id, spec } of topics.list()) {
      for (let partition = 0; partition < spec.partitions; partition++) {
        const work = { ...this.#context, topicId: id, partition, nowMs, pause: () => this.#pause() }
        const report = { topic: spec.name, partition }
        if (spec.cleanup === 'compact') add(compacted, report, await compact(work, this.#options))
        else if (spec.retentionMs !== null) add(expired, report, await expire(work, spec.retentionMs))
      }
      await this.#pause()
    }
    return { expired, compacted, purgedEntries: await purgeGarbage(environment, committer) }
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.#closing) throw closedError(this.#context.environment.path)
  }
}

function add(to: PartitionReport[], where: { topic: string; partition: number }, removed: Removed): void {
  if (removed.records > 0) to.push({ ...where, ...removed })
}
