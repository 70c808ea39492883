import type { Codec } from '@tidemark/codec'
import type { AppendRecord, EventLog } from '@tidemark/log'
import { partitionOf, SYNCS_TOPIC, type SyncEvent } from '@tidemark/model'
import type { IngressState } from './state.ts'

/** Events of one append. */
const BATCH_MAX = 500

interface Waiting {
  readonly event: SyncEvent
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Writes ats.syncs. Events keep the order in which they were given; those that arrive while one append is under way share the next.
 * An event is folded into the state after it is durable, in the same order.
 */
export class SyncLog {
  readonly #log: EventLog
  readonly #codec: Codec
  readonly #state: IngressState
  readonly #partitions: number
  #waiting: Waiting[] = []
  #flushing: Promise<void> | undefined

  constructor(deps: {
    readonly log: EventLog
    readonly codec: Codec
    readonly state: IngressState
    readonly partitions: number
  }) {
    this.#log = deps.log
    this.#codec = deps.codec
    this.#state = deps.state
    this.#partitions = deps.partitions
  }

  /** Resolves when the event is durable and folded. Rejects with what the log or the state store threw. */
  append(event: SyncEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await this.#flushing
  }

  async #flush(): Promise<void> {
    // One turn of the event loop gathers what belongs together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX)
      try {
        await this.#write(batch.map(({ event }) => event))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    // In the same turn as the check above: an event that arrives later must find no flush that will not see it.
    this.#flushing = undefined
  }

  async #write(events: readonly SyncEvent[]): Promise<void> {
    const records = events.map((event) => this.#record(event))
    const offsets = await this.#log.append(records)
    const positions = new Map<number, number>()
    for (const [i, { partition }] of records.entries()) positions.set(partition, (offsets[i] ?? 0) + 1)
    await this.#state.fold(events, positions)
  }

  #record(event: SyncEvent): AppendRecord {
    return {
      topic: SYNCS_TOPIC,
      partition: partitionOf(event.integration_id, this.#partitions),
      key: Buffer.from(event.integration_id),
      value: this.#codec.encode('SyncEvent', event),
      timestampMs: event.at,
    }
  }
}
