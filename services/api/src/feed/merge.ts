import { setImmediate as nextTurn } from 'node:timers/promises'
import { classify, type TidemarkError } from '@tidemark/base'
import type { Change, Codec } from '@tidemark/codec'
import type { LogRecord, Tail, TailReader } from '@tidemark/log'
import type { ModelName } from '@tidemark/model'

/** A change in the order of the feed, with the position that follows it. */
export type FeedItem =
  | { readonly kind: 'change'; readonly model: ModelName; readonly change: Change }
  | {
      readonly kind: 'undecodable'
      readonly reader: TailReader
      readonly offset: number
      readonly error: TidemarkError
    }

interface Head {
  readonly record: LogRecord
  readonly item: FeedItem | null
  /** Where the change's observation stands: the order of changes of different models in one partition. */
  readonly observed: number
}

/**
 * Merges the readers of a tail: records of one partition, whatever their topic, in the order of their observations as far as they
 * are there when they are looked for; partitions in turn.
 */
export interface Merge {
  /**
   * Calls `emit` for up to `max` records and returns how many it took; 0 at the end of what is there. After every call of `emit`
   * the readers stand behind that record.
   */
  pump(max: number, emit: (item: FeedItem) => void): Promise<number>
}

export function createMerge(tail: Tail, models: readonly ModelName[], codec: Codec): Merge {
  const modelOf = new Map(tail.readers.map((reader, i) => [reader, models[i] as ModelName]))
  const partitions = [...Map.groupBy(tail.readers, (reader) => reader.partition).values()]
  const heads = new Map<TailReader, Head>()
  let first = 0

  const headOf = (reader: TailReader): Head | undefined => {
    const record = reader.head
    if (!record) return undefined
    const known = heads.get(reader)
    if (known?.record === record) return known
    const head = decodeHead(codec, reader, modelOf.get(reader) as ModelName, record)
    heads.set(reader, head)
    return head
  }

  const drain = async (
    readers: readonly TailReader[],
    max: number,
    emit: (item: FeedItem) => void,
  ): Promise<number> => {
    let taken = 0
    for (const reader of readers) if (!reader.head && reader.end > reader.position) await reader.refill()
    while (taken < max) {
      let next: TailReader | undefined
      let best: Head | undefined
      for (const reader of readers) {
        const head = headOf(reader)
        if (head && (!best || head.observed < best.observed)) {
          next = reader
          best = head
        }
      }
      if (!next || !best) break
      next.shift()
      heads.delete(next)
      taken++
      if (best.item) emit(best.item)
      if (!next.head) await next.refill()
    }
    return taken
  }

  return {
    async pump(max, emit) {
      const share = Math.max(1, Math.ceil(max / partitions.length))
      let taken = 0
      for (let i = 0; i < partitions.length; i++) {
        taken += await drain(partitions[(first + i) % partitions.length] ?? [], share, emit)
      }
      first++
      await nextTurn()
      return taken
    },
  }
}

function decodeHead(codec: Codec, reader: TailReader, model: ModelName, record: LogRecord): Head {
  // A tombstone says nothing here. First in order, so that neither it nor a broken value delays what can be read.
  if (record.value === null) return { record, item: null, observed: -1 }
  try {
    const change = codec.decodeChange(model, record.value) as Change
    return { record, item: { kind: 'change', model, change }, observed: change.cause.observed.offset }
  } catch (error) {
    const item = { kind: 'undecodable' as const, reader, offset: record.offset, error: classify(error) }
    return { record, item, observed: -1 }
  }
}
