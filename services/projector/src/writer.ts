import { setImmediate as nextTurn } from 'node:timers/promises'
import { classify, TidemarkError } from '@tidemark/base'
import type { ModelName } from '@tidemark/model'
import {
  collapse,
  countsSql,
  historySql,
  type LiveTimes,
  moveOffsetsSql,
  type ProjectedChange,
  replaceSql,
  supersededSql,
  upsertSql,
} from '@tidemark/projection'
import type { Row, SqlRunner, SqlStore } from '@tidemark/store'
import { forgetBefore } from './erasure.ts'

/** One record of a changes topic: what it writes, or why it writes nothing. */
export interface Item<Projected = ProjectedChange> {
  readonly source: Source
  /** Offset of the next record of its partition. */
  readonly next: number
  readonly offset: number
  readonly key: string | null
  readonly projected: Projected | null
  readonly failure: TidemarkError | null
}

/** A partition of a changes topic with the offset the projection has stored. */
export interface Source {
  readonly model: ModelName
  readonly topic: string
  readonly partition: number
  committed: number
}

export interface WriterDeps {
  readonly store: SqlStore
  readonly schema: string
  /** The time at which rows become readable, as PostgreSQL reads it. */
  readonly rowTime: () => string
  /** The readable projection whose times a model's rows keep where their version is the same; none by default. */
  readonly live?: (model: ModelName) => LiveTimes | null
  /** Called inside the transaction, so that a failure is on record before its record is passed. */
  readonly onFailures: (items: readonly Item<unknown>[], tx: SqlRunner) => Promise<void>
}

/**
 * Writes items with their offsets in one transaction. Items that the database refuses as data are found by halving and passed on
 * as failures; every other error is thrown with nothing committed, and the offsets must be read again.
 */
export async function writeItems(deps: WriterDeps, items: readonly Item[]): Promise<void> {
  try {
    await commit(deps, items)
  } catch (error) {
    if (!isDataError(error)) throw error
    const [first] = items
    if (items.length === 1 && first) return commit(deps, [asFailure(first, error)])
    const middle = items.length >> 1
    await writeItems(deps, items.slice(0, middle))
    await writeItems(deps, items.slice(middle))
  }
}

/** The item as one that the database refused. */
export function asFailure<Projected>(item: Item<Projected>, error: unknown): Item<Projected> {
  const message = `the database refuses ${item.key ?? 'a change'} of ${item.source.topic}: ${classify(error).message}`
  return { ...item, projected: null, failure: new TidemarkError('RECORD_INVALID', message, { cause: error }) }
}

async function commit(deps: WriterDeps, items: readonly Item[]): Promise<void> {
  await deps.store.transaction((tx) => writeWithin(tx, deps, items))
  for (const [source, next] of movesOf(items)) source.committed = next
}

/** Writes items and moves their offsets as part of a transaction; whoever commits it moves the sources too. */
export async function writeWithin(tx: SqlRunner, deps: WriterDeps, items: readonly Item[]): Promise<void> {
  const projected = items.flatMap((item) => (item.projected ? [item.projected] : []))
  await moveOffsets(tx, deps.schema, movesOf(items))
  if (projected.length > 0) await writeRows(tx, deps, projected)
  await writeFailures(tx, deps, items)
}

export async function writeFailures(
  tx: SqlRunner,
  deps: Pick<WriterDeps, 'onFailures'>,
  items: readonly Item<unknown>[],
): Promise<void> {
  const failures = items.filter((item) => item.failure !== null)
  if (failures.length > 0) await deps.onFailures(failures, tx)
}

/** Where each source goes on after the items. */
export function movesOf(items: readonly Item<unknown>[]): Map<Source, number> {
  const moves = new Map<Source, number>()
  for (const item of items) moves.set(item.source, item.next)
  return moves
}

/** Moves offsets from where they are expected. Throws STORE_FAILED when one stands elsewhere. */
export async function moveOffsets(tx: SqlRunner, schema: string, moves: ReadonlyMap<Source, number>): Promise<void> {
  const wanted = [...moves].map(([{ topic, partition, committed }, next]) => ({
    topic,
    partition,
    expected: committed,
    next_offset: next,
  }))
  const moved = await tx.query(moveOffsetsSql(schema), [JSON.stringify(wanted)])
  if (moved.length !== wanted.length) {
    throw new TidemarkError(
      'STORE_FAILED',
      `somebody else moved the offsets of schema "${schema}": a rebuild that replaced the tables, or another projector (run one per schema ` +
        'and partition). It goes on from the stored ones',
    )
  }
}

async function writeRows(tx: SqlRunner, deps: WriterDeps, projected: readonly ProjectedChange[]): Promise<void> {
  const { schema } = deps
  const batch = collapse(projected)
  const time = deps.rowTime()
  const erased = new Map<ModelName, Row[]>()
  for (const [model, texts] of batch.replacing) {
    const sql = replaceSql(schema, model)
    for (const rows of texts) add(erased, model, await runStatement(tx, sql, [rows]))
  }
  for (const [model, texts] of batch.superseded) {
    const sql = supersededSql(schema, model)
    for (const rows of texts) await runStatement(tx, sql, [rows])
  }
  for (const [model, texts] of batch.rows) {
    const sql = upsertSql(schema, model, deps.live?.(model))
    for (const rows of texts) await runStatement(tx, sql, [rows, time])
  }
  for (const rows of batch.history) await runStatement(tx, historySql(schema), [rows])
  await forgetBefore(tx, schema, erased)
  await tx.query(countsSql(schema), [batch.counts])
}

function add<K>(groups: Map<K, Row[]>, key: K, rows: readonly Row[]): void {
  if (rows.length > 0) groups.set(key, [...(groups.get(key) ?? []), ...rows])
}

/** Runs a statement and lets others have the event loop: an in-process database keeps it busy. */
async function runStatement(tx: SqlRunner, sql: string, params: readonly string[]): Promise<Row[]> {
  const rows = await tx.query(sql, params)
  await nextTurn()
  return rows
}

/** SQLSTATE classes that blame the data: data exception, integrity, program limit. */
const DATA_CLASSES = /^(22|23|54)[0-9A-Z]{3}$/

/** True when the database refused a value; trying again cannot help. */
export function isDataError(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('code' in at && DATA_CLASSES.test(String(at.code))) return true
  }
  return false
}
