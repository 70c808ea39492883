import type { Codec } from '@tidemark/codec'
import type { AppendRecord } from '@tidemark/log'
import { type Control, type ModelName, OBSERVED_TOPIC, type ObservationCause } from '@tidemark/model'

/** What the control records of one sweep have in common. */
export interface SweepScope {
  readonly integrationId: string
  readonly model: ModelName
  readonly syncId: string
  /** Kind of the run's observations. */
  readonly causeKind: string
}

export interface SweepControl extends SweepScope {
  readonly kind: 'sweep_begin' | 'sweep_end' | 'sweep_apply'
  /** When the run began to fetch. */
  readonly fetchStartedAtMs: number
  readonly atMs: number
  readonly pages?: number | null
  readonly records?: number | null
  /** By partition: offset of the sweep_begin, and keys that are to be left alone. */
  readonly partitions?: readonly { readonly beginOffset: number; readonly spared: readonly string[] }[]
  readonly namesSuspects?: boolean
  /** Who confirmed a sweep that was held. */
  readonly confirmedBy?: string | null
}

/** One control record for each partition of ats.observed, in the order of the partitions. */
export function controlRecords(codec: Codec, partitions: number, sweep: SweepControl): AppendRecord[] {
  return Array.from({ length: partitions }, (_, partition) => ({
    topic: OBSERVED_TOPIC,
    partition,
    key: Buffer.from(sweep.integrationId),
    value: codec.encode('Control', controlOf(sweep, partition)),
    timestampMs: sweep.atMs,
  }))
}

function controlOf(sweep: SweepControl, partition: number): Control {
  const own = sweep.partitions?.[partition]
  return {
    kind: sweep.kind,
    integration_id: sweep.integrationId,
    model: sweep.model,
    sync_id: sweep.syncId,
    parent_key: null,
    children: [],
    fetch_started_at: sweep.fetchStartedAtMs,
    observed_at: sweep.atMs,
    pages: sweep.pages ?? null,
    records: sweep.records ?? null,
    cause: causeOf(sweep),
    begin_offset: own?.beginOffset ?? null,
    spared: own?.spared ?? [],
    names_suspects: sweep.namesSuspects ?? false,
  }
}

const causeOf = ({ causeKind, syncId, confirmedBy }: SweepControl): ObservationCause => ({
  kind: causeKind,
  sync_id: syncId,
  event_name: null,
  event_id: null,
  actor: confirmedBy ?? null,
  raw: null,
  evidence: null,
})
