import { setMaxListeners } from 'node:events'
import { openTail, type TailReader } from '@tidemark/log'
import type { ModelName } from '@tidemark/model'
import {
  type CopiedChange,
  countsJsonText,
  countsSql,
  deliveredColumns,
  HISTORY_COLUMNS,
  isoTime,
  mergeSql,
  pastName,
  replaceSql,
  replacingJsonText,
  stagedTable,
  stageSql,
  supersededColumns,
  toCopyRows,
  type Versions,
  versionsOf,
} from '@tidemark/projection'
import type { CopyRow, CopyTarget, Row, SqlRunner } from '@tidemark/store'
import { appendDeadLetters } from '../dead-letters.ts'
import { decodeAll, decodeTo, type Taken, takeFairly } from '../decode.ts'
import { forgetBefore } from '../erasure.ts'
import { placeOf, type Start, sourcesOf, storedOffsets } from '../offsets.ts'
import {
  asFailure,
  type Item,
  isDataError,
  moveOffsets,
  movesOf,
  type Source,
  type WriterDeps,
  writeFailures,
  writeItems,
} from '../writer.ts'
import { mayBeTooLong, refusalOf } from './probe.ts'
import { existingSchemas, UNPLACED } from './schema.ts'
import type { Attempt } from './types.ts'

const BYTES_PER_READER = { min: 64 * 1024, max: 4 * 1024 * 1024 } as const

/** Writes everything from the starts to the log's end. Resolves with the number of offsets passed; fewer when the signal aborts. */
export async function fillToEnd(attempt: Attempt, starts: readonly Start[]): Promise<number> {
  const left = starts.filter(({ offset, bounds }) => offset < bounds.end)
  const bytesMax = attempt.bufferBytesMax / Math.max(1, left.length)
  const lanes = Array.from({ length: attempt.lanes }, (_, lane) =>
    left.filter(({ partition }) => partition % attempt.lanes === lane),
  )
  const failing = new AbortController()
  const signal = AbortSignal.any([attempt.signal, failing.signal])
  setMaxListeners(0, signal)
  const counts = await Promise.allSettled(
    lanes.map(async (lane) => {
      try {
        return await fillLane({ ...attempt, signal }, lane, bytesMax)
      } catch (error) {
        failing.abort()
        throw error
      }
    }),
  )
  return counts.reduce((sum, count) => {
    if (count.status === 'rejected') throw count.reason
    return sum + count.value
  }, 0)
}

/** One transaction after another over some partitions. Lanes share no record and no row of counts or offsets. */
async function fillLane(attempt: Attempt, starts: readonly Start[], bytesMax: number): Promise<number> {
  const { deps, batchMax, bufferBytesMax, lanes, progress } = attempt
  const bytes = Math.floor(Math.min(BYTES_PER_READER.max, Math.max(BYTES_PER_READER.min, bytesMax)))
  const tail = openTail(deps.log, starts, { recordsMax: batchMax, bytesMax: bytes })
  const sources = sourcesOf(tail, starts)
  const limits = { batchMax, batchBytesMax: Math.ceil(bufferBytesMax / lanes) }
  let passed = 0
  try {
    for (let turn = 0; !attempt.signal.aborted; turn++) {
      await Promise.all(tail.readers.map((reader) => reader.refill()))
      const taken = takeFairly(tail.readers, turn, limits)
      if (taken.length === 0) break
      const before = positionsSum(sources)
      await write(attempt, taken, sources)
      const offsets = positionsSum(sources) - before
      passed += offsets
      progress.passed(offsets, taken.length)
    }
  } finally {
    await tail.close()
  }
  return passed
}

const positionsSum = (sources: ReadonlyMap<TailReader, Source>): number =>
  [...sources.values()].reduce((sum, { committed }) => sum + committed, 0)

type Sources = ReadonlyMap<TailReader, Source>

async function write(attempt: Attempt, taken: readonly Taken[], sources: Sources): Promise<void> {
  const { codec } = attempt.deps
  const deps = writerOf(attempt)
  if (!attempt.bulk) return writeItems(deps, await decodeAll(codec, taken, sources))
  const decoded = await decodeTo(toCopyRows, codec, taken, sources)
  const refusals = await refusedByIndexes(attempt, taken, decoded, sources)
  try {
    await copyItems(deps, withFailures(decoded, refusals))
  } catch (error) {
    if (!isDataError(error)) throw error
    // The projector's own way: a value that the database refuses is found, and what is there already does no harm.
    await writeItems(deps, withFailures(await decodeAll(codec, taken, sources), refusals))
  }
}

