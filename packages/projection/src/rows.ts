import type { Change } from '@tidemark/codec'
import type { ModelName } from '@tidemark/model'
import { causeToJson, effectiveChanges, fieldChangesJsonText, touchedFields } from './changes.ts'
import { isoTime, postgresJson, recordJsonText } from './json.ts'

/** Where a change stands in its model's changes topic. */
export interface ChangePosition {
  readonly partition: number
  readonly offset: number
}

/** How a change moves the counts of its integration and model. */
export interface CountDelta {
  readonly records: number
  readonly deleted: number
}

/** A change as batches and counts see it. */
export interface ChangeSummary {
  readonly model: ModelName
  readonly recordKey: string
  readonly integrationId: string
  readonly partition: number
  readonly version: number
  readonly changedAtMs: number
  readonly count: CountDelta
}

/** What one change writes. Rows are JSON texts whose members are the table's columns. */
export interface ProjectedChange extends ChangeSummary {
  /** Row of the model's table, replacing the one of a lower version. */
  readonly row: string
  /** Row of the `changes` table. */
  readonly history: string
}

/**
 * The rows a change writes; pure. `key` is the change's key on its topic. Throws RangeError for a time that no date can hold:
 * such a change cannot be projected.
 */
export function toRows<M extends ModelName>(
  model: M,
  change: Change<M>,
  key: string,
  position: ChangePosition,
): ProjectedChange {
  const head = headText(change, key, position)
  return {
    ...summary(model, change, key, position),
    row: postgresJson(`${head},${stateText(model, change)}}`),
    history: postgresJson(`${head},${historyText(model, change)}}`),
  }
}

export function summary(model: ModelName, change: Change, key: string, position: ChangePosition): ChangeSummary {
  return {
    model,
    recordKey: key,
    integrationId: change.integration_id,
    partition: position.partition,
    version: change.version,
    changedAtMs: change.changed_at,
    count: countDelta(change),
  }
}

/** Members both tables have, without the closing brace. */
function headText(change: Change, key: string, position: ChangePosition): string {
  return JSON.stringify({
    record_key: key,
    integration_id: change.integration_id,
    id: change.id,
    version: change.version,
    op: change.op,
    changed_at: isoTime(change.changed_at),
    remote_changed_at: isoTime(change.remote_changed_at),
    merged_into_id: change.merged_into_id,
    log_partition: position.partition,
    log_offset: position.offset,
  }).slice(0, -1)
}

function stateText<M extends ModelName>(model: M, change: Change<M>): string {
  const remoteId = `"remote_id":${JSON.stringify(change.remote_id)}`
  // After a purge nothing is left but the identity: the row stays, empty and marked as deleted.
  if (change.after === null) return `${remoteId},"remote_deleted_at":"${isoTime(change.changed_at)}"`
  // The envelope's identity stands last: of equal members the last one counts.
  return `${recordJsonText(model, change.after).slice(1, -1)},"id":${JSON.stringify(change.id)},${remoteId}`
}

function historyText<M extends ModelName>(model: M, change: Change<M>): string {
  const changes = effectiveChanges(model, change)
  const rest = JSON.stringify({
    model,
    event_id: change.event_id,
    fields: touchedFields(changes),
    cause: causeToJson(change.cause),
  })
  return `${rest.slice(1, -1)},"changes":${fieldChangesJsonText(changes)}`
}

function isDeleted(record: { readonly remote_deleted_at: number | null } | null): boolean {
  return record === null || record.remote_deleted_at !== null
}

function countDelta(change: Change): CountDelta {
  const first = change.version === 1
  const wasDeleted = !first && isDeleted(change.before)
  return { records: first ? 1 : 0, deleted: Number(isDeleted(change.after)) - Number(wasDeleted) }
}
