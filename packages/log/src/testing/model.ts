import fc from 'fast-check'
import { describe, expect } from 'vitest'
import type { AppendRecord, EventLog, StateWrite, Task } from '../log.ts'
import { itWith, type LogCapabilities, type LogHarness, readAll, topicOf } from './harness.ts'

const PARTITIONS = 2
const TOPICS = ['a', 'b'] as const
const GROUPS = ['g', 'h'] as const

/** What the log should hold, kept as naively as possible. */
interface Model {
  /** By `topic/partition`. */
  readonly records: Map<string, string[]>
  /** By task name. */
  readonly states: Map<string, Map<string, string>>
  readonly positions: Map<string, number>
  /** Per handle given out: the task's name, and whether it is still the owner. */
  readonly handles: { readonly name: string; live: boolean }[]
}

interface Real {
  harness: LogHarness
  log: EventLog
  readonly topics: readonly string[]
  handles: Task[]
}

type Command = fc.AsyncCommand<Model, Real>

interface Write {
  readonly topic: number
  readonly partition: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
}

const small = fc.uint8Array({ maxLength: 3 })
const write: fc.Arbitrary<Write> = fc.record({
  topic: fc.nat(TOPICS.length - 1),
  partition: fc.nat(PARTITIONS - 1),
  key: fc.option(small),
  value: fc.option(fc.uint8Array({ maxLength: 40 }), { freq: 6 }),
})
const hex = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('hex'))
const text = ({ key, value }: { key: Uint8Array | null; value: Uint8Array | null }): string =>
  `${hex(key)}:${hex(value)}`
const records = (writes: readonly Write[], { topics }: Real): AppendRecord[] =>
  writes.map(({ topic, partition, key, value }) => ({ topic: topics[topic]!, partition, key, value, timestampMs: 1 }))

function addToModel({ records: logs }: Model, writes: readonly Write[]): void {
  for (const one of writes) {
    const name = `${one.topic}/${one.partition}`
    logs.set(name, [...(logs.get(name) ?? []), text(one)])
  }
}

class Append implements Command {
  readonly writes: readonly Write[]
  constructor(writes: readonly Write[]) {
    this.writes = writes
  }
  check = () => true
  async run(model: Model, real: Real): Promise<void> {
    await real.log.append(records(this.writes, real))
    addToModel(model, this.writes)
  }
  toString = () => `append(${this.writes.map((one) => `${one.topic}/${one.partition} ${text(one)}`).join(', ')})`
}

class FailingAppend implements Command {
  readonly writes: readonly Write[]
  constructor(writes: readonly Write[]) {
    this.writes = writes
  }
  check = () => true
  async run(_model: Model, real: Real): Promise<void> {
    const missing = { ...records([this.writes[0]!], real)[0]!, topic: `${real.topics[0]}-missing` }
    await expect(real.log.append([...records(this.writes, real), missing])).rejects.toMatchObject({
      code: 'TOPIC_UNKNOWN',
    })
  }
  toString = () => `failingAppend(${this.writes.length})`
}

class OpenTask implements Command {
  readonly group: number
  readonly partition: number
  constructor(group: number, partition: number) {
    this.group = group
    this.partition = partition
  }
  check = () => true
  async run(model: Model, real: Real): Promise<void> {
    const name = `${this.group}/${this.partition}`
    const group = `${real.harness.topicPrefix}${GROUPS[this.group]}`
    const task = await real.log.openTask({ group, topic: real.topics[0]!, partition: this.partition })
    for (const handle of model.handles) if (handle.name === name) handle.live = false
    model.handles.push({ name, live: true })
    real.handles.push(task)
    expect(task.position).toBe(model.positions.get(name) ?? 0)
  }
  toString = () => `openTask(${this.group}/${this.partition})`
}

class Commit implements Command {
  readonly handle: number
  readonly writes: readonly Write[]
  readonly state: readonly StateWrite[]
  readonly step: number
  constructor(handle: number, writes: readonly Write[], state: readonly StateWrite[], step: number) {
    this.handle = handle
    this.writes = writes
    this.state = state
    this.step = step
  }
  check = ({ handles }: Readonly<Model>) => handles.length > 0
  async run(model: Model, real: Real): Promise<void> {
    const index = this.handle % model.handles.length
    const { name, live } = model.handles[index]!
    const position = (model.positions.get(name) ?? 0) + this.step
    const committing = real.handles[index]!.commit({ outputs: records(this.writes, real), state: this.state, position })
    if (!live) {
      await expect(committing).rejects.toMatchObject({ code: 'TASK_FENCED' })
      return
    }
    await committing
    addToModel(model, this.writes)
    model.positions.set(name, position)
    const state = model.states.get(name) ?? new Map<string, string>()
    model.states.set(name, state)
    for (const { key, value } of this.state) {
      if (value === null) state.delete(hex(key))
      else state.set(hex(key), hex(value))
    }
    compareState(model, real, index)
  }
  toString = () =>
    `commit(${this.handle}, +${this.step}, [${this.writes.map(text).join(', ')}], {${this.state.map(text).join(', ')}})`
}

