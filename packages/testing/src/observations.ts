import {
  type Control,
  type ModelName,
  normalizeRecord,
  type ObservationCause,
  PARENT_MODEL,
  partitionOf,
  publicId,
  type RecordInput,
  recordKey,
  remoteKey,
  rootKey,
} from '@tidemark/model'

/** What a builder needs of the codec; `OpenCodec` fits. */
interface ObservationEncoder {
  encodeObservation(
    model: ModelName,
    fields: ObservationEnvelope,
    normalized: ReturnType<typeof normalizeRecord>,
  ): Buffer
  encode(name: 'Control', value: Control): Buffer
}

interface ObservationEnvelope {
  readonly integrationId: string
  readonly kind: 'record' | 'deleted' | 'merged' | 'anonymized'
  readonly parentKey: string | null
  readonly remoteVersion: number | null
  readonly fetchStartedAt: number
  readonly observedAt: number
  readonly mergedIntoId: string | null
  readonly cause: ObservationCause
}

export const TEST_CAUSE: ObservationCause = {
  kind: 'delta_sync',
  sync_id: 'sync-1',
  event_name: null,
  event_id: null,
  actor: null,
  raw: null,
  evidence: null,
}

/** One value of ats.observed with its key and partition, as ingress would append it. */
export interface Appendable {
  readonly topic: 'ats.observed'
  readonly partition: number
  readonly key: Buffer
  readonly value: Buffer
  readonly timestampMs: number
}

export interface ObservationSpec {
  readonly integrationId?: string
  readonly model: ModelName
  /** Parts of the remote key; a child's first part is its parent's remote id. */
  readonly remote: readonly string[]
  readonly atMs: number
  readonly record?: RecordInput
  readonly fields?: Partial<ObservationEnvelope>
}

export interface SweepSpec {
  readonly kind: 'sweep_begin' | 'sweep_end' | 'sweep_apply'
  readonly integrationId?: string
  readonly model: ModelName
  readonly syncId: string
  /** When the run began. */
  readonly fromMs: number
  readonly atMs: number
  /** By partition. */
  readonly beginOffsets?: readonly number[]
  readonly spared?: readonly string[]
  readonly namesSuspects?: boolean
}

/** Builds values of ats.observed for tests and benchmarks. */
export function observationBuilder(
  codec: ObservationEncoder,
  partitions: number,
): {
  observe(spec: ObservationSpec): Appendable
  childSweep(spec: {
    readonly integrationId?: string
    readonly parent: readonly string[]
    readonly model: ModelName
    readonly children: readonly string[]
    readonly atMs: number
  }): Appendable
  /** A control record of a sweep of a model, for every partition. */
  sweep(spec: SweepSpec): Appendable[]
} {
  return {
    observe({ integrationId = 'test:1', model, remote, atMs, record = {}, fields = {} }) {
      const key = recordKey(integrationId, model, remoteKey(...remote))
      const root = rootKey(key)
      const envelope: ObservationEnvelope = {
        integrationId,
        kind: 'record',
        parentKey: PARENT_MODEL[model] ? root : null,
        remoteVersion: null,
        fetchStartedAt: atMs - 5,
        observedAt: atMs,
        mergedIntoId: null,
        cause: TEST_CAUSE,
        ...fields,
      }
      const value = codec.encodeObservation(model, envelope, normalizeRecord(model, { id: publicId(key), ...record }))
      return {
        topic: 'ats.observed',
        partition: partitionOf(root, partitions),
        key: Buffer.from(key),
        value,
        timestampMs: atMs,
      }
    },
    childSweep({ integrationId = 'test:1', parent, model, children, atMs }) {
      const parentModel = PARENT_MODEL[model] as ModelName
      const parentKey = recordKey(integrationId, parentModel, remoteKey(...parent))
      const value = codec.encode('Control', {
        kind: 'child_sweep',
        integration_id: integrationId,
        model,
        sync_id: null,
        parent_key: parentKey,
        children: children.map((c) => recordKey(integrationId, model, remoteKey(...parent, c))),
        fetch_started_at: atMs - 5,
        observed_at: atMs,
        pages: null,
        records: null,
        begin_offset: null,
        spared: [],
        names_suspects: false,
        cause: TEST_CAUSE,
      })
      return {
        topic: 'ats.observed',
        partition: partitionOf(parentKey, partitions),
        key: Buffer.from(parentKey),
        value,
        timestampMs: atMs,
      }
    },
    sweep({ integrationId = 'test:1', kind, model, syncId, fromMs, atMs, beginOffsets, spared = [], namesSuspects }) {
      return Array.from({ length: partitions }, (_, partition) => ({
        topic: 'ats.observed',
        partition,
        key: Buffer.from(integrationId),
        value: codec.encode('Control', {
          kind,
          integration_id: integrationId,
          model,
          sync_id: syncId,
          parent_key: null,
          children: [],
          fetch_started_at: fromMs,
          observed_at: atMs,
          pages: 2,
          records: 7,
          begin_offset: beginOffsets?.[partition] ?? null,
          spared,
          names_suspects: namesSuspects ?? false,
          cause: { ...TEST_CAUSE, kind: 'full_sync', sync_id: syncId },
        }),
        timestampMs: atMs,
      }))
    },
  }
}
