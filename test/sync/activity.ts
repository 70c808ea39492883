import { TidemarkError } from '@tidemark/base'
import type { EventLog, StateStore } from '@tidemark/log'

/** What one life of a service is doing with its log and state; both can be cut off, as by a SIGKILL. */
export class Activity {
  /** Calls that have not ended, waits at the end of a partition left out. */
  busy = 0
  /** Calls that ever began or ended. */
  count = 0
  #isCut = false
  /** Until it is cut off by itself. */
  #halvesLeft = Number.POSITIVE_INFINITY
  /** By topic and partition: the offset at which a reader of it waits for more. */
  readonly #waiting = new Map<string, number>()

  get isCut(): boolean {
    return this.#isCut
  }

  /** From now on nothing more is read or written. */
  cut(): void {
    this.#isCut = true
  }

  /**
   * Cuts off at the half of a call to come, counted from 1: with an odd number before that call is carried out, with an even one behind it, when
   * nobody learns of it any more. Infinity: not at all.
   */
  cutAfter(halves: number): void {
    this.#halvesLeft = halves
  }

  /** True when the one reader of a partition has read up to the offset, and done what was to be done about it. */
  hasRead(topic: string, partition: number, end: number): boolean {
    return this.#waiting.get(`${topic}/${partition}`) === end
  }

  log(log: EventLog): EventLog {
    return {
      ...unused,
      append: (records) => this.#during(() => log.append(records)),
      bounds: (topic, partition) => this.#during(() => log.bounds(topic, partition)),
      offsetAt: (topic, partition, ms) => this.#during(() => log.offsetAt(topic, partition, ms)),
      positions: (group, topic) => this.#during(() => log.positions(group, topic)),
      commitPositions: (group, topic, positions) => this.#during(() => log.commitPositions(group, topic, positions)),
      fetch: async (request) => {
        this.#guard()
        const name = `${request.topic}/${request.partition}`
        if (request.waitMs !== undefined) this.#waiting.set(name, request.offset)
        const result = await log.fetch(request)
        this.#guard()
        this.count++
        if (result.records.length > 0) this.#waiting.delete(name)
        return result
      },
    }
  }

  /** Reads are left alone: what a process that is gone would have read matters to nobody. */
  state(state: StateStore): StateStore {
    return {
      get position() {
        return state.position
      },
      get: (key) => state.get(key),
      scan: (prefix) => state.scan(prefix),
      apply: (writes, position) => this.#during(() => state.apply(writes, position)),
      clear: () => this.#during(() => state.clear()),
      close: () => state.close(),
    }
  }

  #guard(): void {
    if (this.#isCut) throw new TidemarkError('LOG_CLOSED', 'The log is closed.')
  }

  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.#halvesLeft -= 2
    if (this.#halvesLeft === -1) this.cut()
    const isLast = this.#halvesLeft === 0
    this.#guard()
    this.busy++
    this.count++
    try {
      // What was under way when the process was killed may be written or not, and nobody learns which.
      const result = await work()
      if (isLast) this.cut()
      this.#guard()
      return result
    } finally {
      this.busy--
      this.count++
    }
  }
}

const never = (): never => {
  throw new RangeError('ingress does not need this')
}

const unused: Pick<EventLog, 'ensureTopics' | 'listTopics' | 'openTask' | 'assignments' | 'close'> = {
  ensureTopics: never,
  listTopics: never,
  openTask: never,
  assignments: never,
  close: never,
}
