import { TidemarkError } from '@tidemark/base'
import { type AvroField, type AvroType, MODEL_NAMES, MODEL_SCHEMAS, type ModelName, required } from '@tidemark/model'

export type ColumnType = 'text' | 'double precision' | 'integer' | 'bigint' | 'boolean' | 'timestamptz' | 'jsonb'

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly notNull: boolean
  /** `C`: ordered by bytes. */
  readonly collation?: 'C'
}

/** The table of one model. */
export interface Table {
  readonly model: ModelName
  readonly name: string
  /** Bookkeeping first, then the record's fields in schema order. */
  readonly columns: readonly Column[]
  /** Columns of the record's fields, without those that bookkeeping holds (`id`, `remote_id`). */
  readonly fields: readonly Column[]
}

/** Columns every model's table has beside the record's fields. `remote_deleted_at`, a field of every model, flags deletion. */
export const BOOKKEEPING: readonly Column[] = [
  // By bytes, so that the records of an integration and model are one range of the primary key.
  { name: 'record_key', type: 'text', notNull: true, collation: 'C' },
  { name: 'integration_id', type: 'text', notNull: true },
  { name: 'id', type: 'text', notNull: true },
  { name: 'remote_id', type: 'text', notNull: false },
  { name: 'version', type: 'bigint', notNull: true },
  { name: 'op', type: 'text', notNull: true },
  { name: 'changed_at', type: 'timestamptz', notNull: true },
  // When the state became readable here, never before changed_at: what lists by it misses nothing that arrives late.
  { name: 'effective_changed_at', type: 'timestamptz', notNull: true },
  { name: 'remote_changed_at', type: 'timestamptz', notNull: false },
  { name: 'merged_into_id', type: 'text', notNull: false },
  { name: 'log_partition', type: 'integer', notNull: true },
  { name: 'log_offset', type: 'bigint', notNull: true },
  // When the personal data of this version was erased here; null while it is there.
  { name: 'erased_at', type: 'timestamptz', notNull: false },
]

/** Columns that no change delivers: they say what happened to the row here. */
const OWN: ReadonlySet<string> = new Set(['effective_changed_at', 'erased_at'])

/** Columns by which other records or filters look records up, beside those every table is indexed by. */
export const LOOKUPS: Readonly<Partial<Record<ModelName, readonly string[]>>> = {
  'job-postings': ['job_id'],
  applications: ['candidate_id', 'job_id', 'current_stage_id'],
  interviews: ['application_id'],
  offers: ['application_id'],
  notes: ['candidate_id', 'application_id'],
  'candidate-tags': ['candidate_id'],
  'job-stages': ['job_id'],
  'job-hiring-team': ['job_id'],
  'job-screening-questions': ['job_id'],
  'interview-users': ['interview_id'],
  'user-roles': ['user_id'],
  'job-role-assignments': ['job_id'],
}

const HELD = new Set(BOOKKEEPING.map((column) => column.name))

/** Column type of a field. Times are timestamptz: people query these tables, and it holds every millisecond of the years 1 to 9999. */
function columnType(field: AvroField): ColumnType {
  const type = required(field.type)
  if (typeof type !== 'string') return type.type === 'long' ? 'timestamptz' : 'jsonb'
  if (field.json) return 'jsonb'
  switch (type) {
    case 'string':
      return 'text'
    case 'double':
      return 'double precision'
    case 'int':
      return 'integer'
    case 'long':
      return 'bigint'
    case 'boolean':
      return 'boolean'
    default:
      throw new RangeError(`field ${field.name}: no column type for ${type}`)
  }
}

/** SQL name of a model's table. */
export const tableName = (model: ModelName): string => model.replaceAll('-', '_')

function buildTable(model: ModelName): Table {
  const fields = MODEL_SCHEMAS[model].fields
    .filter((field) => !HELD.has(field.name))
    .map((field): Column => ({ name: field.name, type: columnType(field), notNull: false }))
  return { model, name: tableName(model), columns: [...BOOKKEEPING, ...fields], fields }
}

/** The table of each model, generated from its schema. */
export const TABLES: Readonly<Record<ModelName, Table>> = Object.fromEntries(
  MODEL_NAMES.map((model) => [model, buildTable(model)]),
) as unknown as Readonly<Record<ModelName, Table>>

/** Columns of a model's table that a change delivers. */
export const deliveredColumns = (model: ModelName): readonly Column[] =>
  TABLES[model].columns.filter((column) => !OWN.has(column.name))

/** SQL name of the table of a model's superseded versions. */
export const pastName = (model: ModelName): string => `${tableName(model)}_history`

/** The earliest time of a later version of the record: from then on the version is not the record's state any more. */
const SUPERSEDED_AT: Column = { name: 'superseded_at', type: 'timestamptz', notNull: true }

/** Columns of the table of superseded versions: those of the model's table that belong to a version, and its end. */
export const pastColumns = (model: ModelName): readonly Column[] => [
  ...TABLES[model].columns.filter((column) => column.name !== 'effective_changed_at'),
  SUPERSEDED_AT,
]

const PERSONAL: ReadonlyMap<ModelName, readonly string[]> = new Map(
  MODEL_NAMES.map((model) => [model, MODEL_SCHEMAS[model].fields.filter(isPersonal).map(({ name }) => name)]),
)

/** Names of a model's fields that hold personal data, themselves or in anything inside them; erasure empties these. */
export const personalFields = (model: ModelName): readonly string[] => PERSONAL.get(model) as readonly string[]

function isPersonal(field: AvroField): boolean {
  return field.personal === true || holdsPersonal(field.type)
}

function holdsPersonal(type: AvroType): boolean {
  const inner = required(type)
  if (typeof inner === 'string' || inner.type === 'long') return false
  if (inner.type === 'array') return holdsPersonal(inner.items)
  if (inner.type === 'map') return holdsPersonal(inner.values)
  return inner.fields.some(isPersonal)
}

/** Quotes an identifier. */
export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** `"schema"."table"`. */
export const qualified = (schema: string, table: string): string => `${ident(schema)}.${ident(table)}`

/** The name itself when it can be a schema of a projection; throws CONFIG_INVALID otherwise. */
export function checkSchemaName(schema: string): string {
  if (/^[a-z_][a-z0-9_]{0,50}$/.test(schema) && !schema.startsWith('pg_')) return schema
  throw new TidemarkError(
    'CONFIG_INVALID',
    `"${schema}" cannot name a projection's schema: use up to 51 of a-z, 0-9 and _, not beginning with a digit or pg_`,
  )
}
