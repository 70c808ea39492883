import { MODEL_NAMES } from '@tidemark/model'
import { bulkTables, pastName, qualified, tableName } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'
import { unplacedIndexes, updateMarker } from './schema.ts'
import type { Attempt } from './types.ts'

/** Memory of one index that is being made; PostgreSQL's default of 64 MB sorts on disk. */
const INDEX_MEMORY = '256MB'
const UNIQUE_VIOLATION = '23505'

/** Makes the indexes that filling went without, and the statistics that plans need, on as many sessions as filling has. Each may run twice. */
export async function makeIndexes(attempt: Attempt): Promise<void> {
  const { deps, schemas, signal, lanes, progress } = attempt
  const { indexes, attachKey } = bulkTables(schemas.next)
  const tables = ['changes', ...MODEL_NAMES.flatMap((model) => [tableName(model), pastName(model)])]
  const analyses = tables.map((table) => `analyze ${qualified(schemas.next, table)}`)
  const steps = [...indexes, ...unplacedIndexes(schemas.next)]
  progress.phase('indexing', steps.length + analyses.length)
  await inLanes(steps, lanes, signal, (sql) => makeIndex(deps.store, schemas.next, sql, progress.step))
  if (signal.aborted) return
  await attach(deps.store, schemas.next, attachKey)
  // After the indexes, as those on expressions have statistics of their own.
  await inLanes(analyses, lanes, signal, (sql) => unhurried(deps.store, sql, progress.step))
  if (!signal.aborted) await updateMarker(deps.store, schemas, { state: 'indexed' })
}

/** Runs `work` on every item, some at once, in order; none is begun after the signal or a failure. */
async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items]
  let failure: { readonly error: unknown } | undefined
  const lane = async (): Promise<void> => {
    for (;;) {
      const item = left.shift()
      if (item === undefined || signal.aborted || failure) return
      await work(item).catch((error: unknown) => {
        failure ??= { error }
      })
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  if (failure) throw failure.error
}

async function makeIndex(store: SqlStore, schema: string, sql: string, done: () => void): Promise<void> {
  try {
    await unhurried(store, sql, done)
  } catch (error) {
    if ((error as { readonly fields?: { readonly sqlState?: unknown } }).fields?.sqlState !== UNIQUE_VIOLATION)
      throw error
    // A change that stands in the log twice: the first one counts, as for the projector.
    await unhurried(store, dropRepetitionsSql(schema), () => undefined)
    await unhurried(store, sql, done)
  }
}

const dropRepetitionsSql = (schema: string): string => `delete from ${qualified(schema, 'changes')} c using (
  select record_key, version, min(log_offset) as first from ${qualified(schema, 'changes')} group by 1, 2 having count(*) > 1) d
where c.record_key = d.record_key and c.version = d.version and c.log_offset > d.first`

/** A statement that may take as long as the tables are large. */
async function unhurried(store: SqlStore, sql: string, done: () => void): Promise<void> {
  await store.transaction(async (tx) => {
    await tx.query(
      `select set_config('statement_timeout', '0', true), set_config('maintenance_work_mem', '${INDEX_MEMORY}', true)`,
    )
    await tx.query(sql)
  })
  done()
}

async function attach(store: SqlStore, schema: string, sql: string): Promise<void> {
  const [row] = await store.query<{ found: boolean }>(
    `select exists (select 1 from pg_constraint where conrelid = $1::regclass and contype = 'p') as found`,
    [qualified(schema, 'changes')],
  )
  if (!row?.found) await store.query(sql)
}
