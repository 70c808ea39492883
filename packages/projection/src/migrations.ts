import { MODEL_NAMES, type ModelName } from '@tidemark/model'
import { erasureIndexes } from './erasure.ts'
import {
  type Column,
  checkSchemaName,
  ident,
  LOOKUPS,
  pastColumns,
  pastName,
  qualified,
  TABLES,
  type Table,
} from './tables.ts'

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

-- Personal data of the record is gone up to this version; a rebuild takes it from the live tables.
create table if not exists ${qualified(schema, 'erasures')} (
  model text not null,
  record_key text collate "C" not null,
  version bigint not null,
  erased_at timestamptz not null,
  primary key (model, record_key, version)
);
`
}

/** Key of the history; a rebuild makes it last. */
const CHANGES_KEY = 'primary key (record_key, version)'

function changesTableSql(schema: string): string {
  return `create table if not exists ${qualified(schema, 'changes')} (
  record_key text collate "C" not null,
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
  ${CHANGES_KEY}
);`
}

function changesIndexes(schema: string): [string, string] {
  const table = qualified(schema, 'changes')
  return [
    `create index if not exists ${ident('changes_fields')} on ${table} using gin (fields) where op <> 'created';`,
    `create index if not exists ${ident('changes_time')} on ${table} (integration_id, changed_at);`,
  ]
}

function changesSql(schema: string): string {
  const [fields, time] = changesIndexes(schema)
  return `${changesTableSql(schema)}

-- Who changed this field, anywhere. First sights touch every field and would only swell it.
${fields}

${time}
`
}

const tableSql = (schema: string, table: Table): string =>
  `${[...tableStatements(schema, table), ...pastStatements(schema, table)].join('\n')}\n`

/** Creates one model's table, then its indexes; one statement each. */
function tableStatements(schema: string, table: Table): [string, ...string[]] {
  const lines: [string, ...string[]] = [
    createTable(schema, table.name, table.columns, 'record_key'),
    createIndex(schema, table.name, 'list', '(integration_id, effective_changed_at, id)'),
    ...lookupIndexes(schema, table.model, table.name),
    ...erasureIndexes(schema, table.model).table,
  ]
  if (table.model === 'candidates')
    lines.push(createIndex(schema, table.name, 'email', `using gin ((${emailsLower()}) jsonb_path_ops)`))
  return lines
}

/** Creates the table of one model's superseded versions, then its indexes; one statement each. */
function pastStatements(schema: string, { model }: Table): [string, ...string[]] {
  const name = pastName(model)
  return [
    createTable(schema, name, pastColumns(model), 'record_key, version'),
    ...lookupIndexes(schema, model, name),
    ...erasureIndexes(schema, model).past,
  ]
}

function createTable(schema: string, name: string, columns: readonly Column[], key: string): string {
  const lines = columns.map(({ name: column, type, notNull, collation }) => {
    const collate = collation === undefined ? '' : ` collate ${ident(collation)}`
    return `  ${ident(column)} ${type}${collate}${notNull ? ' not null' : ''}`
  })
  return `create table if not exists ${qualified(schema, name)} (\n${lines.join(',\n')},\n  primary key (${key})\n);`
}

const createIndex = (schema: string, table: string, suffix: string, on: string): string =>
  `create index if not exists ${ident(`${table}_${suffix}`)} on ${qualified(schema, table)} ${on};`

/** Indexes by which other records and filters find a model's records, as they are and as they were. */
const lookupIndexes = (schema: string, model: ModelName, table: string): string[] => [
  createIndex(schema, table, 'id', '(id, integration_id)'),
  createIndex(schema, table, 'remote_id', '(integration_id, remote_id)'),
  ...(LOOKUPS[model] ?? []).map((column) => createIndex(schema, table, column, `(integration_id, ${ident(column)})`)),
]

/** Schema of the session's temporary tables. */
export const PROBE_SCHEMA = 'pg_temp'

/**
 * Creates a model's tables and `changes` as temporary tables with all their indexes, one statement each: what those refuse can be found out
 * before the real indexes exist.
 */
export const probeTables = (model: ModelName): string[] => [
  changesTableSql(PROBE_SCHEMA),
  ...changesIndexes(PROBE_SCHEMA),
  ...tableStatements(PROBE_SCHEMA, TABLES[model]),
  ...pastStatements(PROBE_SCHEMA, TABLES[model]),
]

/** Columns of a model's table whose texts stand in B-tree indexes, which end at a few thousand bytes. */
export const indexedTexts = (model: ModelName): readonly string[] => [
  'record_key',
  'integration_id',
  'id',
  'remote_id',
  ...(LOOKUPS[model] ?? []),
]

/** What a rebuild creates: tables that rows are appended to fast, and what makes them the tables of {@link migrations} afterwards. */
export interface BulkTables {
  /** Bookkeeping, `changes` without its key, and the models' tables with their keys only; may run twice. */
  readonly tables: string
  /** The missing indexes, one statement each, in any order; each may run twice. */
  readonly indexes: readonly string[]
  /** Makes the unique index among them the key of `changes`. Fails when it is that already. */
  readonly attachKey: string
}

/** The tables of {@link migrations} in two steps. Throws CONFIG_INVALID for a schema name it refuses. */
export function bulkTables(schemaName: string): BulkTables {
  const schema = checkSchemaName(schemaName)
  const changes = qualified(schema, 'changes')
  const key = ident('changes_pkey')
  const models = MODEL_NAMES.flatMap((model) => [
    tableStatements(schema, TABLES[model]),
    pastStatements(schema, TABLES[model]),
  ])
  const history = changesTableSql(schema).replace(`,\n  ${CHANGES_KEY}`, '')
  return {
    tables: [bookkeepingSql(schema), history, ...models.map(([table]) => table)].join('\n'),
    indexes: [
      `create unique index if not exists ${key} on ${changes} (record_key, version);`,
      ...changesIndexes(schema),
      ...models.flatMap(([, ...indexes]) => indexes),
    ],
    attachKey: `alter table ${changes} add constraint ${key} primary key using index ${key}`,
  }
}

/** The indexed expression behind the search for a candidate by address, whatever its case. */
export function emailsLower(alias = ''): string {
  return `lower(${alias}email_addresses::text)::jsonb`
}
