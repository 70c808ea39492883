/**
 * Takes webhooks in: proves them, stores them, answers. It can be created and listen before there is a log; with a spool it then
 * acknowledges all the same, and moves what it holds into the log when that comes, or comes back.
 */
import { atMost, type Clock, classify, type ErrorCode, type Random, TidemarkError, within } from '@tidemark/base'
import type { Raw } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { FastifyInstance } from 'fastify'
import { Drainer, type LogTarget } from './drainer.ts'
import type { NamedSource } from './fetchStream.ts'
import { rawRecord } from './raw.ts'
import { registerPostWebhook } from './routes/postWebhook.ts'
import type { Spool } from './spool/spool.ts'
import { encodeWebhook } from './spooledWebhook.ts'

export interface WebhookReceiverDeps {
  readonly sources: readonly NamedSource[]
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** Takes webhooks while the log does not. Stays the caller's to close. Without one they are answered 503 then. */
  readonly spool?: Spool
  /** With a spool: how long a webhook waits for the log before it is spooled. Default 2 s. */
  readonly ackWithinMs?: number
}

export interface ReceiverStatus {
  /**
   * `no_log`: not connected yet. `direct`: webhooks go to the log. `spooling`: to the spool, the log does not take them. `draining`: to
   * the spool, behind what is being moved to the log.
   */
  readonly state: 'no_log' | 'direct' | 'spooling' | 'draining'
  /** Webhooks in the spool. */
  readonly spooled: number
  readonly bytes: number
  /** 0 without a spool. */
  readonly bytesMax: number
  /** Receive time of the oldest webhook in the spool. */
  readonly oldestMs: number | null
  /** Files that were set aside because the log refuses them or the disk harmed them; somebody should look. */
  readonly setAside: number
  /** Why the spool is not draining, or takes nothing; null when all is well. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | null
}

export interface WebhookReceiver {
  /** Adds `POST /webhooks/<source>`, in a scope of its own. */
  registerRoutes(app: FastifyInstance): void
  /** From now on webhooks go to this log, behind what is in the spool. A second call replaces the first. */
  connect(target: LogTarget): void
  status(): ReceiverStatus
  /** Ends draining, waiting at most two seconds for an append under way. The spool stays open, and takes webhooks until it is closed. */
  stop(): Promise<void>
}

/** Appends under way at once; more go to the spool or are answered 503, so memory stays bounded by this times the body limit. */
const IN_FLIGHT_MAX = 200
const ACK_WITHIN_MS = 2000

/** Nothing is wrong with the webhook: the log may take it later. */
const UNAVAILABLE: ReadonlySet<ErrorCode> = new Set(['LOG_UNAVAILABLE', 'OVERLOADED', 'LOG_CLOSED'])

/** Wires a receiver; it takes webhooks once its routes are registered. */
export function createWebhookReceiver(deps: WebhookReceiverDeps): WebhookReceiver {
  const { clock, logger, metrics } = deps
  const sources = new Map(deps.sources.map((source) => [source.name, source]))
  const intake = new Intake(deps)
  return {
    registerRoutes: (app) =>
      registerPostWebhook(app, { clock, logger, metrics, sources, store: (raw) => intake.store(raw) }),
    connect: (target) => intake.connect(target),
    status: () => intake.status(),
    stop: () => intake.stop(),
  }
}

class Intake {
  readonly #deps: WebhookReceiverDeps
  readonly #drainer: Drainer | undefined
  #target: LogTarget | undefined
  #inFlight = 0
  /** Webhooks that wait for the last of the spool to be drained. */
  #held = 0
  /** Why the spool did not take the last webhook. */
  #refusal: TidemarkError | undefined

  constructor(deps: WebhookReceiverDeps) {
    this.#deps = deps
    const { spool } = deps
    if (!spool) return
    const onProgress = (): void => {
      this.#refusal = undefined
      this.#measure(spool)
    }
    this.#drainer = new Drainer({ ...deps, spool, onProgress })
    this.#measure(spool)
  }

