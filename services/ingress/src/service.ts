import { type Clock, classify, type Random } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { EventLog, LogRecord, StateStore } from '@tidemark/log'
import { COMMANDS_TOPIC, RAW_TOPIC } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { FastifyInstance } from 'fastify'
import { CommandConsumer } from './commandConsumer.ts'
import { consume, startOffsets } from './consumer.ts'
import type { NamedSource } from './fetchStream.ts'
import { Integrations } from './integrations.ts'
import { endLeftoverRuns } from './leftoverRuns.ts'
import { createPace } from './pace.ts'
import { PushedRuns } from './pushedRuns.ts'
import { RawConsumer } from './rawConsumer.ts'
import { createWebhookReceiver, type WebhookReceiver } from './receiver.ts'
import { RecordReads } from './recordReads.ts'
import { IngressState } from './state.ts'
import { type IntegrationStatus, statusOf } from './status.ts'
import { SweepCoordinator, type SweepDeps } from './sweeps/coordinator.ts'
import type { SweepGuard } from './sweeps/guard.ts'
import type { HeldSweep } from './sweeps/sweepState.ts'
import { SyncLog } from './syncLog.ts'
import { Syncs } from './syncs.ts'
import { keepTimetable } from './timetable.ts'

/** Consumer group of ats.raw and ats.commands. */
export const INGRESS_GROUP = 'ingress'

export interface IngressDeps {
  /** With all topics of the plan (`topicPlans`) in place. */
  readonly log: EventLog
  /** Cache of what ats.syncs says; rebuilt when new. */
  readonly state: StateStore
  readonly codec: Codec
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  readonly sources: readonly NamedSource[]
  /** Partitions of every topic. */
  readonly partitions: number
  /** Fetches in flight per source. Default 4. */
  readonly concurrency?: number
  /** A fetch that takes longer is ended as TIMED_OUT. Default 12 h. */
  readonly fetchTimeoutMs?: number
  /** When a sweep is held for an operator's decision. Default above 30 %, from 50 records on. */
  readonly guard?: SweepGuard
  /** Takes the webhooks in; is connected to the log here, and stays the caller's to stop. Default: one of its own, without a spool. */
  readonly receiver?: WebhookReceiver
}

export interface Ingress {
  /** Adds `POST /webhooks/<source>`; webhooks are stored from then on, and acted on once started. Not where the receiver's are added. */
  registerRoutes(app: FastifyInstance): void
  /** Recalls what the log says, begins the first syncs and deltas, and resolves once everything runs. */
  start(): Promise<void>
  /** How every integration and stream stands. */
  status(): IntegrationStatus[]
  /** Mass deletions that wait for a decision. */
  held(): HeldSweep[]
  /** Rejects when the service cannot go on (the log was closed underneath it); resolves when it was stopped. */
  readonly done: Promise<void>
  /** Ends all work in order; resolves when the last unit of it has ended. Log, state and sources stay open: they are the caller's. */
  stop(): Promise<void>
}

