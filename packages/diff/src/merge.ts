import { isDelivered, type ModelCodec, type ObservationLayout, Writer } from '@tidemark/codec'
import { newSpans, type Spans } from './encodedDiff.ts'
import type { Encoded } from './eventWriter.ts'
import { KIND_ANONYMIZED, KIND_RECORD } from './kinds.ts'

/** True when the record's remote_deleted_at is set. */
export function isDeleted(model: ModelCodec, record: Encoded): boolean {
  return record.buf[record.spans[model.deletedField] as number] !== 0
}

/** Builds merged records in one scratch buffer: a result is valid until the next call. */
export interface Merger {
  /** Delivered fields from the observation, the others from the last record, the tombstone by its own rule. */
  merge(model: ModelCodec, observation: Encoded, layout: ObservationLayout, before: Encoded): Encoded
  /** The record with remote_deleted_at set. */
  withTombstone(model: ModelCodec, before: Encoded, atMs: number): Encoded
}

export function createMerger(): Merger {
  const out = new Writer(16 * 1024)
  const spansOf = new Map<ModelCodec, Spans>()

  const copyField = ({ buf, spans }: Encoded, i: number): void =>
    out.raw(buf, spans[i] as number, spans[i + 1] as number)

  const tombstone = (atMs: number): void => {
    out.byte(2)
    out.long(atMs)
  }

  function build(model: ModelCodec, writeField: (i: number) => void): Encoded {
    let spans = spansOf.get(model)
    if (spans === undefined) {
      spans = newSpans(model)
      spansOf.set(model, spans)
    }
    out.reset()
    const count = model.fieldNames.length
    for (let i = 0; i < count; i++) {
      spans[i] = out.pos
      writeField(i)
    }
    spans[count] = out.pos
    return { buf: out.buf, spans }
  }

  /**
   * A record that is gone keeps the time at which it was first known to be gone. A plain observation says that the record
   * exists, unless it delivers a tombstone itself. An anonymization says nothing about that.
   */
  function mergeTombstone(model: ModelCodec, observation: Encoded, layout: ObservationLayout, before: Encoded): void {
    const i = model.deletedField
    const wasDeleted = isDeleted(model, before)
    const delivers = isDelivered(observation.buf, layout.maskStart, layout.maskEnd, i) && isDeleted(model, observation)
    if (delivers) copyField(wasDeleted ? before : observation, i)
    else if (layout.kind === KIND_RECORD) out.byte(0)
    else if (layout.kind === KIND_ANONYMIZED || wasDeleted) copyField(before, i)
    else tombstone(layout.observedAt)
  }

  return {
    merge: (model, observation, layout, before) =>
      build(model, (i) => {
        if (i === model.deletedField) mergeTombstone(model, observation, layout, before)
        else copyField(isDelivered(observation.buf, layout.maskStart, layout.maskEnd, i) ? observation : before, i)
      }),
    withTombstone: (model, before, atMs) =>
      build(model, (i) => {
        if (i === model.deletedField) tombstone(atMs)
        else copyField(before, i)
      }),
  }
}
