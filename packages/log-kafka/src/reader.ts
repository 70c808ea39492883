import { setMaxListeners } from 'node:events'
import { type Clock, TidemarkError } from '@tidemark/base'
import type { Bounds, FetchRequest, FetchResult } from '@tidemark/log'
import type { Connection } from './connection.ts'
import { translate } from './errors.ts'
import { type FetchedPartition, readFetchAnswer } from './fetchAnswer.ts'
import { type Broker, errorOf, type FetchPartition, sendFetch } from './kafkajs.ts'
import type { Poller } from './poller.ts'
import { type DecodedRecords, decodeRecordSet } from './recordBatch.ts'
import { partitionName, type Visibility } from './visibility.ts'

const RECORDS_MAX = 10_000
const BYTES_MAX = 4 * 1024 * 1024
/** A batch is fetched whole: keys, values and what is around them. */
const OVERHEAD_BYTES = 64 * 1024
const EARLIEST = -2
const LATEST = -1

interface Decoded extends DecodedRecords {
  readonly endOffset: number
}

/** Reads partitions without a group: committed records only, and an offset outside the log is an error, never a jump. */
export class Reader {
  readonly #connection: Connection
  readonly #poller: Poller
  readonly #visibility: Visibility
  readonly #clock: Clock
  readonly #closing = new AbortController()

