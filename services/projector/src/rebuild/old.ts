import { classify } from '@tidemark/base'
import { bulkTables, ident, qualified } from '@tidemark/projection'
import type { RebuildDeps, Schemas } from './types.ts'

/** Shorter than PostgreSQL's deadlock timeout (1 s): whoever still reads the old tables is never the one that is ended. */
const LOCK_TIMEOUT = '200ms'
const PAUSE_MS = 250
const TRIES = 120

/**
 * Drops the tables that were live, when nobody reads them any more. Resolves with the reason when they cannot be dropped: others read them
 * for too long, or something that is not the projection's depends on them or stands beside them; that is never dropped with them.
 */
export async function dropOld({ store, clock, logger }: RebuildDeps, { old }: Schemas): Promise<string | null> {
  let reason = ''
  for (let n = 0; n < TRIES; n++) {
    try {
      await store.transaction(async (tx) => {
        await tx.query(`select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`)
        const rows = await tx.query<{ name: string }>(
          `select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind = 'r' and c.relname = any($2::text[])`,
          [old, tableNames()],
        )
        if (rows.length > 0) await tx.query(`drop table ${rows.map(({ name }) => qualified(old, name)).join(', ')}`)
        await tx.query(`drop schema if exists ${ident(old)}`)
      })
      return null
    } catch (error) {
      const failure = classify(error)
      reason = failure.message
      if (failure.fields['sqlState'] !== '55P03') break
      await clock.sleep(PAUSE_MS)
    }
  }
  const message = `the tables that were live before the rebuild are still there, as schema "${old}"; drop them when nothing needs them`
  logger.error({ schema: old, reason }, message)
  return reason
}

/** Tables of a projection. */
function tableNames(): string[] {
  const created = bulkTables('x').tables.matchAll(/^create table if not exists "x"\."([^"]+)"/gm)
  return [...created].map(([, name]) => name as string)
}
