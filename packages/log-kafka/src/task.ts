import { TidemarkError } from '@tidemark/base'
import type { Slice, StateReader, Task, TaskOptions } from '@tidemark/log'
import type { Kafka } from 'kafkajs'
import type { Connection } from './connection.ts'
import { within } from './deadline.ts'
import { isPassing, translate } from './errors.ts'
import type { KafkaLogger } from './kafkajs.ts'
import { LocalState } from './localState.ts'
import type { Positions } from './positions.ts'
import type { Reader } from './reader.ts'
import { restoreState } from './restore.ts'
import { planSends, type Send } from './sends.ts'
import type { Topics } from './topics.ts'
import { Transactions } from './transactions.ts'
import { partitionName, positionName, type Visibility } from './visibility.ts'

/** What tasks share. */
export interface TaskContext {
  readonly connection: Connection
  readonly kafka: Kafka
  readonly topics: Topics
  readonly reader: Reader
  readonly positions: Positions
  readonly visibility: Visibility
  readonly logger: KafkaLogger | undefined
  readonly transactionTimeoutMs: number
  readonly openTimeoutMs: number
  readonly staleAfterMs: number
  statePath(options: TaskOptions): string
  stateTopics(options: TaskOptions): readonly string[]
  isClosed(): boolean
  onClose(task: KafkaTask): void
}

const REQUEST_BYTES_MAX = 8 * 1024 * 1024
const BATCH_BYTES_MAX = 1_000_000
/** A slice gives up before the broker does. */
const SLICE_SHARE = 0.7
const REOPEN_WAIT_MS = 100

/** See the port's Task: outputs and position in one Kafka transaction, then the state, whose mark tells which transaction it reflects. */
export class KafkaTask implements Task {
  readonly #context: TaskContext
  readonly #options: TaskOptions
  readonly #name: string
  readonly #transactions: Transactions
  readonly #state: LocalState
  readonly #stateTopics: readonly string[]
  #position: number
  /** Commits follow each other. */
  #last: Promise<unknown> = Promise.resolve()
  /** Why nothing can be committed any more. */
  #dead: TidemarkError | undefined
  #closing: Promise<void> | undefined

  private constructor(context: TaskContext, options: TaskOptions, transactions: Transactions, state: LocalState) {
    this.#context = context
    this.#options = options
    this.#name = nameOf(options)
    this.#transactions = transactions
    this.#state = state
    this.#stateTopics = context.stateTopics(options)
    this.#position = state.mark.position
  }

  /** Fences, then reads the position, then restores the state: in any other order an older owner could still change them. */
  static async open(context: TaskContext, options: TaskOptions): Promise<KafkaTask> {
    const { group, topic, partition } = options
    await context.topics.partition(topic, partition)
    const clusterId = await context.connection.clusterId()
    const transactions = await fence(context, options)
    let state: LocalState | undefined
    try {
      const committed = await context.positions.readOne(group, topic, partition)
      state = LocalState.open(context.statePath(options))
      const position = committed ?? rememberedPosition(context, options, state, clusterId)
      const target = { name: nameOf(options), partition, topics: context.stateTopics(options), position }
      await restoreState(state, target, {
        reader: context.reader,
        clusterId,
        nowMs: context.connection.clock.now(),
        staleAfterMs: context.staleAfterMs,
        ...(context.logger ? { logger: context.logger } : {}),
      })
      return new KafkaTask(context, options, transactions, state)
    } catch (error) {
      void transactions.discard()
      await state?.close()
      throw translate(error, { what: `Opening ${nameOf(options)}`, brokers: context.connection.brokers })
    }
  }

  get position(): number {
    return this.#position
  }

  get state(): StateReader {
    return this.#state
  }

