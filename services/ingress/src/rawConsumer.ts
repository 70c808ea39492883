/**
 * Reads ats.raw and acts on the webhooks in it. A webhook is done when every fetch it asked for has ended well; the committed position
 * of a partition never passes one that is not, so whatever ends the process, the next one reads it again and fetches again.
 */
import { classify, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { WebhookEffect, WebhookReading, WebhookRequest } from '@tidemark/connector'
import { type EventLog, type LogRecord, readRange } from '@tidemark/log'
import { DEAD_LETTERS_TOPIC, RAW_TOPIC, type Raw, type RawPosition, type SyncEvent, syncEvent } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import { Deduper } from './dedupe.ts'
import { countObserved, type NamedSource } from './fetchStream.ts'
import { adoptionEvent, type Integrations } from './integrations.ts'
import { deadLetterRecord, observe } from './observe.ts'
import type { PushedRuns } from './pushedRuns.ts'
import { isUsableIntegrationId } from './raw.ts'
import type { RecordReads } from './recordReads.ts'
import type { IngressState } from './state.ts'
import type { SyncLog } from './syncLog.ts'
import type { Syncs } from './syncs.ts'

export interface RawConsumerDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly logger: Logger
  readonly metrics: Metrics
  readonly partitions: number
  readonly sources: ReadonlyMap<string, NamedSource>
  readonly state: IngressState
  readonly syncLog: SyncLog
  readonly syncs: Syncs
  readonly integrations: Integrations
  readonly reads: Pick<RecordReads, 'ask'>
  readonly pushed: PushedRuns
}

/** How far back repeated webhooks are looked for at the start. */
const TAIL_RECORDS_MAX = 1000
const TAIL_BYTES_MAX = 32 * 1024 * 1024
const TAIL_STEP = 100

/** A webhook as stored, with what it needs to be acted on. */
interface Stored {
  readonly raw: Raw
  readonly position: RawPosition
  /** When the log got it: later than it was received where it was spooled. */
  readonly storedAtMs: number
  readonly from: NamedSource
  /** It was in the log before this process began, so its events may be written already. */
  readonly isReread: boolean
}

export class RawConsumer {
  readonly #deps: RawConsumerDeps
  readonly #deduper = new Deduper()
  /** End of each partition when this process began. */
  readonly #endAtStart: readonly number[]
  /** Positions of webhooks that had a dead letter when this process began. */
  readonly #lettered: ReadonlySet<string>

  private constructor(deps: RawConsumerDeps, endAtStart: readonly number[], lettered: ReadonlySet<string>) {
    this.#deps = deps
    this.#endAtStart = endAtStart
    this.#lettered = lettered
  }

  /** Recalls from the log what earlier processes did up to and beyond the given start offsets. */
  static async open(deps: RawConsumerDeps, offsets: readonly number[]): Promise<RawConsumer> {
    const ends: number[] = []
    const lettered = new Set<string>()
    for (const [partition, offset] of offsets.entries()) {
      const { end } = await deps.log.bounds(RAW_TOPIC, partition)
      ends.push(end)
      if (offset < end) await recallDeadLetters(deps, partition, offset, lettered)
    }
    const consumer = new RawConsumer(deps, ends, lettered)
    for (const [partition, offset] of offsets.entries()) await consumer.#recallEvents(partition, offset)
    return consumer
  }

