import { qualified } from '@tidemark/projection'
import type { SqlRunner } from '@tidemark/store'
import { carryErasures, eraseDue, eraseDueWithin, RECORDS_PER_ERASURE } from '../erasure.ts'
import type { Attempt } from './types.ts'

/** More records in a transaction than live: nobody waits for the rebuilt tables. */
const RECORDS_IN_BULK = 1000

/** Erases what is erased in the live tables, and what is due, in transactions of its own; may be ended and begun again. */
export async function eraseNext(attempt: Attempt): Promise<void> {
  const { deps, schemas, bulk, signal, erasureAfterMs } = attempt
  const limit = bulk ? RECORDS_IN_BULK : RECORDS_PER_ERASURE
  if (await hasErasures(deps.store, schemas.live)) {
    const run = (work: (tx: SqlRunner) => Promise<void>): Promise<void> => deps.store.transaction(work)
    await carryErasures(deps.store, run, schemas.next, schemas.live, limit, signal)
  }
  if (erasureAfterMs !== null) await eraseDue({ ...deps, schema: schemas.next }, erasureAfterMs, signal, limit)
}

/** What {@link eraseNext} left, as part of the switch, in which the live tables stand still. */
export async function eraseWithin(tx: SqlRunner, { deps, schemas, erasureAfterMs }: Attempt): Promise<void> {
  if (await hasErasures(tx, schemas.live)) {
    await carryErasures(tx, (work) => work(tx), schemas.next, schemas.live, RECORDS_PER_ERASURE)
  }
  if (erasureAfterMs !== null) await eraseDueWithin(tx, schemas.next, deps.clock.now(), erasureAfterMs)
}

/** False when there is no live projection, or one of a version that did not erase. */
async function hasErasures(store: SqlRunner, live: string): Promise<boolean> {
  const [row] = await store.query<{ found: boolean }>('select to_regclass($1) is not null as found', [
    qualified(live, 'erasures'),
  ])
  return row?.found === true
}
