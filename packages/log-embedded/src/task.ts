import { TidemarkError } from '@tidemark/base'
import type { Slice, StateReader, Task, TaskOptions } from '@tidemark/log'
import { addAll, checkTargets, measure } from './append.ts'
import { type Committer, closedError } from './committer.ts'
import type { Environment } from './environment.ts'
import { readPosition, writePosition } from './positions.ts'
import { partitionKey } from './rows.ts'
import { checkOwner, measureState, type Owner, RangeReader, takeOver, writeState } from './state.ts'
import type { Topics } from './topics.ts'

/** What a task works with. */
export interface TaskContext {
  readonly environment: Environment
  readonly committer: Committer
  readonly topics: Topics
  readonly recordBytesMax: number
}

/** See the port's Task: outputs, state and position in one LMDB transaction, which checks the owner's epoch first. */
export class EmbeddedTask implements Task {
  readonly state: StateReader
  readonly #context: TaskContext
  readonly #options: TaskOptions
  readonly #owner: Owner
  readonly #name: string
  readonly #reader: RangeReader
  #position: number
  /** Why nothing can be committed any more. */
  #dead: TidemarkError | undefined
  #closed = false

  private constructor(context: TaskContext, options: TaskOptions, owner: Owner, position: number) {
    this.#context = context
    this.#options = options
    this.#owner = owner
    this.#name = `task ${options.group} of ${options.topic}/${options.partition}`
    this.#position = position
    this.#reader = new RangeReader(context.environment, owner.row.range)
    this.state = this.#reader
  }

  static async open(context: TaskContext, options: TaskOptions): Promise<EmbeddedTask> {
    const { environment, committer, topics } = context
    const { group, topic, partition } = options
    topics.partition(topic, partition)
    const key = Buffer.concat([Buffer.from(`task\0${group}\0${topic}\0`), partitionKey(0, partition)])
    const owner = await takeOver(environment, committer, key)
    // Read after fencing: nobody else moves it any more.
    return new EmbeddedTask(context, options, owner, readPosition(environment, group, topic, partition))
  }

  get position(): number {
    return this.#position
  }

  async commit(slice: Slice): Promise<number[]> {
    const { environment, committer, topics, recordBytesMax } = this.#context
    const { group, topic, partition } = this.#options
    try {
      if (this.#closed) throw closedError(`${environment.path} (${this.#name})`)
      const bytes = measure(slice.outputs, recordBytesMax) + measureState(slice.state)
      const offsets = await committer.run({
        bytes,
        check: () => this.#check(slice),
        write: ({ appends }) => {
          writeState(environment, this.#owner.row.range, slice.state)
          writePosition(environment, group, topic, partition, slice.position)
          return addAll(appends, slice.outputs, topics)
        },
      })
      this.#position = slice.position
      return offsets
    } catch (error) {
      this.#dead ??= error as TidemarkError
      throw error
    }
  }

  /** Within the transaction, so that of slices committed without waiting none is applied after one that failed. */
  #check(slice: Slice): void {
    try {
      if (this.#dead) throw this.#deadError(this.#dead)
      checkOwner(this.#context.environment, this.#owner, this.#name)
      checkTargets(slice.outputs, this.#context.topics)
      const { group, topic, partition } = this.#options
      const current = readPosition(this.#context.environment, group, topic, partition)
      if (!Number.isSafeInteger(slice.position) || slice.position < current) {
        throw new TidemarkError(
          'INTERNAL',
          `The ${this.#name} stands at ${current} and cannot commit position ${slice.position}.`,
          { fields: { group, topic, partition, current } },
        )
      }
    } catch (error) {
      this.#dead ??= error as TidemarkError
      throw error
    }
  }

  #deadError(cause: TidemarkError): TidemarkError {
    return new TidemarkError(
      cause.code === 'TASK_FENCED' ? 'TASK_FENCED' : 'INTERNAL',
      `The ${this.#name} is dead since a commit failed (${cause.message}). Open it again and go on from its position.`,
      { cause },
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#reader.close()
  }
}
