import { classify, TidemarkError } from '@tidemark/base'
import { frameId, type OpenCodec } from '@tidemark/codec'
import type { Differ, Op, Outcome } from '@tidemark/diff'
import type { AppendRecord, LogRecord, StateReader, StateWrite } from '@tidemark/log'
import { changesTopic, DEAD_LETTERS_TOPIC, type ModelName, OBSERVED_TOPIC, snapshotsTopic } from '@tidemark/model'
import { sweepChildren } from './childSweep.ts'
import { type ForeignSchemas, UnknownSchema } from './foreignSchemas.ts'

/** What one slice of a partition's observations adds up to; committed as a whole or not at all. */
export interface SliceResult {
  readonly outputs: readonly AppendRecord[]
  readonly state: readonly StateWrite[]
  /** Offset after the last record that went in. */
  readonly position: number
  readonly counts: SliceCounts
}

export interface SliceCounts {
  readonly outcomes: Readonly<Record<Outcome['kind'] | 'dead' | 'control', number>>
  readonly changes: readonly { readonly model: ModelName; readonly op: Op }[]
}

export interface SliceLimits {
  /** A slice ends at the first record after this many outputs. */
  readonly outputsMax: number
  /** A slice ends at the first record after this many bytes of outputs. */
  readonly bytesMax: number
}

/** Reads through the writes of the slice in progress: committed state shows only what was committed. */
export interface Overlay {
  get(key: Buffer): Buffer | undefined
  set(key: Buffer, value: Buffer): void
  /** Entries whose key begins with the prefix, committed or of this slice, in key order. */
  scan(prefix: string): Iterable<{ readonly key: Buffer; readonly value: Buffer }>
}

/** Collects outputs, state and counts of one slice. */
export interface Collector {
  readonly overlay: Overlay
  outcome(model: ModelName, key: Buffer, outcome: Outcome, timestampMs: number): void
}

export interface SliceInput {
  readonly codec: OpenCodec
  readonly differ: Differ
  readonly state: StateReader
  readonly partition: number
  readonly records: readonly LogRecord[]
  readonly limits: SliceLimits
  /** Schema ids of others, whose records become dead letters. Default: every id that is none of ours. */
  readonly foreign?: Pick<ForeignSchemas, 'has'> | undefined
}

/**
 * Applies observations in order until the records or the limits end. Deterministic: what it emits for a record depends on the
 * record and the state before it, never on where slices begin. A record that cannot be read becomes one dead letter.
 * Throws UnknownSchema for an id of which it is not known whose it is.
 */
export function processSlice(input: SliceInput): SliceResult {
  const { codec, differ, partition, records, limits } = input
  const outputs: AppendRecord[] = []
  const changes: { model: ModelName; op: Op }[] = []
  const outcomes = { repeated: 0, unchanged: 0, unknown: 0, stale: 0, refreshed: 0, changed: 0, dead: 0, control: 0 }
  const overlay = createOverlay(input.state)
  let bytes = 0
  let position = records[0]?.offset ?? 0

  const emit = (topic: string, key: Buffer | null, value: Buffer, timestampMs: number): void => {
    outputs.push({ topic, partition, key, value, timestampMs })
    bytes += value.length + (key?.length ?? 0)
  }
  const outcome = (model: ModelName, key: Buffer, result: Outcome, timestampMs: number): void => {
    outcomes[result.kind]++
    if (result.kind !== 'changed' && result.kind !== 'refreshed') return
    if (result.kind === 'changed') {
      changes.push({ model, op: result.op })
      emit(changesTopic(model), key, result.change, timestampMs)
    }
    emit(snapshotsTopic(model), key, result.snapshot, timestampMs)
    overlay.set(key, result.snapshot)
  }

  for (const record of records) {
    if (outputs.length >= limits.outputsMax || bytes >= limits.bytesMax) break
    position = record.offset + 1
    const mark = { outputs: outputs.length, changes: changes.length }
    try {
      applyRecord(record, { codec, differ, partition, overlay, outcome, outcomes, foreign: input.foreign })
    } catch (error) {
      if (error instanceof UnknownSchema) throw error
      const failure = classify(error)
      // Only what the record itself is to blame for is skipped; anything else stops the task, with nothing lost.
      if (failure.next !== 'skip' || outputs.length !== mark.outputs) throw failure
      outcomes.dead++
      emit(DEAD_LETTERS_TOPIC, record.key, deadLetter(codec, failure, partition, record), record.timestampMs)
    }
  }
  return { outputs, state: overlay.writes(), position, counts: { outcomes, changes } }
}

interface RecordContext {
  readonly codec: OpenCodec
  readonly differ: Differ
  readonly partition: number
  readonly overlay: Overlay
  readonly outcome: Collector['outcome']
  readonly outcomes: { control: number }
  readonly foreign: SliceInput['foreign']
}

function applyRecord(record: LogRecord, context: RecordContext): void {
  const { codec, differ, partition, overlay, outcome } = context
  const { key, value } = record
  if (key === null || value === null) {
    throw new TidemarkError('VALUE_UNDECODABLE', 'an observation needs a key and a value')
  }
  const kind = codec.observedKind(frameId(value))
  if (kind === undefined) {
    if (context.foreign?.has(frameId(value)) === false) throw new UnknownSchema(frameId(value))
    throw new TidemarkError('VALUE_UNDECODABLE', `schema id ${frameId(value)} is not one of ${OBSERVED_TOPIC}`)
  }
  const source = { partition, offset: record.offset }
  if (kind === 'control') {
    context.outcomes.control++
    sweepChildren({ codec, differ, overlay, outcome }, value, source, record.timestampMs)
    return
  }
  outcome(kind, key, differ.apply(kind, overlay.get(key), value, source), record.timestampMs)
}

interface WritableOverlay extends Overlay {
  writes(): StateWrite[]
}

function createOverlay(state: StateReader): WritableOverlay {
  const written = new Map<string, StateWrite & { readonly value: Buffer }>()
  const nameOf = (key: Buffer): string => key.toString('latin1')
  return {
    get: (key) => (written.size === 0 ? undefined : written.get(nameOf(key))?.value) ?? state.get(key),
    set: (key, value) => void written.set(nameOf(key), { key, value }),
    scan(prefix) {
      const found = new Map<string, { readonly key: Buffer; readonly value: Buffer }>()
      const bytes = Buffer.from(prefix, 'utf8')
      for (const entry of state.scan(bytes)) found.set(nameOf(entry.key), entry)
      const start = nameOf(bytes)
      for (const [name, { key, value }] of written) {
        if (name.startsWith(start)) found.set(name, { key: key as Buffer, value })
      }
      // In key order whether written or committed: what a sweep emits must not depend on where slices begin.
      return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
    },
    writes: () => [...written.values()],
  }
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
