import type { EventLog, Task } from '@tidemark/log'

/** A log whose topics and groups have a prefix, so that several tests share a cluster although the names of topics are fixed. */
export function prefixedLog(log: EventLog, prefix: string): EventLog {
  const named = <T extends { readonly topic: string }>(of: T): T => ({ ...of, topic: prefix + of.topic })
  const grouped = <T extends { readonly topic: string; readonly group: string }>(of: T): T => ({
    ...named(of),
    group: prefix + of.group,
  })
  return {
    ensureTopics: (specs) => log.ensureTopics(specs.map((spec) => ({ ...spec, name: prefix + spec.name }))),
    listTopics: async () => {
      const all = await log.listTopics()
      return all.flatMap((spec) =>
        spec.name.startsWith(prefix) ? [{ ...spec, name: spec.name.slice(prefix.length) }] : [],
      )
    },
    append: (records) => log.append(records.map(named)),
    fetch: (request) => log.fetch(named(request)),
    bounds: (topic, partition) => log.bounds(prefix + topic, partition),
    offsetAt: (topic, partition, ms) => log.offsetAt(prefix + topic, partition, ms),
    positions: (group, topic) => log.positions(prefix + group, prefix + topic),
    commitPositions: (group, topic, positions) => log.commitPositions(prefix + group, prefix + topic, positions),
    openTask: async (options) => prefixedTask(await log.openTask(grouped(options)), named),
    assignments: (options) => log.assignments(grouped(options)),
    close: () => log.close(),
  }
}

const prefixedTask = (task: Task, named: <T extends { readonly topic: string }>(of: T) => T): Task => ({
  get position() {
    return task.position
  },
  get state() {
    return task.state
  },
  commit: (slice) => task.commit({ ...slice, outputs: slice.outputs.map(named) }),
  close: () => task.close(),
})
