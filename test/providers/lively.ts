import type { Clock } from '@tidemark/base'
import type { FetchOptions, PointReadOptions, Source } from '@tidemark/connector'

/** Counts who sleeps: a request of theirs is not under way. */
export class SleepCounter implements Clock {
  sleeping = 0
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleeping++
    try {
      await this.#clock.sleep(ms, signal)
    } finally {
      this.sleeping--
    }
  }
}

/** Calls of sources that have not been answered. */
export class Calls {
  open = 0
}

/** Called between two pages: the world goes on meanwhile. */
export type Between = (asked: FetchOptions | PointReadOptions) => Promise<void>

/** A source that counts its calls, and lets the world go on between its pages. */
export function livelySource(source: Source, calls: Calls, between: Between): Source {
  const { pointReads } = source
  const overrides: Partial<Source> = {
    fetch: (options) => pages(source.fetch(options), options),
    pointReads: pointReads && {
      models: pointReads.models,
      read: (options) => pages(pointReads.read(options), options),
    },
  }

  async function* pages<T>(iterable: AsyncIterable<T>, asked: FetchOptions | PointReadOptions): AsyncGenerator<T> {
    const iterator = iterable[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value } = await counted(() => iterator.next())
        if (done) return
        yield value
        await counted(() => between(asked))
      }
    } finally {
      await iterator.return?.()
    }
  }

  async function counted<T>(work: () => Promise<T>): Promise<T> {
    calls.open++
    try {
      return await work()
    } finally {
      calls.open--
    }
  }

  return new Proxy(source, {
    get: (target, name) => {
      const value: unknown = Reflect.get(Object.hasOwn(overrides, name) ? overrides : target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
