/**
 * The diff: `apply(snapshot | none, observation) -> snapshot and change, or why nothing follows`. Pure: no clock, no I/O, no
 * randomness; the same bytes in give the same bytes out.
 *
 * It works on encodings. An unchanged record costs the reading of two envelopes and one comparison of bytes, because a
 * record is the last field of an observation and of a snapshot, canonically encoded. For a changed one the fields that
 * differ are decoded, and the encoded records are copied into the change as they are.
 *
 * Outcomes, in the order in which they are decided:
 *   repeated    the observation's source offset is not above the snapshot's: nothing
 *   unchanged   the record's bytes are equal: nothing, not even a newer observed_at
 *   unknown     a deletion or merge of a record never seen: nothing
 *   stale       an older provider version, or (without a newer one) a fetch begun before the snapshot was observed: nothing
 *   refreshed   only fields that are not compared differ: the snapshot, without a change
 *   changed     the snapshot and a change
 */
import {
  FRAME_BYTES,
  frameId,
  type ModelCodec,
  newObservationLayout,
  newSnapshotLayout,
  type ObservationLayout,
  type OpenCodec,
  Reader,
  readObservationLayout,
  readSnapshotLayout,
} from '@tidemark/codec'
import type { ModelName } from '@tidemark/model'
import { diffEncoded, newSpans, readField, readSpans, type Spans } from './encodedDiff.ts'
import { createEventWriter, type Encoded, type Envelope, type Op, type SourcePosition } from './eventWriter.ts'
import { KIND_ANONYMIZED, KIND_DELETED, KIND_MERGED, KIND_RECORD } from './kinds.ts'
import { createMerger, isDeleted } from './merge.ts'

export type Outcome =
  | { readonly kind: 'repeated' | 'unchanged' | 'unknown' | 'stale' }
  | { readonly kind: 'refreshed'; readonly snapshot: Buffer }
  | { readonly kind: 'changed'; readonly op: Op; readonly snapshot: Buffer; readonly change: Buffer }

export interface DiffOptions {
  /** Names of fields marked `diff: ignore` in the schemas that are compared all the same. */
  readonly tracked?: readonly string[]
}

/**
 * When the record of a key was seen last, in ms, given the offset in ats.observed that its snapshot is from; NaN when nobody knows. Asked only for
 * what is changed.
 */
export type LastSeen = (key: Buffer, sourceOffset: number) => number

/** Where an observation lies, and what is known of its record beyond the record's snapshot. */
export interface Place extends SourcePosition {
  /** Absent: never but when its snapshot was observed. */
  readonly lastSeen?: { readonly key: Buffer; readonly at: LastSeen }
}

/** For one thread, never re-entered: it keeps scratch buffers. What it returns is copied and safe to keep. */
export interface Differ {
  /** Both values are framed; the observation's schema id must be one of `model`'s. Throws VALUE_UNDECODABLE. */
  apply(model: ModelName, snapshot: Buffer | undefined, observation: Buffer, source: Place): Outcome
  /** Deletes a record that a complete list does not have: of its parent's children, or of all records of the model. */
  removeAbsent(model: ModelName, snapshot: Buffer, absence: Absence, source: Place): Outcome
  /** What a sweep needs to know of a stored record. */
  standing(model: ModelName, snapshot: Buffer): Standing
  /** For whoever needs more of its envelope than the diff says. */
  readonly applied: Applied
}

export interface Absence {
  /** A record that was observed after this time is not absent. */
  readonly fetchStartedAt: number
  readonly observedAt: number
  /** Encoded ObservationCause, evidence included. */
  readonly cause: Buffer
}

export interface Standing {
  readonly isDeleted: boolean
  /** Offset in ats.observed of the observation that the record's state is from. */
  readonly sourceOffset: number
}

/** The observation of the last `apply`, in its newest schema, and where its parts lie. One object, used again and again. */
export interface Applied {
  value: Buffer
  readonly layout: ObservationLayout
}

const REPEATED: Outcome = { kind: 'repeated' }
const UNCHANGED: Outcome = { kind: 'unchanged' }
const UNKNOWN: Outcome = { kind: 'unknown' }
const STALE: Outcome = { kind: 'stale' }
const NULL_BYTE = Buffer.from([0])

interface Scratch {
  readonly model: ModelCodec
  readonly observation: Spans
  readonly snapshot: Spans
}

