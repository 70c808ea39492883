import { classify, TidemarkError } from '@tidemark/base'
import { frameId, type OpenCodec } from '@tidemark/codec'
import type { Differ } from '@tidemark/diff'
import type { LogRecord, StateReader } from '@tidemark/log'
import { type Control, DEAD_LETTERS_TOPIC, OBSERVED_TOPIC } from '@tidemark/model'
import { sweepChildren } from './childSweep.ts'
import { type ForeignSchemas, UnknownSchema } from './foreignSchemas.ts'
import { SliceCollector, type SliceOutput } from './sliceOutput.ts'

export interface SliceResult extends SliceOutput {
  /** Offset after the last record that went in. */
  readonly position: number
  /** The slice ended before this record: the end of a sweep, which needs more than the records before it. */
  readonly barrier: Barrier | null
}

/** A sweep_end or sweep_apply, at which a partition is swept. */
export interface Barrier {
  readonly record: LogRecord
  readonly control: Control
}

export interface SliceLimits {
  /** A slice ends at the first record after this many outputs. */
  readonly outputsMax: number
  /** A slice ends at the first record after this many bytes of outputs. */
  readonly bytesMax: number
}

export interface SliceInput {
  readonly codec: OpenCodec
  readonly differ: Differ
  readonly state: StateReader
  readonly partition: number
  /** Partitions of every topic; without it nothing is said of the runs that the observations belong to. */
  readonly partitions?: number | undefined
  readonly records: readonly LogRecord[]
  readonly limits: SliceLimits
  /** Schema ids of others, whose records become dead letters. Default: every id that is none of ours. */
  readonly foreign?: Pick<ForeignSchemas, 'has'> | undefined
}

/**
 * Applies observations in order until the records or the limits end, or a barrier comes. Deterministic: the changes and snapshots it emits
 * for a record depend on the record and the state before it, never on where slices begin. A record that cannot be read becomes one
 * dead letter. Throws UnknownSchema for an id of which it is not known whose it is.
 */
export function processSlice(input: SliceInput): SliceResult {
  const { codec, partition, records, limits } = input
  const out = new SliceCollector(codec, input.state, partition)
  let position = records[0]?.offset ?? 0
  let timestampMs = 0
  let barrier: Barrier | null = null
  for (const record of records) {
    if (out.outputs.length >= limits.outputsMax || out.bytes >= limits.bytesMax) break
    const before = out.outputs.length
    try {
      barrier = applyRecord(record, input, out)
    } catch (error) {
      if (error instanceof UnknownSchema) throw error
      const failure = classify(error)
      // Only what the record itself is to blame for is skipped; anything else stops the task, with nothing lost.
      if (failure.next !== 'skip' || out.outputs.length !== before) throw failure
      setAside(out, codec, failure, partition, record)
    }
    if (barrier) break
    position = record.offset + 1
    timestampMs = record.timestampMs
  }
  return { ...out.finish(timestampMs, input.partitions), position, barrier }
}

function applyRecord(record: LogRecord, input: SliceInput, out: SliceCollector): Barrier | null {
  const { codec, differ, partition } = input
  const { key, value } = record
  if (key === null || value === null) {
    throw new TidemarkError('VALUE_UNDECODABLE', 'an observation needs a key and a value')
  }
  const kind = codec.observedKind(frameId(value))
  if (kind === undefined) {
    if (input.foreign?.has(frameId(value)) === false) throw new UnknownSchema(frameId(value))
    throw new TidemarkError('VALUE_UNDECODABLE', `schema id ${frameId(value)} is not one of ${OBSERVED_TOPIC}`)
  }
  if (kind === 'control') return applyControl(record, value, input, out)
  out.completeRuns.prepare(key)
  const source = { partition, offset: record.offset, lastSeen: { key, at: out.completeRuns.lastSeen } }
  const outcome = differ.apply(kind, out.overlay.get(key), value, source)
  out.outcome(kind, key, outcome, record.timestampMs)
  out.tally.observation(kind, differ.applied, outcome)
  return null
}

function applyControl(record: LogRecord, value: Buffer, input: SliceInput, out: SliceCollector): Barrier | null {
  const { codec, differ, partition } = input
  const observed = codec.decodeObserved(value)
  if (observed.kind !== 'control') return null
  const { control } = observed
  if (control.kind === 'sweep_end' || control.kind === 'sweep_apply') return { record, control }
  out.outcomes.control++
  const source = { partition, offset: record.offset }
  if (control.kind !== 'sweep_begin') sweepChildren({ codec, differ, out }, control, source, record.timestampMs)
  return null
}

/** Puts a record that cannot be read aside, with its reason and position. */
export function setAside(
  out: SliceCollector,
  codec: OpenCodec,
  error: TidemarkError,
  partition: number,
  record: LogRecord,
): void {
  out.outcomes.dead++
  out.emit(DEAD_LETTERS_TOPIC, record.key, deadLetter(codec, error, partition, record), record.timestampMs)
}

function deadLetter(codec: OpenCodec, error: TidemarkError, partition: number, record: LogRecord): Buffer {
  return codec.encode('DeadLetter', {
    stage: 'diff',
    code: error.code,
    message: error.message,
    source: null,
    integration_id: null,
    model: null,
    record_key: record.key?.toString('utf8') ?? null,
    topic: OBSERVED_TOPIC,
    partition,
    offset: record.offset,
    at: record.timestampMs,
    value: null,
  })
}
