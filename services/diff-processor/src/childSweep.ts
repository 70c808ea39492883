import { TidemarkError } from '@tidemark/base'
import { type OpenCodec, Writer } from '@tidemark/codec'
import type { Absence, Differ, SourcePosition } from '@tidemark/diff'
import {
  type Control,
  childPrefix,
  isModelName,
  type ModelName,
  PARENT_MODEL,
  parseRecordKey,
  type RecordKey,
} from '@tidemark/model'
import type { SliceCollector } from './sliceOutput.ts'

export interface SweepContext {
  readonly codec: OpenCodec
  readonly differ: Differ
  readonly out: SliceCollector
}

/**
 * Ends the children of one parent that its complete list does not name. A child observed after the list was fetched
 * survives. Throws VALUE_UNDECODABLE for a control record that makes no sense.
 */
export function sweepChildren(
  context: SweepContext,
  control: Control,
  source: SourcePosition,
  timestampMs: number,
): void {
  const { model, parent_key: parentKey } = control
  if (control.kind !== 'child_sweep') {
    throw new TidemarkError(
      'VALUE_UNDECODABLE',
      `control record ${control.kind} is not known here; upgrade the diff processor`,
    )
  }
  if (!isModelName(model) || parentKey === null || parseRecordKey(parentKey)?.model !== PARENT_MODEL[model]) {
    throw new TidemarkError('VALUE_UNDECODABLE', `child sweep of ${model} names no parent of that model: ${parentKey}`)
  }
  const listed = new Set(control.children)
  const absence = absenceOf(context.codec, control, {
    kind: 'absence',
    detail: `not in the complete list of ${model} of ${parentKey}`,
    pages: control.pages,
    records: control.children.length,
  })
  removeChildren(context, control, { model, parentKey: parentKey as RecordKey, listed }, absence, source, timestampMs)
}

/** Ends the children of one model under a parent, all but those that are listed. */
export function removeChildren(
  { differ, out }: SweepContext,
  control: Control,
  list: { readonly model: ModelName; readonly parentKey: RecordKey; readonly listed: ReadonlySet<string> },
  absence: Absence,
  source: SourcePosition,
  timestampMs: number,
): void {
  const origin = { integrationId: control.integration_id, syncId: control.sync_id, kind: control.cause.kind }
  // Collected first: deleting while scanning would show the scan its own writes.
  const children = [...out.overlay.scan(childPrefix(list.parentKey, list.model))]
  for (const { key, value: snapshot } of children) {
    if (list.listed.has(key.toString('utf8'))) continue
    const outcome = differ.removeAbsent(list.model, snapshot, absence, source)
    out.outcome(list.model, key, outcome, timestampMs)
    if (outcome.kind === 'changed') out.tally.absence(list.model, origin, outcome)
  }
}

/** What the control record says of a record that is missing, its cause with this evidence. */
export function absenceOf(
  codec: OpenCodec,
  control: Control,
  evidence: NonNullable<Control['cause']['evidence']>,
): Absence {
  const writer = new Writer(256)
  codec.writeCause(writer, { ...control.cause, evidence })
  return { fetchStartedAt: control.fetch_started_at, observedAt: control.observed_at, cause: writer.take() }
}
