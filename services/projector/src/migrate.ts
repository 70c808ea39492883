import { createHash } from 'node:crypto'
import { TidemarkError } from '@tidemark/base'
import { ident, type Migration, migrations, qualified } from '@tidemark/projection'
import type { SqlStore } from '@tidemark/store'

/**
 * Creates the projection's schema and tables, or what of them is missing. Returns the ids of the migrations it applied. Throws
 * PROJECTION_MISMATCH when the schema was made by a version with other tables.
 */
export async function migrateProjection(store: SqlStore, schema: string): Promise<string[]> {
  const plan = migrationHashes(schema)
  const table = qualified(schema, 'projection_migrations')
  await store.script(`create schema if not exists ${ident(schema)};
create table if not exists ${table} (id text primary key, sha256 text not null);`)
  const rows = await store.query<{ id: string; sha256: string }>(`select id, sha256 from ${table}`)
  const known = new Map(rows.map((row) => [row.id, row.sha256]))
  const applied: string[] = []
  for (const { id, sql, sha256 } of plan) {
    const before = known.get(id)
    if (before === sha256) continue
    if (before !== undefined) throw mismatch(schema, `migration ${id} differs from the one that was applied`)
    // The statements may run again, so a stop between these two is harmless.
    await store.script(sql)
    await store.query(`insert into ${table} (id, sha256) values ($1, $2) on conflict (id) do nothing`, [id, sha256])
    applied.push(id)
  }
  return applied
}

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The migrations of a schema with the hashes that say which were applied. */
export const migrationHashes = (schema: string): (Migration & { readonly sha256: string })[] =>
  migrations(schema).map((migration) => ({ ...migration, sha256: sha256Of(migration.sql) }))

/** A projection that cannot go on, and what to do about it. */
export function mismatch(schema: string, what: string): TidemarkError {
  return new TidemarkError(
    'PROJECTION_MISMATCH',
    `the projection in schema "${schema}" cannot go on: ${what}. Let another schema be filled from the log, or drop this one ` +
      `(drop schema "${schema}" cascade) and start again: it is filled from the log`,
    { fields: { schema } },
  )
}