/** Wires ingress; does nothing before `start`. */
export function createIngress(deps: IngressDeps): Ingress {
  const { log, codec, clock, logger, metrics, partitions, random } = deps
  const sources = new Map(deps.sources.map((source) => [source.name, source]))
  const state = new IngressState(deps.state, partitions)
  const syncLog = new SyncLog({ log, codec, state, partitions })
  const concurrency = deps.concurrency ?? 4
  const base = { log, codec, clock, random, logger, metrics, partitions, sources, state, syncLog }
  const pace = createPace({ log, clock, partitions, group: PROCESSOR_GROUP })
  const fetchTimeoutMs = deps.fetchTimeoutMs ?? FETCH_TIMEOUT_MS
  const syncs = new Syncs({ ...base, syncs: syncLog, concurrency, pace, fetchTimeoutMs })
  const integrations = new Integrations({ ...base, syncs })
  const receiver = deps.receiver ?? createWebhookReceiver({ sources: deps.sources, clock, random, logger, metrics })
  receiver.connect({ log, codec, partitions })
  const stopping = new AbortController()
  const askAgain: SweepDeps['askAgain'] = ({ name }, integrationId, stream) =>
    void syncs.ask({ source: name, integrationId, streams: [stream], full: true, reason: 'schedule' })
  const sweeps = new SweepCoordinator({ ...base, integrations, askAgain, ...guardOf(deps) }, stopping.signal)
  const reads = new RecordReads(base, stopping.signal)
  const commands = new CommandConsumer({ ...base, syncs, integrations, sweeps }, stopping.signal)
  const done = Promise.withResolvers<void>()
  // Whoever wants to know asks `done`; nobody asking is no crash.
  done.promise.catch(() => undefined)
  const loops: Promise<void>[] = []
  let stopped: Promise<void> | undefined

  /** Whoever waits for the service learns of a loop that cannot go on. */
  const keep = (loop: Promise<void>, fields: object): void => {
    loops.push(
      loop.catch((thrown: unknown) => {
        const error = classify(thrown)
        if (!stopping.signal.aborted) logger.fatal({ ...fields, err: error }, 'ingress cannot go on')
        done.reject(error)
      }),
    )
  }

  const run = (topic: string, partition: number, offset: number, work: PartitionWork): void => {
    const committable = (next: number): number => Math.min(next, work.lowestHold(partition) ?? next)
    const onLag = (records: number): void => {
      metrics.lag.set({ service: INGRESS_GROUP, partition: String(partition) }, records)
    }
    const options = { log, clock, random, logger, group: INGRESS_GROUP, topic, partition, offset, committable }
    const loop = consume({
      ...options,
      signal: stopping.signal,
      handle: (record) => work.handle(partition, record),
      ...(topic === RAW_TOPIC ? { onLag } : {}),
    })
    keep(loop, { topic, partition })
  }

  return {
    registerRoutes: (app) => receiver.registerRoutes(app),
    async start() {
      await state.restore(log, codec, logger)
      showWatermarks(integrations, state, metrics)
      const rawOffsets = await startOffsets(log, INGRESS_GROUP, RAW_TOPIC, partitions)
      const commandOffsets = await startOffsets(log, INGRESS_GROUP, COMMANDS_TOPIC, partitions)
      const raws = await RawConsumer.open(
        { ...base, syncs, integrations, reads, pushed: new PushedRuns(base) },
        rawOffsets,
      )
      await endLeftoverRuns(base, commandOffsets)
      if (stopping.signal.aborted) return
      for (const { id, source } of integrations.list()) integrations.catchUp(id, source)
      const webhooks: PartitionWork = {
        handle: (partition, record) => raws.handle(partition, record),
        lowestHold: (partition) => lowestOf(syncs.lowestHold(partition), reads.lowestHold(partition)),
      }
      for (const [partition, offset] of rawOffsets.entries()) run(RAW_TOPIC, partition, offset, webhooks)
      for (const [partition, offset] of commandOffsets.entries()) run(COMMANDS_TOPIC, partition, offset, commands)
      keep(keepTimetable({ clock, state, integrations, syncs }, stopping.signal), { loop: 'timetable' })
    },
    status: () => statusOf(integrations, syncs, state),
    held: () => state.heldSweeps(),
    done: done.promise,
    stop() {
      stopped ??= (async () => {
        stopping.abort()
        // The consumers commit last, while the holds of unfinished fetches still stand.
        await Promise.all(loops)
        await syncs.stop()
        await sweeps.idle()
        await reads.idle()
        await syncLog.idle()
        done.resolve()
      })()
      return stopped
    },
  }
}

/** What an earlier process reached is true from the start. */
function showWatermarks(integrations: Integrations, state: IngressState, metrics: Metrics): void {
  for (const { id: integration, source } of integrations.list())
    for (const stream of source.source.streams) {
      const watermark = state.watermark(integration, stream)
      if (watermark === undefined) continue
      for (const model of source.source.modelsOf(stream))
        metrics.watermark.set({ integration, model }, watermark / 1000)
    }
}

/** The diff processor's consumer group: what is behind its position is not processed yet. */
const PROCESSOR_GROUP = 'diff-processor'
const FETCH_TIMEOUT_MS = 12 * 3_600_000

const guardOf = ({ guard }: IngressDeps): { readonly guard?: SweepGuard } => (guard === undefined ? {} : { guard })

const lowestOf = (...offsets: readonly (number | undefined)[]): number | undefined => {
  const known = offsets.filter((offset) => offset !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

interface PartitionWork {
  handle(partition: number, record: LogRecord): Promise<void>
  /** Lowest offset that must not be passed by the committed position. */
  lowestHold(partition: number): number | undefined
}
