import { setImmediate as nextTurn } from 'node:timers/promises'
import { classify, TidemarkError } from '@tidemark/base'
import type { ModelName } from '@tidemark/model'
import { collapse, countsSql, historySql, moveOffsetsSql, type ProjectedChange, upsertSql } from '@tidemark/projection'
import type { SqlRunner, SqlStore } from '@tidemark/store'

/** One record of a changes topic: what it writes, or why it writes nothing. */
export interface Item {
  readonly source: Source
  /** Offset of the next record of its partition. */
  readonly next: number
  readonly offset: number
  readonly key: string | null
  readonly projected: ProjectedChange | null
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
  readonly now: () => number
  /** Called inside the transaction, so that a failure is on record before its record is passed. */
  readonly onFailures: (items: readonly Item[]) => Promise<void>
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

function asFailure(item: Item, error: unknown): Item {
  const message = `the database refuses ${item.key ?? 'a change'} of ${item.source.topic}: ${classify(error).message}`
  return { ...item, projected: null, failure: new TidemarkError('RECORD_INVALID', message, { cause: error }) }
}

async function commit(deps: WriterDeps, items: readonly Item[]): Promise<void> {
  const moves = new Map<Source, number>()
  for (const item of items) moves.set(item.source, item.next)
  const projected = items.flatMap((item) => (item.projected ? [item.projected] : []))
  const failures = items.filter((item) => item.failure !== null)
  await deps.store.transaction(async (tx) => {
    await moveOffsets(tx, deps.schema, moves)
    if (projected.length > 0) await writeRows(tx, deps, projected)
    if (failures.length > 0) await deps.onFailures(failures)
  })
  for (const [source, next] of moves) source.committed = next
}

async function moveOffsets(tx: SqlRunner, schema: string, moves: ReadonlyMap<Source, number>): Promise<void> {
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
      `another projector moved the offsets of schema "${schema}"; run one projector per schema and partition`,
    )
  }
}

async function writeRows(tx: SqlRunner, deps: WriterDeps, projected: readonly ProjectedChange[]): Promise<void> {
  const batch = collapse(projected)
  const now = new Date(deps.now()).toISOString()
  for (const [model, texts] of batch.rows) {
    for (const rows of texts) await runStatement(tx, upsertSql(deps.schema, model), [rows, now])
  }
  for (const rows of batch.history) await runStatement(tx, historySql(deps.schema), [rows])
  await tx.query(countsSql(deps.schema), [batch.counts])
}

/** Runs a statement and lets others have the event loop: an in-process database keeps it busy. */
async function runStatement(tx: SqlRunner, sql: string, params: readonly string[]): Promise<void> {
  await tx.query(sql, params)
  await nextTurn()
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