class Read implements Command {
  readonly topic: number
  readonly partition: number
  readonly from: number
  readonly recordsMax: number
  constructor(topic: number, partition: number, from: number, recordsMax: number) {
    this.topic = topic
    this.partition = partition
    this.from = from
    this.recordsMax = recordsMax
  }
  check = () => true
  async run(model: Model, { log, topics }: Real): Promise<void> {
    const expected = model.records.get(`${this.topic}/${this.partition}`) ?? []
    const offset = this.from % (expected.length + 1)
    const { recordsMax, partition } = this
    const result = await log.fetch({ topic: topics[this.topic]!, partition, offset, recordsMax })
    expect(result.records.map(text)).toEqual(expected.slice(offset, offset + recordsMax))
    expect(result.nextOffset).toBe(Math.min(expected.length, offset + recordsMax))
  }
  toString = () => `read(${this.topic}/${this.partition} from ${this.from}, at most ${this.recordsMax})`
}

class Reopen implements Command {
  check = () => true
  async run(model: Model, real: Real): Promise<void> {
    real.log = await real.harness.reopen()
    model.handles.length = 0
    real.handles = []
  }
  toString = () => 'reopen()'
}

function compareState(model: Model, real: Real, index: number): void {
  const { name } = model.handles[index]!
  const { state } = real.handles[index]!
  const expected = [...(model.states.get(name) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))
  expect([...state.scan(Buffer.alloc(0))].map(({ key, value }) => [hex(key), hex(value)])).toEqual(expected)
  for (const [key, value] of expected) expect(hex(state.get(Buffer.from(key, 'hex'))!)).toBe(value)
}

async function compareAll(model: Model, { log, topics, harness }: Real): Promise<void> {
  for (const [t, topic] of topics.entries()) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const found = await readAll(log, topic, partition)
      expect(found.map(text)).toEqual(model.records.get(`${t}/${partition}`) ?? [])
      expect(found.map(({ offset }) => offset)).toEqual(found.map((_, i) => i))
    }
  }
  for (const [g, group] of GROUPS.entries()) {
    const expected = [...model.positions].filter(([name]) => name.startsWith(`${g}/`))
    expect(await log.positions(`${harness.topicPrefix}${group}`, topics[0]!)).toEqual(
      new Map(expected.map(([name, position]) => [Number(name.split('/')[1]), position])),
    )
  }
}

const writes = fc.array(write, { minLength: 1, maxLength: 5 })
const stateWrites = fc.array(fc.record({ key: small, value: fc.option(small, { freq: 4 }) }), { maxLength: 5 })
const COMMANDS: fc.Arbitrary<Command>[] = [
  writes.map((some) => new Append(some)),
  writes.map((some) => new FailingAppend(some)),
  fc.tuple(fc.nat(GROUPS.length - 1), fc.nat(PARTITIONS - 1)).map(([g, p]) => new OpenTask(g, p)),
  fc
    .tuple(fc.nat(), fc.array(write, { maxLength: 4 }), stateWrites, fc.nat(3))
    .map(([handle, some, state, step]) => new Commit(handle, some, state, step)),
  fc
    .tuple(fc.nat(TOPICS.length - 1), fc.nat(PARTITIONS - 1), fc.nat(40), fc.integer({ min: 1, max: 8 }))
    .map(([t, p, from, max]) => new Read(t, p, from, max)),
  fc.constant(new Reopen()),
]

export function modelCases(open: () => Promise<LogHarness>, capabilities: LogCapabilities): void {
  describe('a naive model', () => {
    const it = itWith([capabilities.denseOffsets, capabilities.atomicAppend])
    it('agrees after any sequence of appends, commits, take-overs and reopenings', async () => {
      await fc.assert(
        fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: 40 }), async (commands) => {
          const harness = await open()
          try {
            const topics = [await topicOf(harness, TOPICS[0]), await topicOf(harness, TOPICS[1])]
            const model: Model = { records: new Map(), states: new Map(), positions: new Map(), handles: [] }
            const real: Real = { harness, log: harness.log, topics, handles: [] }
            await fc.asyncModelRun(() => ({ model, real }), commands)
            await compareAll(model, real)
          } finally {
            await harness.dispose()
          }
        }),
        { numRuns: capabilities.modelRuns },
      )
    })
  })
}
