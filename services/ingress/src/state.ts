/**
 * What ingress remembers between runs: watermarks, known integrations, which lifecycle events are written. A fold of ats.syncs, kept
 * in a StateStore as a cache: wrong or missing, it is rebuilt from the topic.
 *
 * Keys: `p/<partition>` next offset of ats.syncs; `w/<integration>\0<stream>` watermark; `i/<integration>` source and life;
 * `e/<integration>\0<event>` time of the last lifecycle event; `r/<integration>\0<run>` a run that was announced and not finished;
 * `s/<integration>\0<stream>` source that was last asked for the stream.
 */
import type { Codec } from '@tidemark/codec'
import type { EventLog, StateReader, StateStore, StateWrite } from '@tidemark/log'
import { SYNCS_TOPIC, type SyncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'

export interface KnownIntegration {
  readonly source: string
  readonly deleted: boolean
}

/** A run that ats.syncs says has begun, and does not say has ended. */
export interface OpenRun {
  readonly id: string
  readonly integrationId: string
  readonly source: string
  readonly kind: 'full' | 'delta'
}

const bytes = (text: string): Buffer => Buffer.from(text)
const json = (value: unknown): Buffer => bytes(JSON.stringify(value))

const positionKey = (partition: number): Buffer => bytes(`p/${partition}`)
const watermarkKey = (integrationId: string, stream: string): Buffer => bytes(`w/${integrationId}\0${stream}`)
const integrationKey = (integrationId: string): Buffer => bytes(`i/${integrationId}`)
const runKey = (integrationId: string, run: string): Buffer => bytes(`r/${integrationId}\0${run}`)
const streamKey = (integrationId: string, stream: string): Buffer => bytes(`s/${integrationId}\0${stream}`)
const eventKey = (integrationId: string, event: string): Buffer => bytes(`e/${integrationId}\0${event}`)

/** Events that come from a webhook one by one, and must not be written again when the webhook is read again. */
const LIFECYCLE = new Set([
  'integration_created',
  'integration_deleted',
  'integration_state_changed',
  'provider_sync_finished',
  'provider_event',
])

/** Adds the writes of one event to those of the events before it; reads the state for what a deletion has to clear. */
export function foldSyncEvent(state: StateReader, event: SyncEvent, writes: StateWrite[]): void {
  const { integration_id: id, source } = event
  if (event.event === 'stream_finished' && event.state === 'SUCCEEDED' && event.stream !== null) {
    // Without a watermark the stream was not offered: the next fetch is a full one again.
    const value = event.watermark === null ? null : bytes(String(event.watermark))
    writes.push({ key: watermarkKey(id, event.stream), value })
  }
  if (event.event === 'integration_created')
    writes.push({ key: integrationKey(id), value: json({ source, deleted: false }) })
  if (event.event === 'started')
    for (const stream of event.streams) writes.push({ key: streamKey(id, stream), value: bytes(source) })
  if (event.event === 'integration_deleted') {
    for (const prefix of [bytes(`w/${id}\0`), bytes(`s/${id}\0`)]) {
      const earlier = writes.filter(({ key }) => prefix.equals(key.subarray(0, prefix.length)))
      for (const { key } of [...state.scan(prefix), ...earlier]) writes.push({ key, value: null })
    }
    writes.push({ key: integrationKey(id), value: json({ source, deleted: true }) })
  }
  if (event.sync_id !== null && (event.event === 'started' || event.event === 'finished')) {
    const isOpen = event.event === 'started'
    const value = isOpen ? json({ source, kind: event.kind === 'full' ? 'full' : 'delta' }) : null
    writes.push({ key: runKey(id, event.sync_id), value })
  }
  if (LIFECYCLE.has(event.event))
    writes.push({ key: eventKey(id, lifecycleName(event)), value: bytes(String(event.at)) })
}

/** Provider events differ by their name, which their message begins with. */
const lifecycleName = (event: SyncEvent): string =>
  event.event === 'provider_event' ? `provider_event ${event.message?.split(':')[0] ?? ''}` : event.event

/** Reads and restores the cache. */
export class IngressState {
  readonly #store: StateStore
  readonly #partitions: number

  constructor(store: StateStore, partitions: number) {
    this.#store = store
    this.#partitions = partitions
  }

  watermark(integrationId: string, stream: string): number | undefined {
    const value = this.#store.get(watermarkKey(integrationId, stream))
    return value === undefined ? undefined : Number(value.toString())
  }

  integration(integrationId: string): KnownIntegration | undefined {
    const value = this.#store.get(integrationKey(integrationId))
    return value === undefined ? undefined : (JSON.parse(value.toString()) as KnownIntegration)
  }

  /** Every integration that was announced or deleted by webhook. */
  integrations(): Map<string, KnownIntegration> {
    const known = new Map<string, KnownIntegration>()
    for (const { key, value } of this.#store.scan(bytes('i/')))
      known.set(key.subarray(2).toString(), JSON.parse(value.toString()) as KnownIntegration)
    return known
  }

  /** Every stream that was ever asked for, by integration, with the source that was asked last. */
  streams(): Map<string, { source: string; readonly streams: string[] }> {
    const found = new Map<string, { source: string; readonly streams: string[] }>()
    for (const { key, value } of this.#store.scan(bytes('s/'))) {
      const [integrationId = '', stream = ''] = key.subarray(2).toString().split('\0')
      const known = found.get(integrationId) ?? { source: '', streams: [] }
      known.source = value.toString()
      known.streams.push(stream)
      found.set(integrationId, known)
    }
    return found
  }

  /** Runs without an end, in order of integration and id. Those of an earlier process will get none by themselves. */
  openRuns(): OpenRun[] {
    return [...this.#store.scan(bytes('r/'))].map(({ key, value }) => {
      const [integrationId = '', id = ''] = key.subarray(2).toString().split('\0')
      return { id, integrationId, ...(JSON.parse(value.toString()) as Pick<OpenRun, 'source' | 'kind'>) }
    })
  }

  /** True when this lifecycle event, or a later one of its kind, is in ats.syncs. */
  hasLifecycleEvent(event: SyncEvent): boolean {
    const value = this.#store.get(eventKey(event.integration_id, lifecycleName(event)))
    return value !== undefined && Number(value.toString()) >= event.at
  }

  /** Folds events that stand in ats.syncs, with the positions behind them. */
  async fold(events: readonly SyncEvent[], positions: ReadonlyMap<number, number>): Promise<void> {
    const writes: StateWrite[] = []
    for (const event of events) foldSyncEvent(this.#store, event, writes)
    let sum = 0
    for (let partition = 0; partition < this.#partitions; partition++) {
      const next = Math.max(this.#position(partition), positions.get(partition) ?? 0)
      writes.push({ key: positionKey(partition), value: bytes(String(next)) })
      sum += next
    }
    await this.#store.apply(writes, sum)
  }

  #position(partition: number): number {
    return Number(this.#store.get(positionKey(partition))?.toString() ?? '0')
  }

  /** Catches up with ats.syncs; starts over when the cache belongs to another log. */
  async restore(log: EventLog, codec: Codec, logger: Logger): Promise<void> {
    for (let partition = 0; partition < this.#partitions; partition++) {
      const { end } = await log.bounds(SYNCS_TOPIC, partition)
      if (this.#position(partition) <= end) continue
      logger.warn({ partition, cached: this.#position(partition), end }, 'ingress cache is ahead of ats.syncs: rebuilt')
      await this.#store.clear()
      break
    }
    for (let partition = 0; partition < this.#partitions; partition++)
      await this.#restorePartition(log, codec, partition)
  }

  async #restorePartition(log: EventLog, codec: Codec, partition: number): Promise<void> {
    const { start, end } = await log.bounds(SYNCS_TOPIC, partition)
    let offset = Math.max(start, this.#position(partition))
    while (offset < end) {
      const { records, nextOffset } = await log.fetch({ topic: SYNCS_TOPIC, partition, offset })
      const events = records.flatMap(({ value }) => (value === null ? [] : [codec.decode('SyncEvent', value)]))
      await this.fold(events, new Map([[partition, nextOffset]]))
      if (nextOffset <= offset) return
      offset = nextOffset
    }
  }
}
