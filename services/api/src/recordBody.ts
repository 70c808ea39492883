import type { ModelName } from '@tidemark/model'
import { BOOKKEEPING_NAMES, TABLES } from '@tidemark/projection'

type Row = Readonly<Record<string, unknown>>

/** Columns of a record's state: all but when it became readable, which a past state does not have. */
export const stateColumns = (model: ModelName): string[] =>
  TABLES[model].columns.map(({ name }) => name).filter((name) => name !== 'effective_changed_at')

const HEAD = [...BOOKKEEPING_NAMES].filter(
  (name) => name !== 'record_key' && name !== 'effective_changed_at' && !name.startsWith('log_'),
)

/** A row with {@link stateColumns} as `/v1/records` shows it. */
export function recordBody(model: ModelName, row: Row): object {
  const valuesOf = (names: readonly string[]): Row => Object.fromEntries(names.map((name) => [name, row[name] ?? null]))
  return {
    model,
    ...valuesOf(HEAD),
    remote_deleted_at: row['remote_deleted_at'] ?? null,
    position: { partition: row['log_partition'] ?? null, offset: row['log_offset'] ?? null },
    record: { ...valuesOf(['id', 'remote_id']), ...valuesOf(TABLES[model].fields.map(({ name }) => name)) },
  }
}
