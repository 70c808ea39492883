import { TidemarkError } from '@tidemark/base'
import type { Bounds, EventLog, LogRecord } from '@tidemark/log'

/** What a partition of the target holds already, read once and in order. */
export class Present {
  readonly end: number
  readonly #log: EventLog
  readonly #topic: string
  readonly #partition: number
  #next: number
  #records: readonly LogRecord[] = []
  #at = 0

  constructor(log: EventLog, topic: string, partition: number, { start, end }: Bounds) {
    this.end = end
    this.#log = log
    this.#topic = topic
    this.#partition = partition
    this.#next = start
  }

  /** The record at an offset; undefined when retention or compaction removed it. Offsets must rise from call to call. */
  async at(offset: number): Promise<LogRecord | undefined> {
    for (;;) {
      while ((this.#records[this.#at]?.offset ?? Number.POSITIVE_INFINITY) < offset) this.#at++
      const record = this.#records[this.#at]
      if (record !== undefined) return record.offset === offset ? record : undefined
      if (this.#next > offset || this.#next >= this.end) return undefined
      await this.#fetch()
    }
  }

  async #fetch(): Promise<void> {
    const request = { topic: this.#topic, partition: this.#partition, offset: this.#next, waitMs: 1000 }
    const { records, nextOffset } = await this.#log.fetch(request)
    if (nextOffset <= this.#next) {
      throw new TidemarkError(
        'LOG_UNAVAILABLE',
        `${this.#topic}/${this.#partition} of the target cannot be read at ${this.#next} yet; run the import again.`,
      )
    }
    this.#records = records
    this.#at = 0
    this.#next = nextOffset
  }
}
