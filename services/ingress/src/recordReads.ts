/**
 * Reads of single records that webhooks name. The webhook is a hint: what the provider says now is what is observed. A webhook is done when its
 * reads have ended well; until then the committed position of ats.raw stays at it, so the next process reads it again.
 */
import { backoffMs, classify, type Random, type TidemarkError } from '@tidemark/base'
import type { MappedRecord, PointRead, WebhookEffect } from '@tidemark/connector'
import { type ModelName, type ObservationCause, publicId, type RawPosition, recordKey } from '@tidemark/model'
import { type NamedSource, storePage } from './fetchStream.ts'
import { deadLetterRecord } from './observe.ts'
import { type AbsenceContext, observeAbsences, type PointReadDeps } from './pointReads.ts'
import { lowestHolds, type Trigger } from './request.ts'

type ReadEffect = WebhookEffect & { readonly kind: 'read' }

export interface RecordReadsDeps extends PointReadDeps {
  readonly random: Random
}

/** What a webhook asks to be read. */
export interface ReadAsk {
  readonly from: NamedSource
  readonly integrationId: string
  readonly effect: ReadEffect
  readonly trigger: Trigger
  /** The webhook's position in ats.raw. */
  readonly hold: RawPosition
}

/** One record to be read, for all webhooks that named it since the last read began. */
interface Wanted {
  readonly ask: ReadAsk
  readonly remoteKey: string
  readonly holds: ReadonlyMap<number, number>
}

/** One provider's reads of one integration, one after another. */
interface Lane {
  readonly pending: Map<string, Wanted>
  running: readonly Wanted[]
  done: Promise<void> | null
}

/** Records that wait to be read; beyond that webhooks wait. */
const PENDING_MAX = 1_000
/** Records of one model in one request to the connector. */
const BATCH_MAX = 50
/** A record that cannot be read after so many tries, over about two hours, is set aside; a complete run finds it. */
const ATTEMPTS_MAX = 30
const BACKOFF = { startMs: 1_000, maxMs: 300_000 } as const

/** Carries out the reads; started and stopped with the service. */
export class RecordReads {
  readonly #deps: RecordReadsDeps
  readonly #signal: AbortSignal
  readonly #lanes = new Map<string, Lane>()
  #pending = 0
  #room = Promise.withResolvers<void>()

  constructor(deps: RecordReadsDeps, signal: AbortSignal) {
    this.#deps = deps
    this.#signal = signal
    signal.addEventListener('abort', () => this.#room.resolve(), { once: true })
  }

  /** Takes a webhook's reads on; resolves at once, or when there is room. */
  async ask(ask: ReadAsk): Promise<void> {
    for (const remoteKey of ask.effect.remoteKeys) {
      while (this.#pending >= PENDING_MAX && !this.#signal.aborted) await this.#room.promise
      this.#add(ask, remoteKey)
    }
  }

  /** The lowest offset of an ats.raw partition whose webhook still has something to be read; undefined when there is none. */
  lowestHold(partition: number): number | undefined {
    let lowest: number | undefined
    for (const { pending, running } of this.#lanes.values())
      for (const { holds } of [...pending.values(), ...running]) {
        const offset = holds.get(partition)
        if (offset !== undefined) lowest = Math.min(offset, lowest ?? offset)
      }
    return lowest
  }

  /** Resolves when nothing is in flight any more, after the signal. */
  async idle(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map(({ done }) => done))
  }

  #add(ask: ReadAsk, remoteKey: string): void {
    const laneKey = `${ask.from.name}\0${ask.integrationId}`
    const lane = this.#lanes.get(laneKey) ?? { pending: new Map(), running: [], done: null }
    this.#lanes.set(laneKey, lane)
    const key = `${ask.effect.model}\0${remoteKey}`
    const known = lane.pending.get(key)
    const holds = new Map([[ask.hold.partition, ask.hold.offset]])
    if (known) {
      // What an event says beyond "look" is not forgotten for a later one that does not.
      const meaning = ask.effect.meaning ?? known.ask.effect.meaning
      const effect = meaning === undefined ? ask.effect : { ...ask.effect, meaning }
      lane.pending.set(key, { ask: { ...ask, effect }, remoteKey, holds: lowestHolds(known.holds, holds) })
    } else {
      this.#pending++
      lane.pending.set(key, { ask, remoteKey, holds })
    }
    lane.done ??= this.#work(lane, laneKey).catch((error: unknown) => this.#giveUp(lane, error))
  }

  async #work(lane: Lane, laneKey: string): Promise<void> {
    // What else the same webhook asks for is read with it.
    await Promise.resolve()
    while (lane.pending.size > 0 && !this.#signal.aborted) {
      lane.running = takeAlike(lane.pending)
      this.#pending -= lane.running.length
      this.#room.resolve()
      this.#room = Promise.withResolvers()
      await this.#readOrSetAside(lane.running)
      if (!this.#signal.aborted) lane.running = []
    }
    lane.done = null
    if (lane.pending.size === 0 && lane.running.length === 0) this.#lanes.delete(laneKey)
  }

  /** What is not even set aside is still held: the next process reads its webhook again. */
  #giveUp(lane: Lane, error: unknown): void {
    lane.done = null
    this.#deps.logger.error({ err: error }, 'records that a webhook named were neither read nor set aside')
  }

