import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tidemark/base'
import type { AppendRecord, EventLog, LogRecord, Slice } from '@tidemark/log'
import { type KafkaLog, type KafkaLogOptions, openKafka } from '../kafka.ts'

/** Logs, folders and messages of one test, cleaned up together. */
export class Scene {
  readonly brokers: readonly string[]
  readonly prefix = `t${randomUUID().slice(0, 8)}-`
  /** What the logs of this scene said, as `level message`. */
  readonly said: string[] = []
  readonly #logs: KafkaLog[] = []
  readonly #folders: string[] = []

  constructor(brokers: readonly string[]) {
    this.brokers = brokers
  }

  folder(copyOf?: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'log-kafka-'))
    this.#folders.push(folder)
    if (copyOf !== undefined) cpSync(copyOf, folder, { recursive: true })
    return folder
  }

  async open(options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
    const say = (level: string) => (_fields: object, message: string) => void this.said.push(`${level} ${message}`)
    const log = await openKafka({
      brokers: this.brokers,
      clientId: 'test',
      stateDir: options.stateDir ?? this.folder(),
      clock: systemClock,
      logger: { debug: () => undefined, info: say('info'), warn: say('warn'), error: say('error') },
      ...options,
    })
    this.#logs.push(log)
    return log
  }

  async topic(log: EventLog, name: string, partitions = 1, cleanup: 'delete' | 'compact' = 'delete'): Promise<string> {
    await log.ensureTopics([{ name: `${this.prefix}${name}`, partitions, cleanup, retentionMs: null }])
    return `${this.prefix}${name}`
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#logs.splice(0).map((log) => log.close()))
    for (const folder of this.#folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  }
}

export const bytes = (text: string): Buffer => Buffer.from(text)

export function record(topic: string, key: string | null, value: string | null, partition = 0): AppendRecord {
  return {
    topic,
    partition,
    key: key === null ? null : bytes(key),
    value: value === null ? null : bytes(value),
    timestampMs: 1000,
  }
}

/** A slice whose outputs are the state entries, each in the state topic. */
export function stateSlice(topic: string, position: number, entries: Record<string, string | null>): Slice {
  const writes = Object.entries(entries)
  return {
    outputs: writes.map(([key, value]) => record(topic, key, value)),
    state: writes.map(([key, value]) => ({ key: bytes(key), value: value === null ? null : bytes(value) })),
    position,
  }
}

export function entriesOf(state: { scan(prefix: Uint8Array): Iterable<{ key: Buffer; value: Buffer }> }): string[] {
  return [...state.scan(Buffer.alloc(0))].map(({ key, value }) => `${key}=${value}`)
}

export async function readAll(log: EventLog, topic: string, partition = 0): Promise<LogRecord[]> {
  const { start, end } = await log.bounds(topic, partition)
  const found: LogRecord[] = []
  for (let offset = start; offset < end; ) {
    const fetched = await log.fetch({ topic, partition, offset, waitMs: 5000 })
    if (fetched.nextOffset <= offset) throw new Error(`reading ${topic} does not get further than ${offset}`)
    found.push(...fetched.records)
    offset = fetched.nextOffset
  }
  return found
}

export async function values(log: EventLog, topic: string, partition = 0): Promise<string[]> {
  return (await readAll(log, topic, partition)).map(({ value }) => String(value))
}
