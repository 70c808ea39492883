import { classify, TidemarkError } from '@tidemark/base'
import type { SqlRunner, SqlStore } from '@tidemark/store'
import type { RebuildDeps } from './types.ts'

/** Below every reasonable limit of how long a transaction may pause. */
const KEEP_ALIVE_MS = 10_000

/** Rebuilds of this process, by store: an in-process database has no other. */
const running = new WeakMap<SqlStore, Set<string>>()

/**
 * Runs `work` while no other rebuild of the schema runs, in this process or, where the store has sessions, in any. Throws OVERLOADED when
 * one does. The signal aborts when the lock is lost with its session.
 */
export async function exclusively<T>(deps: RebuildDeps, work: (lost: AbortSignal) => Promise<T>): Promise<T> {
  const { store, schema } = deps
  const here = running.get(store) ?? new Set<string>()
  running.set(store, here)
  if (here.has(schema)) throw busy(schema)
  here.add(schema)
  try {
    if (!store.copyRows) return await work(new AbortController().signal)
    return await store.transaction((tx) => underLock(tx, deps, work))
  } finally {
    here.delete(schema)
  }
}

/** The lock ends with its transaction: a killed process leaves none behind. */
async function underLock<T>(
  tx: SqlRunner,
  { schema, clock }: RebuildDeps,
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const name = `tidemark rebuild ${schema}`
  const [row] = await tx.query<{ locked: boolean }>(
    'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked',
    [name],
  )
  if (!row?.locked) throw busy(schema)
  const lost = new AbortController()
  const done = new AbortController()
  const keeping = (async () => {
    while (!done.signal.aborted) {
      await clock.sleep(KEEP_ALIVE_MS, done.signal)
      await tx.query('select 1 as one')
    }
  })().catch((error: unknown) => lost.abort(classify(error)))
  try {
    return await work(lost.signal)
  } finally {
    done.abort()
    await keeping
  }
}

const busy = (schema: string): TidemarkError =>
  new TidemarkError('OVERLOADED', `schema "${schema}" is being rebuilt already; wait for it, or stop it first`, {
    fields: { schema },
  })