  /** Resolves when the webhook is durable, in the log or in the spool; rejects when it is in neither, or perhaps in the log. */
  async store(raw: Raw): Promise<void> {
    const { spool } = this.#deps
    if (!spool) return await this.#append(raw)
    if (!spool.isEmpty) await this.#awaitHandover()
    // Behind what is spooled, so that nothing overtakes.
    if (!spool.isEmpty) return await this.#spool(spool, raw, undefined)
    try {
      await this.#appendInTime(raw)
    } catch (thrown) {
      const error = classify(thrown)
      if (!UNAVAILABLE.has(error.code)) throw error
      // Whether the log has it is not known: it may be there twice in the end, never not at all.
      await this.#spool(spool, raw, error)
    }
  }

  connect(target: LogTarget): void {
    this.#target = target
    const waiting = this.#deps.spool?.status().records ?? 0
    if (waiting > 0) this.#deps.logger.info({ webhooks: waiting }, 'webhook spool is being drained')
    this.#drainer?.connect(target)
  }

  status(): ReceiverStatus {
    const held = this.#deps.spool?.status() ?? { records: 0, bytes: 0, bytesMax: 0, oldestMs: null, setAside: 0 }
    const { bytes, bytesMax, oldestMs, setAside } = held
    const error = this.#refusal ?? this.#drainer?.error
    const away = this.#drainer?.isMoving ? 'draining' : 'spooling'
    return {
      state: this.#target === undefined ? 'no_log' : held.records === 0 ? 'direct' : away,
      ...{ spooled: held.records, bytes, bytesMax, oldestMs, setAside },
      error: error ? { code: error.code, message: error.message } : null,
    }
  }

  async stop(): Promise<void> {
    await this.#drainer?.stop()
  }

  async #append(raw: Raw): Promise<void> {
    if (!this.#target) throw new TidemarkError('LOG_UNAVAILABLE', 'The log is not open yet.')
    if (this.#inFlight >= IN_FLIGHT_MAX)
      throw new TidemarkError('OVERLOADED', `More than ${IN_FLIGHT_MAX} webhooks are being stored.`)
    const { log, codec, partitions } = this.#target
    this.#inFlight++
    try {
      await log.append([rawRecord(codec, raw, partitions)])
    } finally {
      this.#inFlight--
    }
  }

  async #awaitHandover(): Promise<void> {
    const handover = this.#drainer?.handover
    if (!handover || this.#held >= IN_FLIGHT_MAX) return
    const { clock, ackWithinMs = ACK_WITHIN_MS } = this.#deps
    this.#held++
    await atMost(clock, ackWithinMs, handover)
    this.#held--
    // If it took too long, nobody waits for it any more; if it is over, this does nothing.
    if (this.#drainer?.handover === handover) this.#drainer.endHandover()
  }

  async #appendInTime(raw: Raw): Promise<void> {
    const { clock, ackWithinMs = ACK_WITHIN_MS } = this.#deps
    const late = (): TidemarkError =>
      new TidemarkError('LOG_UNAVAILABLE', `The log did not acknowledge a webhook within ${ackWithinMs} ms.`)
    await within(clock, ackWithinMs, this.#append(raw), late)
  }

  async #spool(spool: Spool, raw: Raw, why: TidemarkError | undefined): Promise<void> {
    const { logger, metrics } = this.#deps
    const { source } = raw
    const isFirst = spool.isEmpty
    try {
      await spool.append(encodeWebhook(raw), raw.received_at)
    } catch (thrown) {
      const error = classify(thrown)
      metrics.spooled.inc({ source, outcome: 'refused' })
      if (error.code !== this.#refusal?.code)
        logger.error({ err: error }, 'webhook spool takes no more: webhooks are refused and not acknowledged')
      this.#refusal = error
      throw error
    }
    this.#refusal = undefined
    if (isFirst) logger.warn({ err: why }, 'webhooks go to the spool: the log does not take them')
    metrics.spooled.inc({ source, outcome: 'spooled' })
    this.#measure(spool)
    this.#drainer?.wake()
  }

  #measure(spool: Spool): void {
    const { records, bytes } = spool.status()
    this.#deps.metrics.spool.set({ unit: 'records' }, records)
    this.#deps.metrics.spool.set({ unit: 'bytes' }, bytes)
  }
}
