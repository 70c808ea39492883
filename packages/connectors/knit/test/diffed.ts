import { type OpenCodec, openCodec } from '@tidemark/codec'
import type { ChildList, Mapped, MappedRecord } from '@tidemark/connector'
import { createDiffer, type Differ } from '@tidemark/diff'
import {
  type ModelName,
  normalizeRecord,
  PARENT_MODEL,
  parseRecordKey,
  publicId,
  recordKey,
  rootKey,
} from '@tidemark/model'
import { memoryRegistry, TEST_CAUSE } from '@tidemark/testing'

/** One record as the diff holds it. */
export type Stored = Readonly<Record<string, unknown>>

/** What the real diff makes of observations, one after another, as ingress would append them. */
export class DiffedState {
  readonly #codec: OpenCodec
  readonly #differ: Differ
  readonly #snapshots = new Map<string, Buffer>()
  /** Outcomes that were counted, such as `stale`. */
  readonly outcomes: Record<string, number> = {}
  #offset = 0

  private constructor(codec: OpenCodec) {
    this.#codec = codec
    this.#differ = createDiffer(codec)
  }

  static async open(): Promise<DiffedState> {
    return new DiffedState(await openCodec(memoryRegistry()))
  }

  /** Applies what a webhook received at `atMs` maps to. */
  see(integrationId: string, mapped: Mapped, atMs: number): void {
    for (const record of mapped.records) this.#record(integrationId, record, atMs)
    for (const list of mapped.childLists) this.#list(integrationId, list, atMs)
  }

  /** A record by its remote key, also when it is deleted. */
  get(integrationId: string, model: ModelName, remote: string): Stored | undefined {
    const snapshot = this.#snapshots.get(recordKey(integrationId, model, remote))
    return snapshot && (this.#codec.decodeSnapshot(model, snapshot).record as unknown as Stored)
  }

  /** Records of a model that are not deleted, by key. */
  live(model: ModelName): Map<string, Stored> {
    const found = new Map<string, Stored>()
    for (const [key, snapshot] of this.#snapshots) {
      if (key.split('/')[1] !== model) continue
      const record = this.#codec.decodeSnapshot(model, snapshot).record as unknown as Stored
      if (record['remote_deleted_at'] === null) found.set(key, record)
    }
    return found
  }

  #record(integrationId: string, mapped: MappedRecord, atMs: number): void {
    const { model, remoteKey, kind, remoteVersion, record } = mapped
    const key = recordKey(integrationId, model, remoteKey)
    const fields = { integrationId, kind, remoteVersion, fetchStartedAt: atMs, observedAt: atMs }
    const parentKey = PARENT_MODEL[model] ? rootKey(key) : null
    const value = this.#codec.encodeObservation(
      model,
      { ...fields, parentKey, mergedIntoId: null, cause: TEST_CAUSE },
      normalizeRecord(model, { id: publicId(key), ...record }),
    )
    const source = { partition: 0, offset: this.#offset++ }
    const outcome = this.#differ.apply(model, this.#snapshots.get(key), value, source)
    this.outcomes[outcome.kind] = (this.outcomes[outcome.kind] ?? 0) + 1
    if ('snapshot' in outcome) this.#snapshots.set(key, outcome.snapshot)
  }

  /** What a complete list lacks is deleted, as a child sweep does: by the order of arrival. */
  #list(integrationId: string, { model, parentRemoteKey, children }: ChildList, atMs: number): void {
    const kept = new Set(children)
    for (const key of [...this.#snapshots.keys()]) {
      const parts = parseRecordKey(key)
      if (parts?.integrationId !== integrationId || parts.model !== model) continue
      if (!parts.remote.startsWith(`${parentRemoteKey}:`) || kept.has(parts.remote)) continue
      const gone = { model, remoteKey: parts.remote, kind: 'deleted', remoteVersion: null, record: {} } as const
      this.#record(integrationId, gone, atMs)
    }
  }
}