  async #readOrSetAside(wanted: readonly Wanted[]): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#read(wanted)
      } catch (thrown) {
        if (this.#signal.aborted) return
        const error = classify(thrown)
        const { from, integrationId, effect } = (wanted[0] as Wanted).ask
        const fields = { err: error, source: from.name, integration_id: integrationId, model: effect.model, attempt }
        this.#deps.logger.warn(fields, 'records that a webhook named were not read')
        if (attempt + 1 >= ATTEMPTS_MAX) return await this.#setAside(wanted, error)
      }
      await this.#deps.clock.sleep(Math.ceil(backoffMs(attempt, BACKOFF, this.#deps.random)), this.#signal)
      if (this.#signal.aborted) return
    }
  }

  async #read(wanted: readonly Wanted[]): Promise<void> {
    const { from, integrationId, effect, trigger } = (wanted[0] as Wanted).ask
    const { model } = effect
    const { pointReads } = from.source
    if (!pointReads?.models.has(model)) throw new RangeError(`${from.name} has no reads of single ${model}`)
    const context = {
      ...{ from, integrationId, model, stream: streamOf(from, model) },
      cause: causeOf(trigger),
    }
    const remoteKeys = wanted.map(({ remoteKey }) => remoteKey)
    const onRetry = (retry: object): void =>
      this.#deps.logger.warn({ ...retry, source: from.name, integration_id: integrationId, model }, 'read waits')
    const signal = this.#signal
    const meanings = new Map(wanted.map(({ remoteKey, ask }) => [remoteKey, ask.effect.meaning]))
    for await (const answer of pointReads.read({ integrationId, model, remoteKeys, signal, onRetry })) {
      signal.throwIfAborted()
      if (answer.notOffered !== null) {
        const fields = { source: from.name, integration_id: integrationId, model, reason: answer.notOffered }
        this.#deps.logger.warn(fields, 'a record that a webhook named may not be read')
      }
      const shown = { ...answer, mapped: withMeanings(answer, model, meanings) }
      const { raw } = await storePage(this.#deps, from, context, shown, context.cause)
      const became = (absent: PointRead['absent'][number]): MappedRecord =>
        gone(context, absent, answer, meanings.get(absent.remoteKey), trigger)
      await observeAbsences(this.#deps, { ...context, raw }, answer, became)
    }
    signal.throwIfAborted()
  }

  /** Nothing is lost: the dead letter names the record, and complete runs see it. */
  async #setAside(wanted: readonly Wanted[], error: TidemarkError): Promise<void> {
    const { log, codec, metrics, clock } = this.#deps
    const letters = wanted.map(({ ask: { from, integrationId, effect, hold }, remoteKey }) =>
      deadLetterRecord(codec, {
        ...{ stage: 'read', error, source: from.name, integrationId, model: effect.model, topic: 'ats.raw' },
        ...{ recordKey: recordKey(integrationId, effect.model, remoteKey), position: hold, atMs: clock.now() },
        value: null,
      }),
    )
    await log.append(letters)
    metrics.deadLetters.inc({ stage: 'read', code: error.code }, letters.length)
  }
}

/** The longest pending, and others of its model and trigger, taken out. */
function takeAlike(pending: Map<string, Wanted>): Wanted[] {
  const [first] = pending.values()
  const taken: Wanted[] = []
  for (const [key, wanted] of pending) {
    const { effect, trigger } = wanted.ask
    if (effect.model !== first?.ask.effect.model || trigger.eventId !== first.ask.trigger.eventId) continue
    if (trigger.eventName !== first.ask.trigger.eventName) continue
    taken.push(wanted)
    pending.delete(key)
    if (taken.length >= BATCH_MAX) break
  }
  return taken
}

function streamOf({ source, name }: NamedSource, model: ModelName): string {
  const stream = source.streams.find((one) => source.modelsOf(one).includes(model))
  if (stream === undefined) throw new RangeError(`${name} has no stream of ${model}`)
  return stream
}

const causeOf = (trigger: Trigger): Omit<ObservationCause, 'raw'> => ({
  kind: 'webhook',
  sync_id: null,
  event_name: trigger.eventName,
  event_id: trigger.eventId,
  actor: null,
  evidence: null,
})

type Meaning = ReadEffect['meaning']

/** Records that are there, as what the event says they have become. */
function withMeanings(
  { mapped }: PointRead,
  model: ModelName,
  meanings: ReadonlyMap<string, Meaning>,
): PointRead['mapped'] {
  const records = mapped.records.map((record) =>
    record.model === model && record.kind === 'record' && meanings.get(record.remoteKey)?.kind === 'anonymized'
      ? { ...record, kind: 'anonymized' as const }
      : record,
  )
  return { ...mapped, records }
}

/** A record that is not there, as what the event says it has become: merged, or deleted. */
function gone(
  { integrationId, model }: AbsenceContext,
  absent: PointRead['absent'][number],
  { route, status }: PointRead,
  meaning: Meaning,
  { eventName }: Trigger,
): MappedRecord {
  const detail = `${eventName}; ${route.split('?')[0]} answered ${status} without it`
  const record = { model, ...absent, remoteVersion: null, evidence: { kind: 'provider_event', detail } } as const
  if (meaning?.kind !== 'merged') return { ...record, kind: 'deleted' }
  return { ...record, kind: 'merged', mergedIntoId: publicId(recordKey(integrationId, model, meaning.intoRemoteKey)) }
}
