import { MODEL_NAMES } from '@tidemark/model'
import { checkSchemaName, ident, LOOKUPS, qualified, TABLES, type Table } from './tables.ts'

export interface Migration {
  /** Number and name; applied in this order. */
  readonly id: string
  /** Statements that may run twice without harm. */
  readonly sql: string
}

/**
 * SQL that creates a projection in one PostgreSQL schema. Deterministic: the same models give the same text, so a text that
 * differs from what was applied says that the projection must be rebuilt (into another schema, beside the live one).
 * Throws CONFIG_INVALID for a schema name it refuses.
 */
export function migrations(schemaName: string): Migration[] {
  const schema = checkSchemaName(schemaName)
  return [
    { id: '0001_bookkeeping', sql: bookkeepingSql(schema) },
    { id: '0002_changes', sql: changesSql(schema) },
    { id: '0003_models', sql: MODEL_NAMES.map((model) => tableSql(schema, TABLES[model])).join('\n') },
  ]
}

function bookkeepingSql(schema: string): string {
  return `create schema if not exists ${ident(schema)};

create table if not exists ${qualified(schema, 'projection_migrations')} (
  id text primary key,
  sha256 text not null
);

create table if not exists ${qualified(schema, 'projection_offsets')} (
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  primary key (topic, partition)
);

-- One row per partition, so that writers of different partitions never wait for each other.
create table if not exists ${qualified(schema, 'record_counts')} (
  integration_id text not null,
  model text not null,
  partition integer not null,
  records bigint not null,
  deleted bigint not null,
  changes bigint not null,
  last_changed_at timestamptz not null,
  primary key (integration_id, model, partition)
);
`
}

function changesSql(schema: string): string {
  const table = qualified(schema, 'changes')
  return `create table if not exists ${table} (
  record_key text not null,
  version bigint not null,
  event_id text not null,
  integration_id text not null,
  model text not null,
  id text not null,
  op text not null,
  changed_at timestamptz not null,
  remote_changed_at timestamptz,
  merged_into_id text,
  fields text[] not null,
  changes jsonb not null,
  cause jsonb not null,
  log_partition integer not null,
  log_offset bigint not null,
  primary key (record_key, version)
);

-- Who changed this field, anywhere. First sights touch every field and would only swell it.
create index if not exists ${ident('changes_fields')} on ${table} using gin (fields) where op <> 'created';

create index if not exists ${ident('changes_time')} on ${table} (integration_id, changed_at);
`
}

function tableSql(schema: string, table: Table): string {
  const name = qualified(schema, table.name)
  const columns = table.columns.map(
    (column) => `  ${ident(column.name)} ${column.type}${column.notNull ? ' not null' : ''}`,
  )
  const index = (suffix: string, on: string): string =>
    `create index if not exists ${ident(`${table.name}_${suffix}`)} on ${name} ${on};`
  const lines = [
    `create table if not exists ${name} (\n${columns.join(',\n')},\n  primary key (record_key)\n);`,
    index('list', '(integration_id, effective_changed_at, id)'),
    index('id', '(id, integration_id)'),
    index('remote_id', '(integration_id, remote_id)'),
    ...(LOOKUPS[table.model] ?? []).map((column) => index(column, `(integration_id, ${ident(column)})`)),
  ]
  if (table.model === 'candidates') lines.push(index('email', `using gin ((${emailsLower()}) jsonb_path_ops)`))
  return `${lines.join('\n')}\n`
}

/** The indexed expression behind the search for a candidate by address, whatever its case. */
export function emailsLower(alias = ''): string {
  return `lower(${alias}email_addresses::text)::jsonb`
}
