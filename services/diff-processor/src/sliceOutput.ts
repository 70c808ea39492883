import type { OpenCodec } from '@tidemark/codec'
import type { Op, Outcome } from '@tidemark/diff'
import type { AppendRecord, StateReader, StateWrite } from '@tidemark/log'
import { changesTopic, type ModelName, partitionOf, SYNCS_TOPIC, snapshotsTopic } from '@tidemark/model'
import { type CompleteRuns, completeRuns } from './completeRuns.ts'
import { createOverlay, type Overlay } from './overlay.ts'
import { RunTally } from './runTally.ts'

/** What one slice of a partition's observations adds up to; committed as a whole or not at all. */
export interface SliceOutput {
  readonly outputs: readonly AppendRecord[]
  readonly state: readonly StateWrite[]
  readonly counts: SliceCounts
}

export interface SliceCounts {
  readonly outcomes: Readonly<Record<Outcome['kind'] | 'dead' | 'control', number>>
  readonly changes: readonly { readonly model: ModelName; readonly op: Op }[]
  readonly drift: readonly { readonly integration: string; readonly model: ModelName; readonly count: number }[]
}

/** Where a record's outcome came from: an observation, which the differ still holds, or a list that lacks the record. */
export type Origin =
  | 'observation'
  | { readonly integrationId: string; readonly syncId: string | null; readonly kind: string }

/** Collects outputs, state and counts of one slice. */
export class SliceCollector {
  readonly overlay: Overlay
  readonly completeRuns: CompleteRuns
  readonly outcomes = { repeated: 0, unchanged: 0, unknown: 0, stale: 0, refreshed: 0, changed: 0, dead: 0, control: 0 }
  readonly outputs: AppendRecord[] = []
  readonly #changes: { model: ModelName; op: Op }[] = []
  readonly #tally = new RunTally()
  readonly #codec: OpenCodec
  readonly #partition: number
  #bytes = 0

  constructor(codec: OpenCodec, state: StateReader, partition: number) {
    this.#codec = codec
    this.overlay = createOverlay(state)
    this.completeRuns = completeRuns(codec, this.overlay)
    this.#partition = partition
  }

  /** Encoded bytes of the outputs. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes on what became of one record. */
  outcome(model: ModelName, key: Buffer, result: Outcome, timestampMs: number): void {
    this.outcomes[result.kind]++
    if (result.kind !== 'changed' && result.kind !== 'refreshed') return
    if (result.kind === 'changed') {
      this.#changes.push({ model, op: result.op })
      this.emit(changesTopic(model), key, result.change, timestampMs)
    }
    this.emit(snapshotsTopic(model), key, result.snapshot, timestampMs)
    this.overlay.set(key, result.snapshot)
  }

  get tally(): RunTally {
    return this.#tally
  }

  emit(topic: string, key: Buffer | null, value: Buffer, timestampMs: number, partition = this.#partition): void {
    this.outputs.push({ topic, partition, key, value, timestampMs })
    this.#bytes += value.length + (key?.length ?? 0)
  }

  /** Adds what the runs came to, `partitions` being those of ats.syncs, and ends the slice. */
  finish(timestampMs: number, partitions: number | undefined): SliceOutput {
    if (partitions !== undefined) {
      for (const event of this.#tally.events(timestampMs)) {
        const partition = partitionOf(event.integration_id, partitions)
        const value = this.#codec.encode('SyncEvent', event)
        this.emit(SYNCS_TOPIC, Buffer.from(event.integration_id), value, timestampMs, partition)
      }
    }
    const { outputs, outcomes } = this
    return {
      outputs,
      state: this.overlay.writes(),
      counts: { outcomes, changes: this.#changes, drift: this.#tally.drift() },
    }
  }
}
