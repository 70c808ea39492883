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
import { RawConsumer } from './rawConsumer.ts'
import { createWebhookReceiver, type WebhookReceiver } from './receiver.ts'
import { IngressState } from './state.ts'
import { type IntegrationStatus, statusOf } from './status.ts'
import { SyncLog } from './syncLog.ts'
import { Syncs } from './syncs.ts'

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
  const syncs = new Syncs({ ...base, syncs: syncLog, concurrency })
  const integrations = new Integrations({ ...base, syncs })
  const receiver = deps.receiver ?? createWebhookReceiver({ sources: deps.sources, clock, random, logger, metrics })
  receiver.connect({ log, codec, partitions })
  const stopping = new AbortController()
  const commands = new CommandConsumer({ ...base, syncs, integrations }, stopping.signal)
  const done = Promise.withResolvers<void>()
  // Whoever wants to know asks `done`; nobody asking is no crash.
  done.promise.catch(() => undefined)
  const loops: Promise<void>[] = []
  let stopped: Promise<void> | undefined

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
    loops.push(
      loop.catch((thrown: unknown) => {
        const error = classify(thrown)
        if (!stopping.signal.aborted) logger.fatal({ err: error, topic, partition }, 'ingress cannot go on')
        done.reject(error)
      }),
    )
  }

  return {
    registerRoutes: (app) => receiver.registerRoutes(app),
    async start() {
      await state.restore(log, codec, logger)
      const rawOffsets = await startOffsets(log, INGRESS_GROUP, RAW_TOPIC, partitions)
      const commandOffsets = await startOffsets(log, INGRESS_GROUP, COMMANDS_TOPIC, partitions)
      const raws = await RawConsumer.open({ ...base, syncs, integrations }, rawOffsets)
      await endLeftoverRuns(base, commandOffsets)
      if (stopping.signal.aborted) return
      for (const { id, source } of integrations.list()) integrations.catchUp(id, source)
      const webhooks: PartitionWork = {
        handle: (partition, record) => raws.handle(partition, record),
        lowestHold: (partition) => syncs.lowestHold(partition),
      }
      for (const [partition, offset] of rawOffsets.entries()) run(RAW_TOPIC, partition, offset, webhooks)
      for (const [partition, offset] of commandOffsets.entries()) run(COMMANDS_TOPIC, partition, offset, commands)
    },
    status: () => statusOf(integrations, syncs, state),
    done: done.promise,
    stop() {
      stopped ??= (async () => {
        stopping.abort()
        // The consumers commit last, while the holds of unfinished fetches still stand.
        await Promise.all(loops)
        await syncs.stop()
        await syncLog.idle()
        done.resolve()
      })()
      return stopped
    },
  }
}

interface PartitionWork {
  handle(partition: number, record: LogRecord): Promise<void>
  /** Lowest offset that must not be passed by the committed position. */
  lowestHold(partition: number): number | undefined
}