  /** Takes one raw record on. Rejects only when the log or the state cannot be written. */
  async handle(partition: number, record: LogRecord): Promise<void> {
    const { codec, sources, logger } = this.#deps
    if (record.value === null) return
    const position: RawPosition = { partition, offset: record.offset }
    let raw: Raw
    try {
      raw = codec.decode('Raw', record.value)
    } catch (error) {
      logger.error({ err: error, topic: RAW_TOPIC, ...position }, 'raw record cannot be decoded, passed over')
      await this.#deadLetter(classify(error), null, position, record.timestampMs)
      return
    }
    if (raw.kind !== 'webhook') return
    const from = sources.get(raw.source)
    if (!from) {
      logger.warn({ source: raw.source, ...position }, 'webhook of a source that is no longer configured, passed over')
      return
    }
    const isReread = record.offset < (this.#endAtStart[partition] ?? 0)
    await this.#handleWebhook({ raw, position, storedAtMs: record.timestampMs, from, isReread })
  }

  async #handleWebhook(stored: Stored): Promise<void> {
    const { raw, position, storedAtMs, from } = stored
    let reading: WebhookReading
    try {
      reading = readStored(from, raw)
    } catch (thrown) {
      this.#count(from.name, 'unmappable')
      await this.#deadLetter(classify(thrown), raw, position, storedAtMs)
      return
    }
    const { eventName, eventId } = reading
    if (this.#deduper.isKnown(from.name, eventName, eventId)) {
      this.#count(from.name, 'duplicate')
      return
    }
    if (this.#isForeign(from, reading.integrationId)) return
    for (const effect of reading.effects) await this.#act(stored, reading, effect)
    this.#deduper.remember(from.name, eventName, eventId)
  }

  /** Two sources may be two customers: what one is sent says nothing about the other's integrations, whatever ids it names. */
  #isForeign(from: NamedSource, id: string | null): boolean {
    if (id === null || !this.#deps.integrations.isForeign(id, from.name)) return false
    this.#count(from.name, 'unknown_integration')
    this.#deps.logger.warn(
      { source: from.name, integration_id: id },
      'webhook of an integration that another source reads',
    )
    return true
  }

