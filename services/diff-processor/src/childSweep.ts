import { TidemarkError } from '@tidemark/base'
import { type OpenCodec, Writer } from '@tidemark/codec'
import type { Differ, SourcePosition } from '@tidemark/diff'
import { type Control, childPrefix, isModelName, PARENT_MODEL, parseRecordKey, type RecordKey } from '@tidemark/model'
import type { Collector } from './slice.ts'

interface SweepContext {
  readonly codec: OpenCodec
  readonly differ: Differ
  readonly overlay: Collector['overlay']
  readonly outcome: Collector['outcome']
}

/**
 * Ends the children of one parent that its complete list does not name. A child observed after the list was fetched
 * survives. Throws VALUE_UNDECODABLE for a control record that makes no sense.
 */
export function sweepChildren(
  { codec, differ, overlay, outcome }: SweepContext,
  value: Buffer,
  source: SourcePosition,
  timestampMs: number,
): void {
  const observed = codec.decodeObserved(value)
  if (observed.kind !== 'control') return
  const { control } = observed
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
  const sweep = {
    fetchStartedAt: control.fetch_started_at,
    observedAt: control.observed_at,
    cause: causeOf(codec, control),
  }
  // Collected first: deleting while scanning would show the scan its own writes.
  const children = [...overlay.scan(childPrefix(parentKey as RecordKey, model))]
  for (const { key, value: snapshot } of children) {
    if (listed.has(key.toString('utf8'))) continue
    outcome(model, key, differ.sweepChild(model, snapshot, sweep, source), timestampMs)
  }
}

/** The control's cause, encoded, with the list itself as evidence. */
function causeOf(codec: OpenCodec, control: Control): Buffer {
  const evidence = {
    kind: 'absence',
    detail: `not in the complete list of ${control.model} of ${control.parent_key}`,
    pages: control.pages,
    records: control.children.length,
  }
  const writer = new Writer(256)
  codec.writeCause(writer, { ...control.cause, evidence })
  return writer.take()
}
