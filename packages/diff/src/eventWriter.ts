import { type ModelCodec, Writer } from '@tidemark/codec'
import type { FieldChange } from '@tidemark/model'
import type { Spans } from './encodedDiff.ts'

/** An encoded record somewhere in a buffer, with its fields' places. */
export interface Encoded {
  readonly buf: Buffer
  readonly spans: Spans
}

export type Op = 'created' | 'updated' | 'deleted' | 'restored' | 'anonymized' | 'merged' | 'purged'

export interface SourcePosition {
  readonly partition: number
  readonly offset: number
}

/** What a change and a snapshot take over, encoded, from the observation and the last snapshot. NaN stands for "none". */
export interface Envelope {
  readonly integration: Buffer
  readonly parent: Buffer
  readonly cause: Buffer
  readonly merged: Buffer
  /** The provider's time of this change. */
  readonly remoteChangedAt: number
  /** The newest provider version seen. */
  readonly remoteVersion: number
  readonly observedAt: number
  readonly previousSeenAt: number
  readonly source: SourcePosition
}

export interface ChangeParts {
  readonly eventId: string
  readonly version: number
  readonly op: Op
  readonly before: Encoded | undefined
  readonly after: Encoded
  readonly changes: readonly FieldChange[]
}

/** Writes framed changes and snapshots. Records are copied as they are encoded, never encoded again. */
export interface EventWriter {
  change(model: ModelCodec, from: Envelope, parts: ChangeParts): Buffer
  snapshot(model: ModelCodec, from: Envelope, version: number, changedAt: number, record: Encoded): Buffer
}

/** One writer's buffers are used again and again: for one thread, never re-entered. Returned values are copies. */
export function createEventWriter(): EventWriter {
  const out = new Writer(64 * 1024)

  const copy = (bytes: Buffer): void => out.raw(bytes, 0, bytes.length)

  const optionalLong = (value: number): void => {
    if (Number.isNaN(value)) out.byte(0)
    else {
      out.byte(2)
      out.long(value)
    }
  }

  const record = ({ buf, spans }: Encoded): void => out.raw(buf, spans[0] as number, spans[spans.length - 1] as number)

  const optionalRecord = (value: Encoded | undefined): void => {
    if (value === undefined) out.byte(0)
    else {
      out.byte(2)
      record(value)
    }
  }

  const position = ({ partition, offset }: SourcePosition): void => {
    out.long(partition)
    out.long(offset)
  }

  return {
    change(model, from, { eventId, version, op, before, after, changes }) {
      out.reset()
      copy(model.changeHeader)
      out.string(eventId)
      copy(from.integration)
      // id and remote_id are the first two fields of every entity, in this order; joins have no remote_id.
      out.raw(after.buf, after.spans[0] as number, after.spans[model.hasRemoteId ? 2 : 1] as number)
      if (!model.hasRemoteId) out.byte(0)
      out.long(version)
      out.string(op)
      out.long(from.observedAt)
      optionalLong(from.remoteChangedAt)
      copy(from.merged)
      copy(from.cause)
      position(from.source)
      optionalLong(from.previousSeenAt)
      out.long(from.observedAt)
      writeFieldChanges(out, changes)
      optionalRecord(before)
      optionalRecord(after)
      return out.take()
    },
    snapshot(model, from, version, changedAt, value) {
      out.reset()
      copy(model.snapshotHeader)
      copy(from.integration)
      out.long(version)
      copy(from.parent)
      optionalLong(from.remoteVersion)
      out.long(from.observedAt)
      out.long(changedAt)
      copy(from.merged)
      position(from.source)
      record(value)
      return out.take()
    },
  }
}

function writeFieldChanges(out: Writer, changes: readonly FieldChange[]): void {
  if (changes.length > 0) {
    out.long(changes.length)
    for (const change of changes) {
      out.string(change.path)
      out.string(change.op)
      optionalString(out, change.before)
      optionalString(out, change.after)
    }
  }
  out.byte(0)
}

function optionalString(out: Writer, value: string | null): void {
  if (value === null) out.byte(0)
  else {
    out.byte(2)
    out.string(value)
  }
}