/** Errors of items, by their place, whose values the indexes will refuse that are made after filling. */
async function refusedByIndexes(
  { deps: { codec, store } }: Attempt,
  taken: readonly Taken[],
  items: readonly Item<CopiedChange>[],
  sources: Sources,
): Promise<Map<number, unknown>> {
  const refusals = new Map<number, unknown>()
  for (const [i, { projected }] of items.entries()) {
    if (!projected || !mayBeTooLong(projected)) continue
    const [item] = await decodeAll(codec, taken.slice(i, i + 1), sources)
    const error = item?.projected ? await refusalOf(store, item.projected) : null
    if (error !== null) refusals.set(i, error)
  }
  return refusals
}

function withFailures<Projected>(items: Item<Projected>[], refusals: ReadonlyMap<number, unknown>): Item<Projected>[] {
  if (refusals.size === 0) return items
  return items.map((item, i) => (refusals.has(i) ? asFailure(item, refusals.get(i)) : item))
}

/** How a rebuild writes: beside the live tables, with their times. */
export function writerOf({ deps, schemas, liveModels, failed }: Attempt): WriterDeps {
  const { store, clock } = deps
  return {
    store,
    schema: schemas.next,
    rowTime: () => (liveModels.size > 0 ? UNPLACED : new Date(clock.now()).toISOString()),
    live: (model) => liveModels.get(model) ?? null,
    onFailures: async (items, tx) => {
      const { live } = await existingSchemas(tx, schemas)
      // What the live projector has passed, it has put on record.
      const passed = live ? await storedOffsets(tx, schemas.live) : new Map<string, number>()
      const fresh = items.filter(({ source, offset }) => offset >= (passed.get(placeOf(source)) ?? 0))
      if (fresh.length > 0) await appendDeadLetters(deps, fresh)
      failed.changes += items.length
      deps.logger.warn({ changes: items.length }, 'the rebuild passes changes that cannot be projected')
    },
  }
}

/** Writes items with their offsets in one transaction, by COPY. */
async function copyItems(deps: WriterDeps, items: readonly Item<CopiedChange>[]): Promise<void> {
  const moves = movesOf(items)
  const changes = items.flatMap(({ projected }) => (projected ? [projected] : []))
  await deps.store.transaction(async (tx) => {
    // Rows and offsets are lost together or not at all, and the switch, which waits for the disk, comes after them in PostgreSQL's log.
    await tx.query(`select set_config('synchronous_commit', 'off', true)`)
    await moveOffsets(tx, deps.schema, moves)
    const erased = new Map<ModelName, readonly Row[]>()
    for (const [model, versions] of versionsOf(changes)) {
      erased.set(model, await replace(tx, deps, model, versions))
      await merge(tx, deps, model, versions.last)
    }
    const history: CopyTarget = { schema: deps.schema, table: 'changes', columns: HISTORY_COLUMNS }
    await copy(
      tx,
      history,
      changes.map((change) => change.history),
    )
    await forgetBefore(tx, deps.schema, erased)
    await tx.query(countsSql(deps.schema), [countsJsonText(changes)])
    await writeFailures(tx, deps, items)
  })
  for (const [source, next] of moves) source.committed = next
}

/**
 * Writes what the changes supersede, in the tables and among themselves. A version that stands there already, from a change that is in the
 * log twice, is refused; the projector's way takes it. Returns the records whose replaced version had been erased.
 */
async function replace(
  tx: SqlRunner,
  { schema }: WriterDeps,
  model: ModelName,
  { replacing, superseded }: Versions<CopiedChange>,
): Promise<Row[]> {
  const erased = replacing.length === 0 ? [] : await tx.query(replaceSql(schema, model), [replacingJsonText(replacing)])
  if (superseded.length > 0) {
    const columns = supersededColumns(model).map(({ name }) => name)
    const rows = superseded.map(({ change, atMs }) => [...change.row, isoTime(atMs)])
    await copy(tx, { schema, table: pastName(model), columns }, rows)
  }
  return erased
}

async function merge(
  tx: SqlRunner,
  deps: WriterDeps,
  model: ModelName,
  changes: readonly CopiedChange[],
): Promise<void> {
  const columns = deliveredColumns(model).map(({ name }) => name)
  await tx.query(stageSql(deps.schema, model))
  await copy(
    tx,
    { table: stagedTable(model), columns },
    changes.map((change) => change.row),
  )
  await tx.query(mergeSql(deps.schema, model, deps.live?.(model) ?? null), [deps.rowTime()])
}

async function copy(tx: SqlRunner, target: CopyTarget, rows: readonly CopyRow[]): Promise<void> {
  if (!tx.copyRows) throw new TypeError('the store has COPY, but its transaction has not')
  await tx.copyRows(target, rows)
}
