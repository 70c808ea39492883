import type { StateReader, StateStore, StateWrite } from '@tidemark/log'
import { LocalState } from './localState.ts'

/** A StateStore of its own in a folder of the state directory: what a service folds from topics without writing any. */
export class NamedState implements StateStore {
  readonly #state: LocalState
  readonly #onClose: () => void
  /** Calls that were not awaited follow each other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(path: string, onClose: () => void) {
    this.#state = LocalState.open(path)
    this.#onClose = onClose
  }

  get position(): number {
    return this.#state.mark.position
  }

  get(key: Uint8Array): Buffer | undefined {
    return this.#state.get(key)
  }

  scan(prefix: Uint8Array): ReturnType<StateReader['scan']> {
    return this.#state.scan(prefix)
  }

  apply(writes: readonly StateWrite[], position: number): Promise<void> {
    return this.#next(writes, position, false)
  }

  clear(): Promise<void> {
    return this.#next([], 0, true)
  }

  async close(): Promise<void> {
    await this.#last
    await this.#state.close()
    this.#onClose()
  }

  #next(writes: readonly StateWrite[], position: number, clear: boolean): Promise<void> {
    const applied = this.#last.then(async () => {
      await this.#state.apply(writes, { ...this.#state.mark, position }, { clear })
      await this.#state.flushed()
    })
    this.#last = applied.catch(() => undefined)
    return applied
  }
}
