import { lmdbReason, TidemarkError } from '@tidemark/base'
import type { RoundAppends } from './append.ts'
import { type Environment, translate } from './environment.ts'

/** One caller's part of a commit. */
export interface Operation<T> {
  /** Roughly how much it writes; bounds a round. */
  readonly bytes: number
  /** Throws to refuse this operation alone. Must not write. */
  check?(): void
  /** Writes, and adds to `round.appends`. When it throws, the whole round is rolled back: everything foreseeable belongs into `check`. */
  write(round: Round): T
}

/** What the operations of one LMDB transaction share. */
export interface Round {
  /** Collects appended records, so that neighbours of one partition share a batch. */
  readonly appends: RoundAppends
}

export interface CommitHooks {
  newAppends(): RoundAppends
  /** After a commit, when its operations have been resolved. */
  onCommit(touched: ReadonlySet<string>): void
  onRollback(): void
}

interface Queued {
  readonly operation: Operation<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

const ROUND_BYTES_MAX = 16 * 1024 * 1024
const ROUND_OPERATIONS_MAX = 10_000

/**
 * Group commit: everything that was asked for while the previous transaction was on its way to disk goes into the next one. One
 * transaction at a time; each is all or nothing, and durable when its operations resolve. The queue holds what callers have not
 * awaited; a round takes at most about 16 MiB of it.
 */
export class Committer {
  readonly #environment: Environment
  readonly #hooks: CommitHooks
  #queue: Queued[] = []
  #running: Promise<void> | undefined
  #closed = false

  constructor(environment: Environment, hooks: CommitHooks) {
    this.#environment = environment
    this.#hooks = hooks
  }

  /** Resolves with what `write` returned, once durable. Throws LOG_CLOSED, DISK_FULL, and what `check` throws. */
  run<T>(operation: Operation<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError(this.#environment.path))
    if (this.#environment.readOnly) return Promise.reject(readOnlyError(this.#environment.path))
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ operation, resolve: resolve as (value: unknown) => void, reject })
      this.#running ??= this.#drain()
    })
  }

  /** Refuses new operations and waits for those already accepted. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) await this.#round()
    this.#running = undefined
  }

  /** Never rejects: each outcome goes to the operation it belongs to. */
  async #round(): Promise<void> {
    let taken: Queued[] = []
    const results: { readonly queued: Queued; readonly value: unknown }[] = []
    const refused: { readonly queued: Queued; readonly error: unknown }[] = []
    let touched: ReadonlySet<string> = new Set()
    try {
      // A child transaction is the only one that lmdb rolls back when its function throws.
      await this.#environment.root.childTransaction(() => {
        taken = this.#take()
        const appends = this.#hooks.newAppends()
        for (const queued of taken) {
          try {
            queued.operation.check?.()
          } catch (error) {
            refused.push({ queued, error })
            continue
          }
          results.push({ queued, value: queued.operation.write({ appends }) })
        }
        appends.flush()
        touched = appends.touched
      })
    } catch (error) {
      this.#hooks.onRollback()
      const reason = translate(await lmdbReason(error), this.#environment.path)
      for (const { reject } of taken.length > 0 ? taken : this.#take()) reject(reason)
      return
    }
    this.#environment.root.resetReadTxn()
    for (const { queued, error } of refused) queued.reject(translate(error, this.#environment.path))
    for (const { queued, value } of results) queued.resolve(value)
    this.#hooks.onCommit(touched)
  }

  #take(): Queued[] {
    let bytes = 0
    let count = 0
    while (count < this.#queue.length && count < ROUND_OPERATIONS_MAX && bytes < ROUND_BYTES_MAX) {
      bytes += this.#queue[count]!.operation.bytes
      count++
    }
    return this.#queue.splice(0, count)
  }
}

export function closedError(path: string): TidemarkError {
  return new TidemarkError('LOG_CLOSED', `The log in ${path} is closed.`, { fields: { path } })
}

function readOnlyError(path: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', `The log in ${path} was opened read-only, and cannot be written.`, {
    fields: { path },
  })
}
