import { type Clock, classify, TidemarkError } from '@tidemark/base'
import type { Codec } from '@tidemark/codec'
import type { EventLog, LogRecord } from '@tidemark/log'
import { COMMANDS_TOPIC, type Command, parseSweepReport, syncEvent } from '@tidemark/model'
import type { Logger, Metrics } from '@tidemark/telemetry'
import type { NamedSource } from './fetchStream.ts'
import type { Integrations } from './integrations.ts'
import { deadLetterRecord } from './observe.ts'
import type { Run } from './runs.ts'
import type { IngressState } from './state.ts'
import type { SweepCoordinator } from './sweeps/coordinator.ts'
import type { SyncLog } from './syncLog.ts'
import type { Syncs } from './syncs.ts'

export interface CommandConsumerDeps {
  readonly log: EventLog
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly sources: ReadonlyMap<string, NamedSource>
  readonly integrations: Integrations
  readonly syncs: Syncs
  readonly syncLog: SyncLog
  readonly state: IngressState
  readonly sweeps: Pick<SweepCoordinator, 'answer' | 'decide'>
}

/** Commands of a partition whose runs are not finished; more are not read. */
const OUTSTANDING_MAX = 100

const SYNC_KINDS: Readonly<Record<string, boolean>> = { sync_full: true, sync_delta: false }

const KINDS: ReadonlySet<string> = new Set([
  ...Object.keys(SYNC_KINDS),
  'confirm_absence',
  'held_confirm',
  'held_discard',
])

/**
 * Carries out commands of ats.commands. A sync command opens one run per integration whose id is the command's, so that whoever asked
 * finds its end in ats.syncs. A command is done when its runs are; one that was cut short by the end of the process is begun again.
 */
export class CommandConsumer {
  readonly #deps: CommandConsumerDeps
  readonly #signal: AbortSignal
  /** By partition: offsets whose runs are not finished. */
  readonly #outstanding = new Map<number, Map<number, Promise<void>>>()
  /** By partition: offsets of answers to sweeps that nothing was concluded from yet. Bounded by what is swept at a time. */
  readonly #answers = new Map<number, Set<number>>()

  constructor(deps: CommandConsumerDeps, signal: AbortSignal) {
    this.#deps = deps
    this.#signal = signal
  }

  /** The lowest offset of a partition whose command is not done; undefined when there is none. */
  lowestHold(partition: number): number | undefined {
    const offsets = [...(this.#outstanding.get(partition)?.keys() ?? []), ...(this.#answers.get(partition) ?? [])]
    return offsets.length === 0 ? undefined : Math.min(...offsets)
  }

  /** Takes one command on. Rejects only when the log cannot be written. */
  async handle(partition: number, record: LogRecord): Promise<void> {
    if (record.value === null) return
    let command: Command
    try {
      command = this.#deps.codec.decode('Command', record.value)
      requireKnownKind(command)
    } catch (thrown) {
      await this.#deadLetter(classify(thrown), partition, record)
      return
    }
    if (command.kind === 'confirm_absence') return await this.#answer(command, partition, record)
    if (command.kind === 'held_confirm' || command.kind === 'held_discard') return await this.#decide(command)
    const runs = await this.#begin(command)
    const held = this.#outstanding.get(partition) ?? new Map<number, Promise<void>>()
    this.#outstanding.set(partition, held)
    const done = Promise.all(runs.map((run) => run.finished)).then(() => {
      // A run that ends because the process does is begun again by the next one.
      if (!this.#signal.aborted) held.delete(record.offset)
    })
    held.set(record.offset, done)
    if (held.size >= OUTSTANDING_MAX) await this.#oneOf(held)
  }

  async #answer(command: Command, partition: number, record: LogRecord): Promise<void> {
    const { integration_id: integrationId, payload } = command
    try {
      const report = parseSweepReport(payload)
      const offsets = this.#answers.get(partition) ?? new Set<number>()
      this.#answers.set(partition, offsets)
      offsets.add(record.offset)
      this.#deps.sweeps.answer(integrationId ?? '', report, () => offsets.delete(record.offset))
    } catch (thrown) {
      await this.#deadLetter(classify(thrown), partition, record)
    }
  }

  /** Its payload names the model and the run: a decision never hits a sweep that nobody has seen. */
  async #decide({ id, kind, integration_id: integrationId, payload, actor }: Command): Promise<void> {
    const { state, sweeps, logger } = this.#deps
    const { model, sync_id: syncId } = JSON.parse(payload ?? '{}') as {
      readonly model?: string
      readonly sync_id?: string
    }
    const held = state.heldSweep(integrationId ?? '', model ?? '')
    if (held && held.syncId === syncId) return await sweeps.decide(held, kind === 'held_confirm', actor)
    logger.warn(
      { command: id, integration_id: integrationId, model, sync_id: syncId },
      'no such sweep is held any more',
    )
  }

  async #oneOf(held: ReadonlyMap<number, Promise<void>>): Promise<void> {
    const aborted = new Promise<void>((resolve) =>
      this.#signal.addEventListener('abort', () => resolve(), { once: true }),
    )
    await Promise.race([...held.values(), aborted])
  }

  async #begin(command: Command): Promise<Run[]> {
    const { integrations, syncs, logger } = this.#deps
    const all = integrations.list()
    const targets = all.filter(({ id }) => command.integration_id === null || command.integration_id === id)
    if (targets.length === 0) await this.#refuse(command)
    logger.info({ command: command.id, kind: command.kind, integrations: targets.length }, 'sync was asked for')
    return targets.flatMap(({ id, source: { name, source } }) => {
      const full = SYNC_KINDS[command.kind] === true
      const ask = {
        source: name,
        integrationId: id,
        streams: source.streams,
        full,
        runId: command.id,
        reason: 'request',
      } as const
      return syncs.ask(ask) ?? []
    })
  }

  /** Answers a command for an integration that nobody reads, so that whoever waits learns it. */
  async #refuse(command: Command): Promise<void> {
    if (command.integration_id === null) return
    await this.#deps.syncLog.append(
      syncEvent({
        source: '',
        integration_id: command.integration_id,
        event: 'finished',
        at: this.#deps.clock.now(),
        sync_id: command.id,
        kind: SYNC_KINDS[command.kind] ? 'full' : 'delta',
        state: 'FAILED',
        error_code: 'CONFIG_INVALID',
        message: `No source reads the integration ${command.integration_id}. Add it to the integrations of a source.`,
      }),
    )
  }

  async #deadLetter(error: TidemarkError, partition: number, record: LogRecord): Promise<void> {
    const { log, codec, logger, metrics } = this.#deps
    logger.warn({ err: error, topic: COMMANDS_TOPIC, partition, offset: record.offset }, 'command was set aside')
    const position = { partition, offset: record.offset }
    const letter = deadLetterRecord(codec, {
      ...{ stage: 'command', error, source: null, integrationId: null, model: null, recordKey: null },
      ...{ topic: COMMANDS_TOPIC, position, atMs: record.timestampMs, value: null },
    })
    await log.append([letter])
    metrics.deadLetters.inc({ stage: 'command', code: error.code })
  }
}

function requireKnownKind(command: Command): void {
  if (KINDS.has(command.kind)) return
  throw new TidemarkError(
    'REQUEST_INVALID',
    `The command ${command.id} has the kind ${command.kind}, which this version does not know.`,
  )
}