export function createDiffer(codec: OpenCodec, options: DiffOptions = {}): Differ {
  const tracked = new Set(options.tracked ?? [])
  const scratches = new Map<ModelName, Scratch>()
  for (const [name, model] of codec.models) {
    scratches.set(name, { model, observation: newSpans(model), snapshot: newSpans(model) })
  }
  const reader = new Reader(NULL_BYTE)
  const obs = newObservationLayout()
  const snap = newSnapshotLayout()
  const merger = createMerger()
  const writer = createEventWriter()
  const applied: Applied = { value: NULL_BYTE, layout: obs }

  function readSnapshot(snapshot: Buffer): void {
    reader.set(snapshot, FRAME_BYTES, snapshot.length)
    readSnapshotLayout(reader, snap)
  }

  function isRepeated(source: SourcePosition): boolean {
    return snap.sourcePartition === source.partition && snap.sourceOffset >= source.offset
  }

  /** NaN stands for "no version", and every comparison with it is false. */
  function isStale(): boolean {
    if (obs.remoteVersion < snap.remoteVersion) return true
    if (obs.remoteVersion > snap.remoteVersion) return false
    return obs.fetchStartedAt < snap.observedAt
  }

  function sameRecord(observation: Buffer, snapshot: Buffer): boolean {
    const length = observation.length - obs.recordStart
    if (length !== snapshot.length - snap.recordStart) return false
    return observation.compare(snapshot, snap.recordStart, snapshot.length, obs.recordStart, observation.length) === 0
  }

  function apply(name: ModelName, previous: Buffer | undefined, value: Buffer, source: Place): Outcome {
    const scratch = scratches.get(name) as Scratch
    const observation = frameId(value) === scratch.model.observationId ? value : codec.upgraded(value)
    reader.set(observation, FRAME_BYTES, observation.length)
    readObservationLayout(reader, obs)
    applied.value = observation
    if (previous === undefined) return firstSight(scratch, observation, source)
    const snapshot = codec.upgraded(previous)
    readSnapshot(snapshot)
    if (isRepeated(source)) return REPEATED
    if (obs.kind === KIND_RECORD && sameRecord(observation, snapshot)) return UNCHANGED
    if (isStale()) return STALE
    return compare(scratch, observation, snapshot, source)
  }

  function firstSight({ model, observation: spans }: Scratch, observation: Buffer, source: SourcePosition): Outcome {
    if (obs.kind === KIND_DELETED || obs.kind === KIND_MERGED) return UNKNOWN
    readSpans(model, observation, obs.recordStart, observation.length, spans)
    const after = { buf: observation, spans }
    const op: Op = obs.kind === KIND_ANONYMIZED ? 'anonymized' : isDeleted(model, after) ? 'deleted' : 'created'
    const from = envelope(observation, NULL_BYTE, source, false)
    const eventId = `${source.partition}-${source.offset}`
    const change = writer.change(model, from, { eventId, version: 1, op, before: undefined, after, changes: [] })
    return { kind: 'changed', op, change, snapshot: writer.snapshot(model, from, 1, obs.observedAt, after) }
  }

  function compare(scratch: Scratch, observation: Buffer, snapshot: Buffer, source: Place): Outcome {
    const { model } = scratch
    readSpans(model, snapshot, snap.recordStart, snapshot.length, scratch.snapshot)
    readSpans(model, observation, obs.recordStart, observation.length, scratch.observation)
    const before: Encoded = { buf: snapshot, spans: scratch.snapshot }
    const wasDeleted = isDeleted(model, before)
    if (obs.kind === KIND_DELETED && wasDeleted) return UNCHANGED
    const after = merger.merge(model, { buf: observation, spans: scratch.observation }, obs, before)
    const nowDeleted = isDeleted(model, after)
    const merged = mergedInto(observation, snapshot, nowDeleted)
    const from = envelope(observation, merged, source, true)
    const changes = diffEncoded(model, before.buf, before.spans, after.buf, after.spans, tracked)
    if (changes.length === 0 && !isNewlyMerged(merged, snapshot)) {
      if (sameBytes(recordBytes(before), recordBytes(after))) return UNCHANGED
      return { kind: 'refreshed', snapshot: writer.snapshot(model, from, snap.version, snap.changedAt, after) }
    }
    const op = opOf(wasDeleted, nowDeleted)
    const version = snap.version + 1
    const eventId = `${source.partition}-${source.offset}`
    const change = writer.change(model, from, { eventId, version, op, before, after, changes })
    return { kind: 'changed', op, change, snapshot: writer.snapshot(model, from, version, obs.observedAt, after) }
  }

  function opOf(wasDeleted: boolean, nowDeleted: boolean): Op {
    if (obs.kind === KIND_ANONYMIZED) return 'anonymized'
    if (obs.kind === KIND_MERGED) return 'merged'
    if (wasDeleted === nowDeleted) return 'updated'
    return nowDeleted ? 'deleted' : 'restored'
  }

  /** Encoded merged_into_id of the new state: the survivor's id for a merge, kept while deleted, gone when restored. */
  function mergedInto(observation: Buffer, snapshot: Buffer, nowDeleted: boolean): Buffer {
    if (obs.kind === KIND_MERGED) return observation.subarray(obs.mergedStart, obs.mergedEnd)
    return nowDeleted ? snapshot.subarray(snap.mergedStart, snap.mergedEnd) : NULL_BYTE
  }

  function isNewlyMerged(merged: Buffer, snapshot: Buffer): boolean {
    return obs.kind === KIND_MERGED && !sameBytes(merged, snapshot.subarray(snap.mergedStart, snap.mergedEnd))
  }

  /**
   * When the old value was seen last: when its snapshot was observed, or by a complete run since. What was asked for before that run began says
   * nothing about the order of the two.
   */
  function previousSeenAt({ lastSeen }: Place, askedAt: number): number {
    const at = lastSeen ? lastSeen.at(lastSeen.key, snap.sourceOffset) : Number.NaN
    return at > snap.observedAt && at <= askedAt ? at : snap.observedAt
  }

  function envelope(observation: Buffer, merged: Buffer, source: Place, known: boolean): Envelope {
    const keepVersion = known && !Number.isNaN(snap.remoteVersion) && !(obs.remoteVersion > snap.remoteVersion)
    return {
      integration: observation.subarray(obs.integrationStart, obs.integrationEnd),
      parent: observation.subarray(obs.parentStart, obs.parentEnd),
      cause: observation.subarray(obs.causeStart, obs.causeEnd),
      merged,
      remoteChangedAt: obs.remoteVersion,
      remoteVersion: keepVersion ? snap.remoteVersion : obs.remoteVersion,
      observedAt: obs.observedAt,
      previousSeenAt: known ? previousSeenAt(source, obs.fetchStartedAt) : Number.NaN,
      source,
    }
  }

  function removeAbsent(name: ModelName, previous: Buffer, absence: Absence, source: Place): Outcome {
    const { model, snapshot: spans } = scratches.get(name) as Scratch
    const snapshot = codec.upgraded(previous)
    readSnapshot(snapshot)
    if (isRepeated(source)) return REPEATED
    readSpans(model, snapshot, snap.recordStart, snapshot.length, spans)
    const before: Encoded = { buf: snapshot, spans }
    if (isDeleted(model, before)) return UNCHANGED
    if (absence.fetchStartedAt < snap.observedAt) return STALE
    const after = merger.withTombstone(model, before, absence.observedAt)
    const changes = diffEncoded(model, before.buf, before.spans, after.buf, after.spans, tracked)
    const from: Envelope = {
      integration: integrationOf(snapshot),
      parent: snapshot.subarray(snap.parentStart, snap.parentEnd),
      cause: absence.cause,
      merged: NULL_BYTE,
      remoteChangedAt: Number.NaN,
      remoteVersion: snap.remoteVersion,
      observedAt: absence.observedAt,
      previousSeenAt: previousSeenAt(source, absence.fetchStartedAt),
      source,
    }
    const version = snap.version + 1
    // One control record can end many records, so the position alone would not be unique.
    const eventId = `${source.partition}-${source.offset}-${String(readField(model, snapshot, spans, 0))}`
    const change = writer.change(model, from, { eventId, version, op: 'deleted', before, after, changes })
    const next = writer.snapshot(model, from, version, absence.observedAt, after)
    return { kind: 'changed', op: 'deleted', change, snapshot: next }
  }

  function integrationOf(snapshot: Buffer): Buffer {
    reader.set(snapshot, FRAME_BYTES, snapshot.length)
    reader.skipBytes()
    return snapshot.subarray(FRAME_BYTES, reader.pos)
  }

  function standing(name: ModelName, previous: Buffer): Standing {
    const { model, snapshot: spans } = scratches.get(name) as Scratch
    const snapshot = codec.upgraded(previous)
    readSnapshot(snapshot)
    readSpans(model, snapshot, snap.recordStart, snapshot.length, spans)
    return { isDeleted: isDeleted(model, { buf: snapshot, spans }), sourceOffset: snap.sourceOffset }
  }

  return { apply, removeAbsent, standing, applied }
}

function recordBytes({ buf, spans }: Encoded): Buffer {
  return buf.subarray(spans[0], spans[spans.length - 1])
}

function sameBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && a.compare(b) === 0
}
