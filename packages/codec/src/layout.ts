import type { Reader } from './binary.ts'

/**
 * Where the parts of an encoded envelope lie, read without decoding the record. Written for the layouts of
 * `schemas/envelopes/*.avsc`; `openCodec` refuses to start when a published envelope has other fields.
 */
export const OBSERVATION_FIELDS =
  'integration_id kind parent_key remote_version fetch_started_at observed_at merged_into_id cause mask record'
export const SNAPSHOT_FIELDS =
  'integration_id version parent_key remote_version observed_at changed_at merged_into_id source record'
export const CHANGE_FIELDS =
  'event_id integration_id id remote_id version op changed_at remote_changed_at merged_into_id cause changes before after'

/** Parts of an observation; positions are byte offsets into the value. One object is used again and again. */
export interface ObservationLayout {
  integrationStart: number
  integrationEnd: number
  kind: number
  parentStart: number
  parentEnd: number
  /** NaN for none: comparisons with it are false. */
  remoteVersion: number
  fetchStartedAt: number
  observedAt: number
  mergedStart: number
  mergedEnd: number
  causeStart: number
  causeEnd: number
  /** Start of the bitmap, or -1 when every field was delivered. */
  maskStart: number
  maskEnd: number
  recordStart: number
}

export interface SnapshotLayout {
  version: number
  parentStart: number
  parentEnd: number
  remoteVersion: number
  observedAt: number
  changedAt: number
  mergedStart: number
  mergedEnd: number
  sourcePartition: number
  sourceOffset: number
  recordStart: number
}

export const newObservationLayout = (): ObservationLayout => ({
  integrationStart: 0,
  integrationEnd: 0,
  kind: 0,
  parentStart: 0,
  parentEnd: 0,
  remoteVersion: Number.NaN,
  fetchStartedAt: 0,
  observedAt: 0,
  mergedStart: 0,
  mergedEnd: 0,
  causeStart: 0,
  causeEnd: 0,
  maskStart: -1,
  maskEnd: -1,
  recordStart: 0,
})

export const newSnapshotLayout = (): SnapshotLayout => ({
  version: 0,
  parentStart: 0,
  parentEnd: 0,
  remoteVersion: Number.NaN,
  observedAt: 0,
  changedAt: 0,
  mergedStart: 0,
  mergedEnd: 0,
  sourcePartition: 0,
  sourceOffset: 0,
  recordStart: 0,
})

const skipOptionalBytes = (r: Reader): void => {
  if (r.byte() !== 0) r.skipBytes()
}

const optionalLong = (r: Reader): number => (r.byte() === 0 ? Number.NaN : r.long())

/** Reads the envelope at the reader's position (behind the frame); the reader ends at the record. */
export function readObservationLayout(r: Reader, out: ObservationLayout): void {
  out.integrationStart = r.pos
  r.skipBytes()
  out.integrationEnd = r.pos
  out.kind = r.long()
  out.parentStart = r.pos
  skipOptionalBytes(r)
  out.parentEnd = r.pos
  out.remoteVersion = optionalLong(r)
  out.fetchStartedAt = r.long()
  out.observedAt = r.long()
  out.mergedStart = r.pos
  skipOptionalBytes(r)
  out.mergedEnd = r.pos
  out.causeStart = r.pos
  skipCause(r)
  out.causeEnd = r.pos
  readMask(r, out)
  out.recordStart = r.pos
}

function readMask(r: Reader, out: ObservationLayout): void {
  out.maskStart = -1
  out.maskEnd = -1
  if (r.byte() === 0) return
  const mask = r.bytes()
  out.maskEnd = r.pos
  out.maskStart = r.pos - mask.length
}

function skipCause(r: Reader): void {
  r.skipBytes()
  skipOptionalBytes(r)
  skipOptionalBytes(r)
  skipOptionalBytes(r)
  skipOptionalBytes(r)
  if (r.byte() !== 0) {
    r.skipLong()
    r.skipLong()
  }
  if (r.byte() !== 0) {
    r.skipBytes()
    skipOptionalBytes(r)
    if (r.byte() !== 0) r.skipLong()
    if (r.byte() !== 0) r.skipLong()
  }
}

/** Reads the envelope at the reader's position (behind the frame); the reader ends at the record. */
export function readSnapshotLayout(r: Reader, out: SnapshotLayout): void {
  r.skipBytes()
  out.version = r.long()
  out.parentStart = r.pos
  skipOptionalBytes(r)
  out.parentEnd = r.pos
  out.remoteVersion = optionalLong(r)
  out.observedAt = r.long()
  out.changedAt = r.long()
  out.mergedStart = r.pos
  skipOptionalBytes(r)
  out.mergedEnd = r.pos
  out.sourcePartition = r.long()
  out.sourceOffset = r.long()
  out.recordStart = r.pos
}