  async #act(stored: Stored, reading: WebhookReading, effect: WebhookEffect): Promise<void> {
    switch (effect.kind) {
      case 'fetch':
        return await this.#actOnFetch(stored, reading, effect)
      case 'read':
        return await this.#actOnRead(stored, reading, effect)
      case 'records':
        return await this.#actOnRecords(stored, reading, effect)
      case 'pushed_run': {
        const { integrationId } = reading
        if (integrationId === null || !(await this.#isRead(stored, reading))) return
        return await this.#deps.pushed.end(stored.from, integrationId, effect)
      }
      case 'integration':
        return await this.#actOnIntegration(stored, reading, effect)
      case 'provider_sync': {
        const event = this.#eventOf(stored, reading, 'provider_sync_finished', effect.state, null)
        return await this.#actOnLife(stored, reading, event)
      }
      case 'ignored': {
        this.#count(stored.from.name, 'ignored')
        const message = `${reading.eventName}: ${effect.reason}`
        const event = this.#eventOf(stored, reading, 'provider_event', null, message)
        if (event && !this.#isWritten(stored, event)) await this.#deps.syncLog.append(event)
        return
      }
      default:
        effect satisfies never
    }
  }

  async #actOnFetch(stored: Stored, reading: WebhookReading, effect: WebhookEffect & { kind: 'fetch' }): Promise<void> {
    const { from, position } = stored
    const { syncs, logger } = this.#deps
    const { integrationId: id, eventName, eventId } = reading
    if (effect.unknownModels.length > 0) {
      this.#count(from.name, 'unknown_model', effect.unknownModels.length)
      const models = effect.unknownModels.slice(0, 20)
      logger.info({ source: from.name, integration_id: id, models }, 'webhook names models that have no stream')
    }
    if (id === null || effect.streams.length === 0) return
    if (!(await this.#isRead(stored, reading))) return
    const ask = {
      source: from.name,
      integrationId: id,
      streams: effect.streams,
      full: false,
      reason: 'webhook',
    } as const
    syncs.ask({ ...ask, trigger: { eventName, eventId }, hold: position })
  }

  async #actOnRead(stored: Stored, reading: WebhookReading, effect: WebhookEffect & { kind: 'read' }): Promise<void> {
    const { from, position } = stored
    const { integrationId, eventName, eventId } = reading
    if (integrationId === null || !(await this.#isRead(stored, reading))) return
    await this.#deps.reads.ask({ from, integrationId, effect, trigger: { eventName, eventId }, hold: position })
  }

  /** Whether the integration a webhook names is one that is read; one that nobody knew is adopted where the source allows it. */
  async #isRead({ from, raw }: Stored, { integrationId: id, eventName }: WebhookReading): Promise<boolean> {
    const { integrations, logger } = this.#deps
    if (id !== null && integrations.isLive(id, from.name)) return true
    const adoption = adoptionEvent(from.name, id ?? '', eventName, raw.received_at)
    if (id !== null && !integrations.isDeleted(id) && (await integrations.adopt(id, from, adoption))) return true
    this.#count(from.name, 'unknown_integration')
    logger.warn({ source: from.name, integration_id: id }, 'webhook of an integration that is not read')
    return false
  }

  async #actOnRecords(
    stored: Stored,
    reading: WebhookReading,
    { mapped, run }: WebhookEffect & { kind: 'records' },
  ): Promise<void> {
    const { from, position, raw } = stored
    const { log, codec, partitions, metrics, pushed } = this.#deps
    const { integrationId } = reading
    if (integrationId === null || !(await this.#isRead(stored, reading))) return
    if (run) await pushed.begin(from, integrationId, run)
    const { appends, tally, deadLetters, unread } = observe(codec, partitions, mapped, {
      source: from.name,
      integrationId,
      // The provider read the record before it sent the webhook; when, it does not say.
      fetchStartedAtMs: raw.received_at,
      observedAtMs: raw.received_at,
      cause: {
        kind: run?.isComplete ? 'full_sync' : 'webhook',
        sync_id: run?.id ?? null,
        event_name: reading.eventName,
        event_id: reading.eventId,
        actor: null,
        raw: position,
        evidence: null,
      },
    })
    if (appends.length > 0) await log.append(appends)
    countObserved(metrics, integrationId, tally, deadLetters)
    if (run) pushed.seen(integrationId, run, mapped, tally, unread)
  }

  async #actOnIntegration(
    stored: Stored,
    reading: WebhookReading,
    effect: WebhookEffect & { kind: 'integration' },
  ): Promise<void> {
    const { integrations } = this.#deps
    const event = this.#eventOf(stored, reading, `integration_${effect.event}`, effect.state, null)
    if (event === null || reading.integrationId === null) return
    if (effect.event === 'state_changed') return await this.#actOnLife(stored, reading, event)
    if (this.#isWritten(stored, event)) return
    if (effect.event === 'created') await integrations.created(reading.integrationId, stored.from, event)
    else await integrations.deleted(reading.integrationId, event)
  }

  /** The provider reports on an integration: written, and whoever waits for it to become ready asks again. */
  async #actOnLife(stored: Stored, reading: WebhookReading, event: SyncEvent | null): Promise<void> {
    const { integrations, syncs, syncLog } = this.#deps
    const { integrationId: id, eventName } = reading
    if (event === null || id === null) return
    if (!this.#isWritten(stored, event)) await syncLog.append(event)
    if (integrations.isLive(id, stored.from.name)) syncs.wake(id)
    else if (!integrations.isDeleted(id))
      await integrations.adopt(id, stored.from, adoptionEvent(stored.from.name, id, eventName, stored.raw.received_at))
  }

  #eventOf(
    stored: Stored,
    reading: WebhookReading,
    event: string,
    state: string | null,
    message: string | null,
  ): SyncEvent | null {
    if (reading.integrationId === null) return null
    const at = stored.raw.received_at
    return syncEvent({
      source: stored.from.name,
      integration_id: reading.integrationId,
      event,
      at,
      state,
      message,
    })
  }

  #isWritten(stored: Stored, event: SyncEvent): boolean {
    return stored.isReread && this.#deps.state.hasLifecycleEvent(event)
  }

  #count(source: string, outcome: string, by = 1): void {
    this.#deps.metrics.webhooks.inc({ source, outcome }, by)
  }

  async #deadLetter(error: TidemarkError, raw: Raw | null, position: RawPosition, atMs: number): Promise<void> {
    if (this.#lettered.has(letterKey(position.partition, position.offset))) return
    const letter = deadLetterRecord(this.#deps.codec, {
      stage: 'webhook',
      error,
      source: raw?.source ?? null,
      integrationId: raw?.integration_id ?? null,
      model: null,
      recordKey: null,
      topic: RAW_TOPIC,
      position,
      atMs,
      value: null,
    })
    await this.#deps.log.append([letter])
    this.#deps.metrics.deadLetters.inc({ stage: 'webhook', code: error.code })
  }

