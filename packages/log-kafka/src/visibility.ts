import type { Clock } from '@tidemark/base'

const POLL_MS = 2

/**
 * What this process has written and may not see yet. A broker answers the end of a transaction before its markers are written, so
 * for some milliseconds the new records and positions are durable but invisible. Readers of the same process wait for them.
 */
export class Visibility {
  readonly #clock: Clock
  readonly #waitMs: number
  /** By name: the lowest number a reader has to see. */
  readonly #expected = new Map<string, number>()

  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock
    this.#waitMs = waitMs
  }

  expect(name: string, atLeast: number): void {
    const known = this.#expected.get(name)
    if (known === undefined || known < atLeast) this.#expected.set(name, atLeast)
  }

  forget(name: string): void {
    this.#expected.delete(name)
  }

  /** What a reader should see at least, or undefined when nothing is outstanding. */
  of(name: string): number | undefined {
    return this.#expected.get(name)
  }

  /** A reader has seen this much. */
  seen(name: string, found: number): void {
    const expected = this.#expected.get(name)
    if (expected !== undefined && found >= expected) this.#expected.delete(name)
  }

  /** Reads until what is outstanding of these names shows, or time is up: then what there is is returned, and waited for no more. */
  async read<T>(names: readonly string[], read: () => Promise<T>, isVisible: (value: T) => boolean): Promise<T> {
    const until = this.#clock.now() + this.#waitMs
    for (;;) {
      const value = await read()
      if (isVisible(value)) return value
      if (this.#clock.now() > until) {
        for (const name of names) this.forget(name)
        return value
      }
      await this.#clock.sleep(POLL_MS)
    }
  }
}

export const partitionName = (topic: string, partition: number): string => `${topic}/${partition}`
export const positionName = (group: string, topic: string, partition: number): string =>
  `${group} of ${topic}/${partition}`
