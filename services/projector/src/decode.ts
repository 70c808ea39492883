import { setImmediate as nextTurn } from 'node:timers/promises'
import { TidemarkError } from '@tidemark/base'
import type { Change, Codec } from '@tidemark/codec'
import type { LogRecord, TailReader } from '@tidemark/log'
import { type ModelName, parseRecordKey } from '@tidemark/model'
import { type ChangePosition, toRows } from '@tidemark/projection'
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

/**
 * Items that write nothing and move the offsets of partitions whose end holds no records: without them the projection would seem to lag
 * behind the markers of transactions for ever.
 */
export function passedBy(
  items: readonly Item[],
  readers: readonly TailReader[],
  sources: ReadonlyMap<TailReader, Source>,
): Item[] {
  const moved = new Set(items.map(({ source }) => source))
  return readers.flatMap((reader) => {
    const source = sources.get(reader) as Source
    const { position } = reader
    if (reader.head || moved.has(source) || position <= source.committed) return []
    return [{ source, next: position, offset: position - 1, key: null, projected: null, failure: null }]
  })
}

/** Decoding this many changes takes about as long as one may keep the event loop. */
const TURN = 100

/** Makes of a decoded change what it writes. */
export type RowMaker<Projected> = (model: ModelName, change: Change, key: string, position: ChangePosition) => Projected

/** Decodes records to JSON rows; one that cannot be becomes a failure of its own. */
export const decodeAll = (
  codec: Codec,
  taken: readonly Taken[],
  sources: ReadonlyMap<TailReader, Source>,
): Promise<Item[]> => decodeTo(toRows, codec, taken, sources)

/** Decodes records to what `rowsOf` makes of them; one that cannot be becomes a failure of its own. */
export function decodeTo<Projected>(
  rowsOf: RowMaker<Projected>,
  codec: Codec,
  taken: readonly Taken[],
  sources: ReadonlyMap<TailReader, Source>,
): Promise<Item<Projected>[]> {
  const placed = taken.map(({ reader, record, next }) => ({ source: sources.get(reader) as Source, record, next }))
  return decodeEach(rowsOf, codec, placed)
}

interface Placed {
  readonly source: Source
  readonly record: LogRecord
  readonly next: number
}

/** Decodes what one partition holds up to `end`. */
export function decodeRecords(
  codec: Codec,
  source: Source,
  records: readonly LogRecord[],
  end: number,
): Promise<Item[]> {
  const placed = records.map((record, i) => ({ source, record, next: records[i + 1]?.offset ?? end }))
  return decodeEach(toRows, codec, placed)
}

async function decodeEach<Projected>(
  rowsOf: RowMaker<Projected>,
  codec: Codec,
  placed: readonly Placed[],
): Promise<Item<Projected>[]> {
  const items: Item<Projected>[] = []
  for (const { source, record, next } of placed) {
    const key = record.key === null ? null : record.key.toString('utf8')
    const item = { source, next, offset: record.offset, key }
    try {
      items.push({ ...item, projected: decode(rowsOf, codec, source, record, key), failure: null })
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
function decode<Projected>(
  rowsOf: RowMaker<Projected>,
  codec: Codec,
  source: Source,
  record: LogRecord,
  key: string | null,
): Projected | null {
  if (record.value === null) return null
  const { model, partition } = source
  if (key === null || parseRecordKey(key)?.model !== model) {
    throw new TidemarkError('VALUE_UNDECODABLE', `the key ${JSON.stringify(key)} is not a record key of ${model}`)
  }
  return rowsOf(model, codec.decodeChange(model, record.value), key, { partition, offset: record.offset })
}
