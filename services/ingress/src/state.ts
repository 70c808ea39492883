/**
 * What ingress remembers between runs: watermarks, known integrations, which lifecycle events are written. A fold of ats.syncs, kept
 * in a StateStore as a cache: wrong or missing, it is rebuilt from the topic.
 *
 * Keys: `p/<partition>` next offset of ats.syncs; `w/<integration>\0<stream>` watermark; `i/<integration>` source and life;
 * `e/<integration>\0<event>` time of the last lifecycle event; `r/<integration>\0<run>` a run that was announced and not finished;
 * `s/<integration>\0<stream>` source that was last asked for the stream; `f/<integration>\0<stream>` begin of its last complete listing;
 * `a/<integration>` since when its credentials are refused; `o/<integration>` why its schedule is stopped; `c/<integration>` its first sync is
 * done; `g/<integration>` its state at the provider; `n/<integration>` why the provider last said that it is not ready. Those of sweeps are in sweeps/sweepState.ts.
 */
import type { Codec } from '@tidemark/codec'
import type { EventLog, StateReader, StateStore, StateWrite } from '@tidemark/log'
import { SYNCS_TOPIC, type SyncEvent } from '@tidemark/model'
import type { Logger } from '@tidemark/telemetry'
import {
  foldSweepEvent,
  type HeldSweep,
  heldSweep,
  heldSweeps,
  lastSweptRun,
  type SweptRun,
  sweepPrefixes,
} from './sweeps/sweepState.ts'

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
const fullKey = (integrationId: string, stream: string): Buffer => bytes(`f/${integrationId}\0${stream}`)
const refusedKey = (integrationId: string): Buffer => bytes(`a/${integrationId}`)
const stoppedKey = (integrationId: string): Buffer => bytes(`o/${integrationId}`)
const readyKey = (integrationId: string): Buffer => bytes(`c/${integrationId}`)
const providerStateKey = (integrationId: string): Buffer => bytes(`g/${integrationId}`)
const notReadyKey = (integrationId: string): Buffer => bytes(`n/${integrationId}`)
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
    const key = watermarkKey(id, event.stream)
    const value = event.watermark === null ? null : bytes(String(laterOf(state, writes, key, event.watermark)))
    writes.push({ key, value })
  }
  if (event.event === 'integration_created')
    writes.push({ key: integrationKey(id), value: json({ source, deleted: false }) })
  if (event.event === 'started')
    for (const stream of event.streams) writes.push({ key: streamKey(id, stream), value: bytes(source) })
  if (event.event === 'integration_deleted') {
    const prefixes = [...['w', 's', 'f'].map((kind) => bytes(`${kind}/${id}\0`)), ...sweepPrefixes(id)]
    for (const prefix of prefixes) {
      const earlier = writes.filter(({ key }) => prefix.equals(key.subarray(0, prefix.length)))
      for (const { key } of [...state.scan(prefix), ...earlier]) writes.push({ key, value: null })
    }
    for (const kind of ['a', 'o', 'c', 'g', 'n']) writes.push({ key: bytes(`${kind}/${id}`), value: null })
    writes.push({ key: integrationKey(id), value: json({ source, deleted: true }) })
  }
  foldHealth(state, event, writes)
  foldSweepEvent(event, writes)
  if (event.sync_id !== null && (event.event === 'started' || event.event === 'finished')) {
    const isOpen = event.event === 'started'
    const value = isOpen ? json({ source, kind: event.kind === 'full' ? 'full' : 'delta' }) : null
    writes.push({ key: runKey(id, event.sync_id), value })
  }
  if (LIFECYCLE.has(event.event))
    writes.push({ key: eventKey(id, lifecycleName(event)), value: bytes(String(event.at)) })
}

/** A complete fetch ends long after it began: what was fetched meanwhile reaches further, and it stays so. */
function laterOf(state: StateReader, writes: readonly StateWrite[], key: Buffer, watermark: number): number {
  const earlier = writes.findLast((write) => key.equals(write.key))
  const known = earlier === undefined ? state.get(key) : earlier.value
  return known === null || known === undefined ? watermark : Math.max(watermark, Number(Buffer.from(known).toString()))
}

/** First syncs, complete listings, and credentials that are refused. */
function foldHealth(state: StateReader, event: SyncEvent, writes: StateWrite[]): void {
  const { integration_id: id } = event
  if (event.event === 'stream_finished' && event.state === 'SUCCEEDED' && event.stream !== null) {
    if (event.kind === 'full')
      writes.push({ key: fullKey(id, event.stream), value: bytes(String(event.watermark ?? event.at)) })
    writes.push({ key: refusedKey(id), value: null }, { key: notReadyKey(id), value: null })
  }
  if (event.event === 'progress' && event.state === 'PENDING')
    writes.push({ key: notReadyKey(id), value: bytes(event.details ?? '') })
  if (event.event === 'integration_state_changed' && event.state !== null)
    writes.push({ key: providerStateKey(id), value: bytes(event.state) })
  if (
    event.event === 'stream_finished' &&
    event.state === 'AUTHENTICATION_FAILED' &&
    state.get(refusedKey(id)) === undefined
  )
    writes.push({ key: refusedKey(id), value: bytes(String(event.at)) })
  if (event.event === 'finished' && event.kind === 'full' && isUsable(event.state))
    writes.push({ key: readyKey(id), value: bytes(String(event.at)) })
  if (event.event === 'schedule_stopped') writes.push({ key: stoppedKey(id), value: bytes(event.message ?? '') })
  if (event.event === 'schedule_resumed') writes.push({ key: stoppedKey(id), value: null })
}

/** Like Kombo (reference section 5.3): data of a run that failed in part is fresh. */
const isUsable = (state: string | null): boolean => state === 'SUCCEEDED' || state === 'PARTIALLY_FAILED'

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

  /** When the last complete listing of a stream began. */
  lastFullAt(integrationId: string, stream: string): number | undefined {
    const value = this.#store.get(fullKey(integrationId, stream))
    return value === undefined ? undefined : Number(value.toString())
  }

  /** Since when an integration's credentials are refused, without a success in between. */
  refusedSince(integrationId: string): number | undefined {
    const value = this.#store.get(refusedKey(integrationId))
    return value === undefined ? undefined : Number(value.toString())
  }

  /** Why nothing of an integration is fetched by schedule any more; undefined while it is. */
  stoppedBecause(integrationId: string): string | undefined {
    return this.#store.get(stoppedKey(integrationId))?.toString()
  }

  /** True when a complete run has brought the integration's data at least once. */
  isReady(integrationId: string): boolean {
    return this.#store.get(readyKey(integrationId)) !== undefined
  }

  /** The provider's last word on the state of the integration, as its connector reads it. */
  providerState(integrationId: string): string | undefined {
    return this.#store.get(providerStateKey(integrationId))?.toString()
  }

  /** The provider's code of why an integration is not ready; undefined when it is, or has not been asked. */
  notReadyCode(integrationId: string): string | undefined {
    return this.#store.get(notReadyKey(integrationId))?.toString()
  }

  lastSweptRun(integrationId: string, model: string): SweptRun | undefined {
    return lastSweptRun(this.#store, integrationId, model)
  }

  heldSweep(integrationId: string, model: string): HeldSweep | undefined {
    return heldSweep(this.#store, integrationId, model)
  }

  /** Every sweep that waits for a decision. */
  heldSweeps(): HeldSweep[] {
    return heldSweeps(this.#store)
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