  /** Remembers the events of the newest webhooks before `offset`, oldest first, reading backwards until enough was read. */
  async #recallEvents(partition: number, offset: number): Promise<void> {
    const { log, codec, sources } = this.#deps
    const { start } = await log.bounds(RAW_TOPIC, partition)
    const readings: { readonly source: string; readonly reading: WebhookReading }[][] = []
    let [records, bytes, to] = [0, 0, offset]
    while (to > start && records < TAIL_RECORDS_MAX && bytes < TAIL_BYTES_MAX) {
      const from = Math.max(start, to - TAIL_STEP)
      const step: { readonly source: string; readonly reading: WebhookReading }[] = []
      for await (const record of readRange(log, RAW_TOPIC, partition, from, to)) {
        records++
        bytes += record.value?.length ?? 0
        const read = record.value === null ? null : readLeniently(codec, sources, record.value)
        if (read) step.push(read)
      }
      readings.push(step)
      to = from
    }
    for (const { source, reading } of readings.reverse().flat())
      this.#deduper.remember(source, reading.eventName, reading.eventId)
  }
}

const letterKey = (partition: number, offset: number): string => `${partition}:${offset}`

/** Reads a stored webhook; throws WEBHOOK_UNMAPPABLE. */
function readStored(from: NamedSource, raw: Raw): WebhookReading {
  const request: WebhookRequest = { headers: raw.headers, query: {}, rawBody: raw.body }
  const reading = from.source.readWebhook(request)
  if (reading.integrationId !== null && !isUsableIntegrationId(reading.integrationId))
    throw new TidemarkError(
      'WEBHOOK_UNMAPPABLE',
      'The webhook names an integration by an id that is empty or too long.',
    )
  return reading
}

function readLeniently(
  codec: Codec,
  sources: ReadonlyMap<string, NamedSource>,
  value: Uint8Array,
): { readonly source: string; readonly reading: WebhookReading } | null {
  try {
    const raw = codec.decode('Raw', value)
    const from = raw.kind === 'webhook' ? sources.get(raw.source) : undefined
    return from ? { source: from.name, reading: readStored(from, raw) } : null
  } catch {
    // What cannot be read has its dead letter already, and no event id to remember.
    return null
  }
}

/** Positions at or behind `offset` that have a webhook's dead letter: it stands in the same partition and is not older. */
async function recallDeadLetters(
  deps: RawConsumerDeps,
  partition: number,
  offset: number,
  lettered: Set<string>,
): Promise<void> {
  const { log, codec } = deps
  const { records } = await log.fetch({ topic: RAW_TOPIC, partition, offset, recordsMax: 1 })
  const first = records[0]
  if (!first) return
  // Receive times in a partition are not strictly in order: a page is stored some time after it was received.
  const from = await log.offsetAt(DEAD_LETTERS_TOPIC, partition, first.timestampMs - 60_000)
  const { end } = await log.bounds(DEAD_LETTERS_TOPIC, partition)
  for await (const { value } of readRange(log, DEAD_LETTERS_TOPIC, partition, from, end)) {
    if (value === null) continue
    const letter = codec.decode('DeadLetter', value)
    if (letter.stage === 'webhook' && letter.partition === partition && letter.offset !== null)
      lettered.add(letterKey(letter.partition, letter.offset))
  }
}
