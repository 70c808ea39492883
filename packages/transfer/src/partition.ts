import { TidemarkError } from '@tidemark/base'
import type { EventLog, LogRecord } from '@tidemark/log'
import { invalid } from './format.ts'
import { inUse } from './preflight.ts'
import type { Present } from './present.ts'

/** One partition that is being written, and what it has to become. */
export interface PartitionTarget {
  readonly log: EventLog
  readonly topic: string
  readonly partition: number
  /** Offsets may have holes in the source; in the target they are closed. */
  readonly compacted: boolean
  /** The first offset to be filled. */
  readonly from: number
  /** Offsets below are there already, or were and have been removed since. */
  readonly present: Present
  /** Called before anything is appended; further calls do nothing. */
  readonly beforeAppend: () => Promise<void>
  /** Positions of groups, as source offsets: told where they are in the target. */
  readonly positions: readonly { readonly group: string; readonly position: number }[]
}

/**
 * Writes the records of one partition in order, one request under way while the next is being read. What is there already is compared
 * instead. Offsets are checked one by one: whoever else writes is noticed.
 */
export class PartitionWriter {
  readonly #target: PartitionTarget
  readonly #mapped = new Map<string, number>()
  #next: number
  #writing: Promise<void> = Promise.resolve()
  /** Records appended, those that were there left out. */
  appended = 0

  constructor(target: PartitionTarget) {
    this.#target = target
    this.#next = target.from
  }

  /** Resolves when the records have been compared, or handed to the log. Rejects also when the records before could not be written. */
  async write(records: readonly LogRecord[]): Promise<void> {
    const { topic, partition, compacted, present } = this.#target
    const first = this.#next
    let compared = 0
    for (const record of records) {
      const offset = this.#next++
      if (!compacted && record.offset !== offset) {
        throw invalid(`The export has offset ${record.offset} of ${topic}/${partition} where ${offset} belongs.`)
      }
      this.#map(record.offset, offset)
      if (offset >= present.end) continue
      compared++
      const found = await present.at(offset)
      if (found !== undefined && !isSame(found, record))
        throw inUse(`${topic}/${partition}`, `offset ${offset} differs`)
    }
    await this.#writing
    if (compared === records.length) return
    this.#writing = this.#append(records.slice(compared), first + compared)
    // Whoever calls next, or ends, is told.
    this.#writing.catch(() => undefined)
  }

  /** Resolves when nothing is under way any more, whatever came of it. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => undefined)
  }

  /** Waits for the last request. Returns the offset behind the last record, and the positions in the target. */
  async end(): Promise<{ readonly end: number; readonly positions: ReadonlyMap<string, number> }> {
    await this.#writing
    const { topic, partition, present, positions } = this.#target
    if (this.#next < present.end) {
      throw inUse(`${topic}/${partition}`, `it has ${present.end - this.#next} records more`)
    }
    for (const { group } of positions) if (!this.#mapped.has(group)) this.#mapped.set(group, this.#next)
    return { end: this.#next, positions: this.#mapped }
  }

  /** A position is that of the first record at or behind it. */
  #map(source: number, offset: number): void {
    for (const { group, position } of this.#target.positions) {
      if (source >= position && !this.#mapped.has(group)) this.#mapped.set(group, offset)
    }
  }

  async #append(records: readonly LogRecord[], expected: number): Promise<void> {
    const { log, topic, partition, beforeAppend } = this.#target
    await beforeAppend()
    const appended = await log
      .append(records.map(({ key, value, timestampMs }) => ({ topic, partition, key, value, timestampMs })))
      .catch((error: unknown) => {
        throw interrupted(error, `${topic}/${partition}`)
      })
    const wrong = appended.findIndex((offset, i) => offset !== expected + i)
    if (wrong >= 0) {
      throw inUse(`${topic}/${partition}`, `a record got offset ${appended[wrong]} instead of ${expected + wrong}`)
    }
    this.appended += records.length
  }
}

function interrupted(error: unknown, partition: string): unknown {
  if (!(error instanceof TidemarkError) || error.next !== 'retry') return error
  return new TidemarkError(
    error.code,
    `Importing ${partition} was interrupted: ${error.message} Run the same import again: it goes on where it was.`,
    { cause: error, fields: error.fields },
  )
}

function isSame(a: LogRecord, b: LogRecord): boolean {
  return a.timestampMs === b.timestampMs && equalBytes(a.key, b.key) && equalBytes(a.value, b.value)
}

function equalBytes(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b)
}
