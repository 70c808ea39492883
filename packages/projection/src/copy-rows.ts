import type { Change } from '@tidemark/codec'
import { MODEL_NAMES, type ModelName } from '@tidemark/model'
import { causeToJson, fieldChangesJsonText, touchedFields } from './changes.ts'
import { isoTime, type Member, membersOfModel, postgresJson } from './json.ts'
import { type ChangePosition, type ChangeSummary, summary } from './rows.ts'
import { type Column, type ColumnType, TABLES } from './tables.ts'

/** A value of one column as PostgreSQL's COPY takes it; JSON as text. */
export type CopyValue = string | number | boolean | null | readonly string[]

/** What one change writes, as values in the order of the columns. Equal, once stored, to the rows of `toRows`. */
export interface CopiedChange extends ChangeSummary {
  /** Values of `deliveredColumns(model)`. */
  readonly row: readonly CopyValue[]
  /** Values of `HISTORY_COLUMNS`. */
  readonly history: readonly CopyValue[]
}

/**
 * The rows a change writes, for COPY: twice as fast as JSON rows for whoever makes them and for the database. Pure. Throws RangeError
 * for a time that no date can hold, as `toRows` does.
 */
export function toCopyRows<M extends ModelName>(
  model: M,
  change: Change<M>,
  key: string,
  position: ChangePosition,
): CopiedChange {
  const { columns, members } = PLANS.get(model) as Plan
  const record = change.after as Readonly<Record<string, unknown>> | null
  const texts = record === null ? null : members.map(({ name, write }) => textOf(record[name], write))
  return {
    ...summary(model, change, key, position),
    row: [...headValues(change, key, position), ...fieldValues(columns, record, texts, change)],
    history: historyValues(model, change, key, position, members, texts),
  }
}

interface FieldColumn {
  readonly name: string
  /** Where the field stands among the members. */
  readonly at: number
  readonly value: (value: unknown, text: string) => CopyValue
}
interface Plan {
  readonly members: readonly Member[]
  readonly columns: readonly FieldColumn[]
}

const textOf = (value: unknown, write: Member['write']): string | null =>
  value === null || value === undefined ? null : write(value)

/** PostgreSQL's text cannot hold U+0000. */
const cleanText = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text)

/** From a field's value and its JSON text to the column's value. */
const VALUES: Readonly<Record<ColumnType, FieldColumn['value']>> = {
  text: (value) => cleanText(value as string),
  jsonb: (_, text) => (text === 'null' ? null : postgresJson(text)),
  timestamptz: (_, text) => text.slice(1, -1),
  // JSON has no other numbers: what it writes as null is null.
  'double precision': (value) => (Number.isFinite(value) ? (value as number) : null),
  integer: (value) => value as number,
  bigint: (value) => value as number,
  boolean: (value) => value as boolean,
}

function planOf(model: ModelName): Plan {
  const members = membersOfModel(model)
  const places = new Map(members.map(({ name }, at) => [name, at]))
  const column = ({ name, type }: Column): FieldColumn => ({
    name,
    at: places.get(name) as number,
    value: VALUES[type],
  })
  return { members, columns: TABLES[model].fields.map(column) }
}

const PLANS: ReadonlyMap<ModelName, Plan> = new Map(MODEL_NAMES.map((model) => [model, planOf(model)]))

/** Bookkeeping, in the order of its columns. */
function headValues(change: Change, key: string, { partition, offset }: ChangePosition): CopyValue[] {
  return [
    cleanText(key),
    cleanText(change.integration_id),
    cleanText(change.id),
    optional(change.remote_id),
    change.version,
    cleanText(change.op),
    isoTime(change.changed_at),
    isoTime(change.remote_changed_at),
    optional(change.merged_into_id),
    partition,
    offset,
  ]
}

const optional = (text: string | null): string | null => (text === null ? null : cleanText(text))

function fieldValues(
  columns: readonly FieldColumn[],
  record: Readonly<Record<string, unknown>> | null,
  texts: readonly (string | null)[] | null,
  change: Change,
): CopyValue[] {
  if (record === null || texts === null) {
    // After a purge nothing is left but the identity: the row stays, empty and marked as deleted.
    return columns.map(({ name }) => (name === 'remote_deleted_at' ? isoTime(change.changed_at) : null))
  }
  return columns.map(({ name, at, value }) => {
    const text = texts[at]
    return text === null || text === undefined ? null : value(record[name], text)
  })
}

/** In the order of `HISTORY_COLUMNS`. */
function historyValues(
  model: ModelName,
  change: Change,
  key: string,
  position: ChangePosition,
  members: readonly Member[],
  texts: readonly (string | null)[] | null,
): CopyValue[] {
  const first = change.before === null && change.after !== null && change.changes.length === 0
  const fields = first ? heldFields(members, texts ?? []) : touchedFields(change.changes).map(cleanText)
  const changes = first ? additions(members, texts ?? []) : fieldChangesJsonText(change.changes)
  return [
    cleanText(key),
    change.version,
    cleanText(change.event_id),
    cleanText(change.integration_id),
    model,
    cleanText(change.id),
    cleanText(change.op),
    isoTime(change.changed_at),
    isoTime(change.remote_changed_at),
    optional(change.merged_into_id),
    fields,
    postgresJson(changes),
    postgresJson(JSON.stringify(causeToJson(change.cause))),
    position.partition,
    position.offset,
  ]
}

const isHeld = ({ compared }: Member, text: string | null | undefined): boolean =>
  compared && text !== null && text !== undefined

/** What `effectiveChanges` gives for a first sight, from the texts that the row is made of. */
function additions(members: readonly Member[], texts: readonly (string | null)[]): string {
  const items: string[] = []
  for (let at = 0; at < members.length; at++) {
    const member = members[at] as Member
    if (isHeld(member, texts[at]))
      items.push(`{"path":"/${member.name}","op":"add","before":null,"after":${texts[at]}}`)
  }
  return `[${items.join(',')}]`
}

const heldFields = (members: readonly Member[], texts: readonly (string | null)[]): string[] =>
  members.flatMap((member, at) => (isHeld(member, texts[at]) ? [member.name] : []))