  commit(slice: Slice): Promise<number[]> {
    const committed = this.#last.then(() => this.#commit(slice))
    this.#last = committed.catch(() => undefined)
    return committed
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#dead ??= new TidemarkError('LOG_CLOSED', `The ${this.#name} is closed.`)
    await this.#last
    await Promise.all([this.#transactions.discard(), this.#state.close()])
    this.#context.onClose(this)
  }

  async #commit(slice: Slice): Promise<number[]> {
    if (this.#context.isClosed()) throw new TidemarkError('LOG_CLOSED', `The log of the ${this.#name} is closed.`)
    if (this.#dead) throw this.#deadError(this.#dead)
    try {
      const sends = await this.#plan(slice)
      await this.#markIrreplaceable(slice)
      const offsets = await this.#produce(slice, sends)
      // From here on it is committed; the state follows, and is restored from the log if it does not come to that.
      this.#position = slice.position
      await this.#state.apply(slice.state, this.#markAfter(slice, offsets))
      return offsets
    } catch (error) {
      const failure = translate(error, { what: `Committing ${this.#name}`, brokers: this.#context.connection.brokers })
      this.#dead = failure
      // Neither aborted nor tried again: the next owner's fencing ends whatever is open.
      void this.#transactions.discard()
      throw failure
    }
  }

  /** Said before the first commit of state that no topic holds: if that commit's outcome stays unknown, the state is lost. */
  async #markIrreplaceable({ state }: Slice): Promise<void> {
    const { mark } = this.#state
    if (state.length === 0 || this.#stateTopics.length > 0 || mark.irreplaceable) return
    await this.#state.apply([], { ...mark, irreplaceable: true })
  }

  async #plan(slice: Slice): Promise<Send[]> {
    if (!Number.isSafeInteger(slice.position) || slice.position < this.#position) {
      throw new TidemarkError(
        'INTERNAL',
        `The ${this.#name} stands at ${this.#position} and cannot commit position ${slice.position}.`,
        { fields: { ...this.#options, current: this.#position } },
      )
    }
    const topics = await this.#context.topics.check(slice.outputs)
    return planSends(slice.outputs, {
      messageBytesMax: (topic) => topics.get(topic)!.messageBytesMax,
      requestBytesMax: REQUEST_BYTES_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
    })
  }

  async #produce(slice: Slice, sends: readonly Send[]): Promise<number[]> {
    const { connection, visibility, transactionTimeoutMs } = this.#context
    const { group, topic, partition } = this.#options
    const sliceMs = transactionTimeoutMs * SLICE_SHARE
    const until = connection.clock.now() + sliceMs
    const input = { group, topic, partition, position: slice.position }
    const running = this.#transactions.run(input, sends, slice.outputs.length, until)
    const offsets = await within(connection.clock, sliceMs, `Committing ${this.#name}`, running)
    visibility.expect(positionName(group, topic, partition), slice.position)
    for (const [i, output] of slice.outputs.entries()) {
      visibility.expect(partitionName(output.topic, output.partition), offsets[i]! + 1)
    }
    return offsets
  }

  #markAfter(slice: Slice, offsets: readonly number[]) {
    const restored: Record<string, number> = { ...this.#state.mark.restored }
    const { partition } = this.#options
    for (const [i, output] of slice.outputs.entries()) {
      if (output.partition === partition && this.#stateTopics.includes(output.topic)) {
        restored[output.topic] = offsets[i]! + 1
      }
    }
    return {
      ...this.#state.mark,
      position: slice.position,
      restored,
      writtenAtMs: this.#context.connection.clock.now(),
    }
  }

  #deadError(cause: TidemarkError): TidemarkError {
    if (cause.code === 'LOG_CLOSED') return cause
    return new TidemarkError(
      cause.code === 'TASK_FENCED' ? 'TASK_FENCED' : 'INTERNAL',
      `The ${this.#name} is dead since a commit failed (${cause.message}). Open it again and go on from its position.`,
      { cause },
    )
  }
}

const nameOf = ({ group, topic, partition }: TaskOptions): string => `task ${group} of ${topic}/${partition}`

/** A new producer per try: one that failed is of no use. */
async function fence(context: TaskContext, options: TaskOptions): Promise<Transactions> {
  const { connection, kafka, openTimeoutMs, transactionTimeoutMs } = context
  const { group, topic, partition } = options
  const what = `Opening ${nameOf(options)}`
  const until = connection.clock.now() + openTimeoutMs
  for (;;) {
    const transactionalId = `${group}.${topic}.${partition}`
    const transactions = new Transactions(kafka, connection.clock, { transactionalId, transactionTimeoutMs })
    try {
      await within(connection.clock, openTimeoutMs, what, transactions.fence())
      return transactions
    } catch (error) {
      void transactions.discard()
      const last = context.isClosed() || !isPassing(error) || connection.clock.now() > until
      if (last) throw translate(error, { what, brokers: connection.brokers })
    }
    await connection.clock.sleep(REOPEN_WAIT_MS)
  }
}

/**
 * Where a group goes on whose position the brokers do not have. They forget it when a group rests for longer than
 * offsets.retention.minutes; the local state, written only after a commit, still knows it.
 */
function rememberedPosition(context: TaskContext, options: TaskOptions, state: LocalState, clusterId: string): number {
  const { mark } = state
  if (mark.position === 0 || mark.clusterId !== clusterId) return 0
  context.logger?.warn(
    { ...options, position: mark.position },
    'the brokers have forgotten the position of a task; going on from the one kept with its state',
  )
  return mark.position
}