  constructor(connection: Connection, poller: Poller, visibility: Visibility) {
    this.#connection = connection
    this.#poller = poller
    this.#visibility = visibility
    this.#clock = connection.clock
    // One listener per waiting fetch is what is meant here, not a leak.
    setMaxListeners(0, this.#closing.signal)
  }

  /** Ends waiting fetches. */
  close(): void {
    this.#closing.abort()
  }

  /** See EventLog.fetch. */
  async fetch(request: FetchRequest): Promise<FetchResult> {
    if (request.offset < 0) throw this.#outOfRange(request)
    try {
      return await this.#fetch(request)
    } catch (error) {
      // What was under way when the log was closed ends empty.
      if (!this.#closing.signal.aborted) throw error
      return { records: [], nextOffset: request.offset, endOffset: request.offset }
    }
  }

  async #fetch(request: FetchRequest): Promise<FetchResult> {
    const { topic, partition, waitMs = 0 } = request
    const name = partitionName(topic, partition)
    let last = await this.#visibility.read(
      [name],
      () => this.#fetchNow(request, request.offset),
      ({ records, endOffset }) => records.length > 0 || endOffset >= (this.#visibility.of(name) ?? 0),
    )
    this.#visibility.seen(name, last.endOffset)
    // Past control records and aborted ones it also returns: the caller learns that there is nothing up to there.
    const isOver = (): boolean => last.records.length > 0 || last.nextOffset > request.offset
    if (isOver() || waitMs <= 0) return last
    const until = this.#clock.now() + waitMs
    const ended = new AbortController()
    const end = (): void => ended.abort()
    const sources = request.signal ? [this.#closing.signal, request.signal] : [this.#closing.signal]
    for (const source of sources) source.addEventListener('abort', end, { once: true })
    if (sources.some(({ aborted }) => aborted)) end()
    void this.#clock.sleep(waitMs, ended.signal).then(end)
    try {
      while (!isOver() && !ended.signal.aborted && this.#clock.now() < until) {
        last = await this.#fetchWaiting(request, last.nextOffset, ended.signal, last.endOffset)
      }
    } finally {
      end()
      for (const source of sources) source.removeEventListener('abort', end)
    }
    return last
  }

  /** See EventLog.bounds. */
  async bounds(topic: string, partition: number): Promise<Bounds> {
    const name = partitionName(topic, partition)
    const [start, end] = await Promise.all([
      this.#listOffset(topic, partition, EARLIEST),
      this.#visibility.read(
        [name],
        () => this.#listOffset(topic, partition, LATEST),
        (found) => found >= (this.#visibility.of(name) ?? 0),
      ),
    ])
    this.#visibility.seen(name, end)
    return { start, end }
  }

  /** See EventLog.offsetAt. */
  async offsetAt(topic: string, partition: number, timestampMs: number): Promise<number> {
    // Times before 1970 would be read as "latest" and "earliest".
    const found = await this.#listOffset(topic, partition, Math.max(0, timestampMs))
    return found >= 0 ? found : (await this.bounds(topic, partition)).end
  }

  #listOffset(topic: string, partition: number, timestamp: number): Promise<number> {
    const what = `Looking for offsets of ${topic}/${partition}`
    return this.#connection.onLeader(topic, partition, what, async (broker) => {
      const { responses } = await broker.listOffsets({
        isolationLevel: 1,
        topics: [{ topic, partitions: [{ partition, timestamp: String(timestamp) }] }],
      })
      return Number(responses[0]?.partitions[0]?.offset ?? -1)
    })
  }

  /** What is there now. Batches of aborted transactions, control records and compacted ones are passed over. */
  async #fetchNow(request: FetchRequest, from: number): Promise<FetchResult> {
    for (let offset = from; ; ) {
      const asked = this.#asked(request, offset)
      const what = `Reading ${request.topic}/${request.partition} at ${offset}`
      const fetched = await this.#connection
        .onLeader(request.topic, request.partition, what, (broker) => fetchOne(broker, asked))
        .catch((error: unknown) => {
          throw this.#explain(error, request, offset)
        })
      const decoded = decode(fetched, request, offset)
      const done = decoded.records.length > 0 || decoded.nextOffset >= decoded.endOffset
      if (done || decoded.nextOffset === offset) return decoded
      offset = decoded.nextOffset
    }
  }

  async #fetchWaiting(request: FetchRequest, offset: number, signal: AbortSignal, end: number): Promise<FetchResult> {
    const { topic, partition } = request
    const nothing = { records: [], nextOffset: offset, endOffset: end }
    try {
      const fetched = await this.#poller.wait(this.#asked(request, offset), signal)
      if (!fetched) return nothing
      if (fetched.errorCode !== 0) throw errorOf(fetched.errorCode)
      const decoded = decode(fetched, request, offset)
      if (decoded.records.length > 0) return decoded
      return decoded.nextOffset > offset ? this.#fetchNow(request, decoded.nextOffset) : decoded
    } catch (error) {
      // Whatever it was (a new leader, a cut connection): reading at once tries again, with the deadline of an operation.
      if (signal.aborted) return nothing
      const failure = translate(error, { what: `Waiting for ${topic}/${partition}`, brokers: this.#connection.brokers })
      if (failure.next !== 'retry') throw this.#explain(failure, request, offset)
      await this.#clock.sleep(100, signal)
      await this.#connection.refresh().catch(() => undefined)
      return signal.aborted ? nothing : this.#fetchNow(request, offset)
    }
  }

  #asked({ topic, partition, bytesMax = BYTES_MAX }: FetchRequest, offset: number): FetchPartition {
    return { topic, partition, offset, bytesMax: bytesMax + OVERHEAD_BYTES }
  }

  #explain(error: unknown, request: FetchRequest, offset: number): unknown {
    if (error instanceof TidemarkError && error.code === 'OFFSET_OUT_OF_RANGE') {
      return this.#outOfRange({ ...request, offset }, error)
    }
    return error
  }

  #outOfRange({ topic, partition, offset }: FetchRequest, cause?: unknown): TidemarkError {
    return new TidemarkError(
      'OFFSET_OUT_OF_RANGE',
      `Offset ${offset} of ${topic}/${partition} is outside the retained range: retention removed it, or the topic was created anew. Nothing was skipped; decide where to go on.`,
      { cause, fields: { topic, partition, offset } },
    )
  }
}

async function fetchOne(broker: Broker, asked: FetchPartition): Promise<FetchedPartition> {
  const answer = readFetchAnswer(await sendFetch(broker, [asked], { waitMs: 0, bytesMax: asked.bytesMax }))
  const [fetched] = answer.partitions
  if (answer.errorCode !== 0 || !fetched) throw errorOf(answer.errorCode)
  if (fetched.errorCode !== 0) throw errorOf(fetched.errorCode)
  return fetched
}

function decode(fetched: FetchedPartition, request: FetchRequest, offset: number): Decoded {
  const { topic, partition, recordsMax = RECORDS_MAX, bytesMax = BYTES_MAX } = request
  const { aborted, records, lastStableOffset } = fetched
  try {
    const decoded = decodeRecordSet(records, { offset, aborted, recordsMax, bytesMax })
    return { ...decoded, endOffset: Math.max(lastStableOffset, decoded.nextOffset) }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TidemarkError('VALUE_UNDECODABLE', `${topic}/${partition} at ${offset} cannot be read: ${why}.`, {
      cause,
      fields: { topic, partition, offset },
    })
  }
}
