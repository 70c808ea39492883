import { classify } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import type { LogRecord } from '@tidemark/log'
import {
  COMMANDS_TOPIC,
  COMPLETE_RUNS_TOPIC,
  changesTopic,
  DEAD_LETTERS_TOPIC,
  MODEL_NAMES,
  OBSERVED_TOPIC,
  RAW_TOPIC,
  SYNCS_TOPIC,
  snapshotsTopic,
} from '@tidemark/model'

/** Decodes a value of a topic of tidemark; undefined for topics whose values it does not know. */
export type TopicReader = (topic: string, value: Buffer) => unknown

export function topicReader(codec: OpenCodec): TopicReader {
  const readers = new Map<string, (value: Buffer) => unknown>([
    [RAW_TOPIC, (value) => codec.decode('Raw', value)],
    [SYNCS_TOPIC, (value) => codec.decode('SyncEvent', value)],
    [COMMANDS_TOPIC, (value) => codec.decode('Command', value)],
    [COMPLETE_RUNS_TOPIC, (value) => codec.decode('CompleteRun', value)],
    [DEAD_LETTERS_TOPIC, (value) => codec.decode('DeadLetter', value)],
    [OBSERVED_TOPIC, (value) => codec.decodeObserved(value)],
  ])
  for (const model of MODEL_NAMES) {
    readers.set(changesTopic(model), (value) => codec.decodeChange(model, value))
    readers.set(snapshotsTopic(model), (value) => codec.decodeSnapshot(model, value))
  }
  return (topic, value) => readers.get(topic)?.(value)
}

/** One record as an object for JSON: `value` decoded, bytes in base64; what cannot be decoded has `error` and `value_base64` instead. */
export function printable(
  topic: string,
  partition: number,
  { offset, timestampMs, key, value }: LogRecord,
  read: TopicReader,
): object {
  const timestamp = new Date(timestampMs).toISOString()
  const place = { topic, partition, offset, timestamp, key: key?.toString() ?? null }
  if (value === null) return { ...place, value: null }
  try {
    const decoded = read(topic, value)
    return decoded === undefined
      ? { ...place, value_base64: value.toString('base64') }
      : { ...place, value: withoutBytes(decoded) }
  } catch (error) {
    return { ...place, error: classify(error).message, value_base64: value.toString('base64') }
  }
}

/** JSON has no bytes. */
function withoutBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(withoutBytes)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withoutBytes(member)]))
}
