import { type ModelCodec, Reader } from '@tidemark/codec'
import type { FieldChange } from '@tidemark/model'
import { diffField } from './fieldDiff.ts'

/** Start of each field of an encoded record, and the record's end behind the last. */
export type Spans = Int32Array

const reader = new Reader(Buffer.alloc(0))

/** Finds the fields of the record that lies at start..end, without decoding them. Throws VALUE_UNDECODABLE. */
export function readSpans(model: ModelCodec, buf: Buffer, start: number, end: number, out: Spans): void {
  reader.set(buf, start, end)
  const { fields } = model.record
  for (let i = 0; i < fields.length; i++) {
    out[i] = reader.pos
    fields[i]!.skip(reader)
  }
  out[fields.length] = reader.pos
}

export const newSpans = (model: ModelCodec): Spans => new Int32Array(model.record.fields.length + 1)

/** Decodes one field of an encoded record. */
export function readField(model: ModelCodec, buf: Buffer, spans: Spans, i: number): unknown {
  reader.set(buf, spans[i] as number, spans[i + 1] as number)
  return model.record.fields[i]?.read(reader)
}

/** True when both encodings hold the same bytes in field i. */
export function sameField(a: Buffer, aSpans: Spans, b: Buffer, bSpans: Spans, i: number): boolean {
  const aStart = aSpans[i] as number
  const bStart = bSpans[i] as number
  const length = (aSpans[i + 1] as number) - aStart
  if (length !== (bSpans[i + 1] as number) - bStart) return false
  if (length <= 24) {
    for (let k = 0; k < length; k++) if (a[aStart + k] !== b[bStart + k]) return false
    return true
  }
  return a.compare(b, bStart, bStart + length, aStart, aStart + length) === 0
}

/**
 * Field changes between two encoded records, in schema order. Only fields whose bytes differ are decoded. Fields marked
 * `diff: ignore` are left out unless their name is in `tracked`.
 */
export function diffEncoded(
  model: ModelCodec,
  a: Buffer,
  aSpans: Spans,
  b: Buffer,
  bSpans: Spans,
  tracked: ReadonlySet<string>,
): FieldChange[] {
  const out: FieldChange[] = []
  const { fields } = model.record
  for (let i = 0; i < fields.length; i++) {
    if (sameField(a, aSpans, b, bSpans, i)) continue
    const { field } = fields[i] as (typeof fields)[number]
    if (field.diff === 'ignore' && !tracked.has(field.name)) continue
    diffField(field, readField(model, a, aSpans, i), readField(model, b, bSpans, i), `/${field.name}`, out)
  }
  return out
}
