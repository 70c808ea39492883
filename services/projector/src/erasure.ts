import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Clock, classify } from '@tidemark/base'
import type { ModelName } from '@tidemark/model'
import {
  dueModelsSql,
  dueSql,
  eraseStatements,
  forgetBeforeSql,
  missingErasuresSql,
  PERSONAL_MODELS,
  qualified,
} from '@tidemark/projection'
import type { Row, SqlRunner, SqlStore } from '@tidemark/store'
import type { Logger } from '@tidemark/telemetry'

/** From the deletion of a record until its personal data is erased; as long as deleted records are kept elsewhere. */
export const ERASURE_AFTER_MS = 14 * 24 * 3600 * 1000

/** Records per transaction: projecting waits for it. */
export const RECORDS_PER_ERASURE = 100

const EVERY_MS = 10 * 60 * 1000
/** Whoever waits for a lock on a table holds up those that ask after it. */
const LOCK_TIMEOUT = '5s'

export interface ErasureDeps {
  readonly store: SqlStore
  readonly schema: string
  readonly clock: Clock
  readonly logger: Logger
}

/** Versions of a record up to this one. */
interface UpTo extends Row {
  readonly record_key: string
  readonly version: number
}

/** Versions whose personal data is gone. */
interface Erasure extends UpTo {
  readonly erased_at: string
}

/** Erases what is due at once and every ten minutes, until the signal. Failures are logged, and made up for the next time. */
export async function keepErasing(deps: ErasureDeps, afterMs: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await eraseDue(deps, afterMs, signal)
    } catch (error) {
      deps.logger.warn(
        { err: classify(error) },
        'personal data of deleted records could not be erased; tried again later',
      )
    }
    await deps.clock.sleep(EVERY_MS, signal)
  }
}

/**
 * Erases the personal data of every record that was deleted `afterMs` ago or longer, and of those that were for so long and then
 * restored: their versions up to then. Each transaction takes some records and excludes the projectors and switches of the schema, so
 * that nobody copies a row while it is emptied. Resolves with the number of records.
 */
export async function eraseDue(
  { store, schema, clock, logger }: ErasureDeps,
  afterMs: number,
  signal?: AbortSignal,
  limit = RECORDS_PER_ERASURE,
): Promise<number> {
  let erased = 0
  const due = await store.query<{ model: ModelName }>(dueModelsSql(schema), dueParams(clock.now(), afterMs))
  for (const { model } of due) {
    let records = 0
    for (let more = true; more && !signal?.aborted; ) {
      const found = await store.transaction(async (tx) => {
        await tx.query(`select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`)
        await tx.query(`lock table ${qualified(schema, 'projection_offsets')} in share row exclusive mode`)
        return eraseSome(tx, schema, model, clock.now(), afterMs, limit)
      })
      records += found
      more = found > 0
      await nextTurn()
    }
    logger.info({ model, records }, 'personal data of deleted records was erased')
    erased += records
  }
  return erased
}

/** Erases what is due as part of a transaction that nobody writes beside. */
export async function eraseDueWithin(tx: SqlRunner, schema: string, nowMs: number, afterMs: number): Promise<void> {
  const due = await tx.query<{ model: ModelName }>(dueModelsSql(schema), dueParams(nowMs, afterMs))
  for (const { model } of due) {
    while ((await eraseSome(tx, schema, model, nowMs, afterMs, RECORDS_PER_ERASURE)) > 0) await nextTurn()
  }
}

async function eraseSome(
  tx: SqlRunner,
  schema: string,
  model: ModelName,
  nowMs: number,
  afterMs: number,
  limit: number,
): Promise<number> {
  const found = await tx.query<UpTo>(dueSql(schema, model, limit), dueParams(nowMs, afterMs))
  const erased_at = new Date(nowMs).toISOString()
  await erase(
    tx,
    schema,
    model,
    found.map(({ record_key, version }) => ({ record_key, version, erased_at })),
  )
  return found.length
}

const dueParams = (nowMs: number, afterMs: number): [string, number] => [
  new Date(nowMs - afterMs).toISOString(),
  afterMs,
]

/**
 * Erases in `schema` what was erased in the schema `from`, as far as its changes are there, with the times of then: some records at a
 * time, each time by `run`.
 */
export async function carryErasures(
  store: SqlRunner,
  run: (work: (tx: SqlRunner) => Promise<void>) => Promise<void>,
  schema: string,
  from: string,
  limit: number,
  signal?: AbortSignal,
): Promise<void> {
  for (const model of PERSONAL_MODELS) {
    const sql = missingErasuresSql(schema, from, model, limit)
    let last: Erasure | undefined
    do {
      const missing: Erasure[] = await store.query<Erasure>(sql, [last?.record_key ?? '', last?.version ?? 0])
      last = missing.at(-1)
      if (last) await run((tx) => erase(tx, schema, model, missing))
      await nextTurn()
    } while (last && !signal?.aborted)
  }
}

async function erase(tx: SqlRunner, schema: string, model: ModelName, erasures: readonly Erasure[]): Promise<void> {
  if (erasures.length === 0) return
  const { note, rows, changes } = eraseStatements(schema, model)
  for (const sql of [note, ...rows, ...changes]) await tx.query(sql, [JSON.stringify(erasures)])
}

/** What changes tell about an erased version before them goes too: `erased` are records and the versions of those changes, by model. */
export async function forgetBefore(
  tx: SqlRunner,
  schema: string,
  erased: ReadonlyMap<ModelName, readonly Row[]>,
): Promise<void> {
  for (const [model, records] of erased) {
    if (records.length > 0) await tx.query(forgetBeforeSql(schema, model), [JSON.stringify(records)])
  }
}
