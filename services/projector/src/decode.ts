import { setImmediate as nextTurn } from 'node:timers/promises'
import { TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { LogRecord, TailReader } from '@tidemark/log'
import { parseRecordKey } from '@tidemark/model'
import { type ProjectedChange, toRows } from '@tidemark/projection'
import type { Item, Source } from './writer.ts'

/** A record taken from its partition. */
export interface Taken {
  readonly reader: TailReader
  readonly record: LogRecord
  /** Offset the partition goes on at. */
  readonly next: number
}

export interface BatchLimits {
  readonly batchMax: number
  readonly batchBytesMax: number
}

/** Takes what is buffered, a share of every partition, beginning with another one each time. */
export function takeFairly(readers: readonly TailReader[], first: number, limits: BatchLimits): Taken[] {
  const { batchMax, batchBytesMax } = limits
  const taken: Taken[] = []
  const share = Math.max(1, Math.ceil(batchMax / readers.length))
  let bytes = 0
  let found = true
  while (found && taken.length < batchMax && bytes < batchBytesMax) {
    found = false
    for (let i = 0; i < readers.length; i++) {
      const reader = readers[(first + i) % readers.length] as TailReader
      for (let n = 0; n < share && reader.head && taken.length < batchMax && bytes < batchBytesMax; n++) {
        const record = reader.shift()
        bytes += record.value?.length ?? 0
        taken.push({ reader, record, next: reader.position })
        found = true
      }
    }
  }
  return taken
}

/** Decoding this many changes takes about as long as one may keep the event loop. */
const TURN = 100

/** Decodes records; one that cannot be becomes a failure of its own. */
export async function decodeAll(
  codec: Codec,
  taken: readonly Taken[],
  sources: ReadonlyMap<TailReader, Source>,
): Promise<Item[]> {
  const items: Item[] = []
  for (const { reader, record, next } of taken) {
    const source = sources.get(reader) as Source
    const key = record.key === null ? null : record.key.toString('utf8')
    const item = { source, next, offset: record.offset, key }
    try {
      items.push({ ...item, projected: decode(codec, source, record, key), failure: null })
    } catch (error) {
      // Whatever a broken value makes fail (JSON, dates, bytes): it is this record's failure, and the next one's turn.
      const known = error instanceof TidemarkError ? error : undefined
      const failure = known ?? new TidemarkError('VALUE_UNDECODABLE', String(error), { cause: error })
      items.push({ ...item, projected: null, failure })
    }
    if (items.length % TURN === 0) await nextTurn()
  }
  return items
}

/** What a record of a changes topic writes; null for a tombstone, which says nothing here. */
function decode(codec: Codec, source: Source, record: LogRecord, key: string | null): ProjectedChange | null {
  if (record.value === null) return null
  const { model, partition } = source
  if (key === null || parseRecordKey(key)?.model !== model) {
    throw new TidemarkError('VALUE_UNDECODABLE', `the key ${JSON.stringify(key)} is not a record key of ${model}`)
  }
  return toRows(model, codec.decodeChange(model, record.value), key, { partition, offset: record.offset })
}
