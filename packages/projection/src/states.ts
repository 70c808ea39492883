import type { ModelName } from '@tidemark/model'
import { ident, pastColumns, pastName, qualified, tableName } from './tables.ts'

/** Where the states of records are read: as they are, or as they were at a time. */
export interface States {
  /** What to select a model's records from, under this alias. */
  from(model: ModelName, alias: string): string
  /** The condition under which a row of that is its record's state. */
  holds(alias: string): string
}

/** The records as they are now: the models' tables themselves. */
export const statesNow = (schema: string): States => ({
  from: (model, alias) => `${qualified(schema, tableName(model))} ${alias}`,
  holds: () => 'true',
})

/**
 * The records as they were at `time` (an SQL expression): of each its highest version that was observed by then (`changed_at`), also if it
 * is gone by then. Columns are those of the model's table without `effective_changed_at`, and `superseded_at`, `infinity` for the last
 * version. The condition stands outside of the union, so that PostgreSQL plans its two arms as it plans one table: conditions, joins and
 * orders reach the indexes of both.
 */
export const statesAsOf = (schema: string, time: string): States => ({
  from: (model, alias) => `${versions(schema, model)} ${alias}`,
  holds: (alias) => `${alias}.changed_at <= ${time} and ${alias}.superseded_at > ${time}`,
})

/** Every version of every record of a model, under an alias; columns as for {@link statesAsOf}. */
export const versionsFrom = (schema: string, model: ModelName, alias: string): string =>
  `${versions(schema, model)} ${alias}`

function versions(schema: string, model: ModelName): string {
  const columns = pastColumns(model)
    .filter(({ name }) => name !== 'superseded_at')
    .map(({ name }) => ident(name))
    .join(', ')
  return `(select ${columns}, 'infinity'::timestamptz as superseded_at from ${qualified(schema, tableName(model))}
union all select ${columns}, superseded_at from ${qualified(schema, pastName(model))})`
}
