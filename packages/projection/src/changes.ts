import type { Change } from '@tidemark/codec'
import type { FieldChange, ModelName, Models } from '@tidemark/model'
import { fieldJsonTexts, isoTime, type JsonObject, recordJsonText } from './json.ts'

/** `full`: with before and after. `light`: without. */
export type Payload = 'full' | 'light'

/** JSON text of a change as consumers read it: times as ISO 8601, before and after as plain JSON. */
export function changeJsonText<M extends ModelName>(model: M, change: Change<M>, payload: Payload = 'full'): string {
  const head = JSON.stringify({
    event_id: change.event_id,
    integration_id: change.integration_id,
    model,
    id: change.id,
    remote_id: change.remote_id,
    version: change.version,
    op: change.op,
    changed_at: isoTime(change.changed_at),
    remote_changed_at: isoTime(change.remote_changed_at),
    merged_into_id: change.merged_into_id,
    cause: causeToJson(change.cause),
  })
  const changes = `${head.slice(0, -1)},"changes":${fieldChangesJsonText(change.changes)}`
  if (payload === 'light') return `${changes}}`
  return `${changes},"before":${optionalRecord(model, change.before)},"after":${optionalRecord(model, change.after)}}`
}

function optionalRecord<M extends ModelName>(model: M, record: Models[M] | null): string {
  return record === null ? 'null' : recordJsonText(model, record)
}

/** Change to plain JSON; see {@link changeJsonText}. Throws SyntaxError when a JSON text in it is none. */
export function changeToJson<M extends ModelName>(model: M, change: Change<M>, payload: Payload = 'full'): JsonObject {
  return JSON.parse(changeJsonText(model, change, payload)) as JsonObject
}

/** JSON text of field changes. A side that does not exist is null, as one that is null; `op` tells them apart. */
export function fieldChangesJsonText(changes: readonly FieldChange[]): string {
  const items = changes.map(
    ({ path, op, before, after }) =>
      `{"path":${JSON.stringify(path)},"op":${JSON.stringify(op)},"before":${before ?? 'null'},"after":${after ?? 'null'}}`,
  )
  return `[${items.join(',')}]`
}

/**
 * The field changes a change means. A first sight (and a sight after a purge) lists none, as there is nothing to compare with:
 * here it adds every field that holds a value, so that a field's history begins with its first value.
 */
export function effectiveChanges<M extends ModelName>(model: M, change: Change<M>): readonly FieldChange[] {
  if (change.before !== null || change.after === null || change.changes.length > 0) return change.changes
  return fieldJsonTexts(model, change.after).map(([name, after]) => ({
    path: `/${name}`,
    op: 'add',
    before: null,
    after,
  }))
}

/** Cause to plain JSON with ISO times. */
export function causeToJson(cause: Change['cause']): JsonObject {
  return {
    kind: cause.kind,
    sync_id: cause.sync_id,
    event_name: cause.event_name,
    event_id: cause.event_id,
    actor: cause.actor,
    raw: cause.raw === null ? null : { partition: cause.raw.partition, offset: cause.raw.offset },
    evidence: cause.evidence === null ? null : { ...cause.evidence },
    observed: { partition: cause.observed.partition, offset: cause.observed.offset },
    previous_seen_at: isoTime(cause.previous_seen_at),
    first_seen_at: isoTime(cause.first_seen_at),
  }
}

/** Tokens of an RFC 6901 pointer; none for the whole document. */
export function pointerTokens(pointer: string): string[] {
  if (pointer === '') return []
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replace(/~1/g, '/').replace(/~0/g, '~'))
}

/** What a user writes for a field, as a pointer: `/location/city` is one, `current_stage_id` is the name of a field. */
export function fieldPointer(field: string): string {
  return field.startsWith('/') ? field : `/${field.replace(/~/g, '~0').replace(/\//g, '~1')}`
}

/**
 * True when a change at `path` touches what `pointer` names: the same place, one inside it, or one that holds it (a whole
 * object replaced changes its members).
 */
export function touches(path: string, pointer: string): boolean {
  return path === pointer || path.startsWith(`${pointer}/`) || pointer.startsWith(`${path}/`) || path === ''
}

/** Names of the record's fields that field changes touch, without repetition, in the order of the changes. */
export function touchedFields(changes: readonly FieldChange[]): string[] {
  return [...new Set(changes.flatMap(({ path }) => pointerTokens(path).slice(0, 1)))]
}
