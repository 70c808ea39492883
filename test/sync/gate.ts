import type { EventLog } from '@tidemark/log'

/** Lets a reader of the log see what is new only while it is open: many small transactions of what follows it become a few large ones. */
export class Gate {
  #opened = Promise.withResolvers<void>()

  open(): void {
    this.#opened.resolve()
  }

  shut(): void {
    this.#opened = Promise.withResolvers<void>()
  }

  /** The log behind the gate. */
  log(log: EventLog): EventLog {
    return {
      ensureTopics: (specs) => log.ensureTopics(specs),
      listTopics: () => log.listTopics(),
      append: (records) => log.append(records),
      bounds: (topic, partition) => log.bounds(topic, partition),
      offsetAt: (topic, partition, ms) => log.offsetAt(topic, partition, ms),
      positions: (group, topic) => log.positions(group, topic),
      commitPositions: (group, topic, positions) => log.commitPositions(group, topic, positions),
      openTask: (options) => log.openTask(options),
      assignments: (options) => log.assignments(options),
      close: () => log.close(),
      fetch: async (request) => {
        const result = await log.fetch(request)
        await this.#opened.promise
        return result
      },
    }
  }
}
