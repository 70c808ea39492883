import { TidemarkError } from '@tidemark/base'
import type { OpenCodec } from '@tidemark/codec'
import type { Differ } from '@tidemark/diff'
import { type EventLog, readRange, type StateReader } from '@tidemark/log'
import {
  type Control,
  childModels,
  childPrefix,
  isModelName,
  type ModelName,
  OBSERVED_TOPIC,
  PARENT_MODEL,
  type RecordKey,
  recordKey,
  rootKey,
} from '@tidemark/model'
import type { Barrier } from './slice.ts'

export interface SweepDeps {
  readonly log: Pick<EventLog, 'fetch'>
  readonly codec: OpenCodec
  readonly differ: Differ
  readonly partition: number
}

/** A record of the scope that nobody has observed since the run began. */
export interface Absentee {
  readonly key: Buffer
  /** Only its children may still be alive: it is deleted already, or was never seen. */
  readonly isDeleted: boolean
}

export interface Absentees {
  readonly model: ModelName
  /** Records of the scope in this partition that are not deleted, those that this very sweep has deleted included. */
  readonly records: number
  /** In key order. */
  readonly absent: readonly Absentee[]
  /** Records that an earlier attempt at this very sweep has deleted. */
  readonly deletedBefore: number
}

/** A sweep that cannot be carried out; nothing is deleted. */
export class SweepSkipped extends Error {}

/**
 * Finds which records of a sweep's scope were not observed between the run's beginning and the barrier, by reading that part of the
 * partition again: nothing about it is kept, so nothing can be lost, and whenever it is asked it answers the same. A record is there when it, or
 * a child of it, was observed in between, from whatever source. Throws SweepSkipped when the beginning cannot be read any more.
 */
export async function findAbsentees(
  deps: SweepDeps,
  state: StateReader,
  { record, control }: Barrier,
): Promise<Absentees> {
  const { model, begin_offset: begin } = control
  if (!isModelName(model) || PARENT_MODEL[model] !== undefined || begin === null || begin > record.offset) {
    throw new TidemarkError('VALUE_UNDECODABLE', `${control.kind} of ${model} from ${begin} makes no sense`)
  }
  const prefix = recordKey(control.integration_id, model, '')
  const candidates = new Map<string, Absentee>()
  let records = 0
  let deletedBefore = 0
  for (const { key, value } of state.scan(Buffer.from(prefix))) {
    const { isDeleted, sourceOffset } = deps.differ.standing(model, value)
    const isOwnDeletion = isDeleted && sourceOffset === record.offset
    if (isOwnDeletion) deletedBefore++
    if (!isDeleted || isOwnDeletion) records++
    if (sourceOffset < begin) candidates.set(nameOf(key), { key, isDeleted })
  }
  for (const key of unknownParents(deps.differ, state, control, begin))
    if (!candidates.has(nameOf(key))) candidates.set(nameOf(key), { key, isDeleted: true })
  if (candidates.size > 0) await dropObserved(deps, control, begin, record.offset, candidates)
  dropSpared(candidates, control.spared)
  return { model, records, absent: [...candidates.values()], deletedBefore }
}

/** Keys of the children of a record, not deleted or all of them. */
export function* childrenOf(
  differ: Differ,
  state: Pick<StateReader, 'scan'>,
  model: ModelName,
  parent: Buffer,
): Generator<{ readonly model: ModelName; readonly isDeleted: boolean }> {
  for (const child of childModels(model)) {
    const prefix = childPrefix(parent.toString('utf8') as RecordKey, child)
    for (const { value } of state.scan(Buffer.from(prefix)))
      yield { model: child, isDeleted: differ.standing(child, value).isDeleted }
  }
}

/**
 * Parents of which only children were ever seen: another listing than theirs shows those, and the parent came and went between two of its own. Without
 * it in the complete listing nobody else would ever end them.
 */
function* unknownParents(
  differ: Differ,
  state: StateReader,
  { model, integration_id: integrationId }: Control,
  begin: number,
): Generator<Buffer> {
  for (const child of childModels(model as ModelName)) {
    let last = ''
    for (const { key, value } of state.scan(Buffer.from(recordKey(integrationId, child, '')))) {
      const { isDeleted, sourceOffset } = differ.standing(child, value)
      if (isDeleted || sourceOffset >= begin) continue
      const parent = rootKey(key.toString('utf8') as RecordKey)
      // Children come parent by parent.
      if (parent === last) continue
      last = parent
      const parentKey = Buffer.from(parent)
      if (state.get(parentKey) === undefined) yield parentKey
    }
  }
}

const nameOf = (key: Buffer): string => key.toString('latin1')

async function dropObserved(
  { log, codec, partition }: SweepDeps,
  control: Control,
  begin: number,
  end: number,
  candidates: Map<string, Absentee>,
): Promise<void> {
  const childPrefixes = childModels(control.model as ModelName).map((child) =>
    nameOf(Buffer.from(recordKey(control.integration_id, child, ''))),
  )
  let isFirst = true
  for await (const { offset, key, value } of beginningAt(log, partition, begin, end)) {
    if (isFirst && !(offset === begin && value !== null && isBeginning(codec, value, control)))
      throw new SweepSkipped(
        `the beginning of the run, offset ${begin}, is no longer in ${OBSERVED_TOPIC}/${partition}`,
      )
    isFirst = false
    if (key === null) continue
    const name = nameOf(key)
    if (candidates.delete(name)) continue
    if (childPrefixes.some((prefix) => name.startsWith(prefix)))
      candidates.delete(nameOf(Buffer.from(rootKey(key.toString('utf8') as RecordKey))))
    if (candidates.size === 0) return
  }
  if (isFirst) throw new SweepSkipped(`${OBSERVED_TOPIC}/${partition} has nothing between ${begin} and ${end}`)
}

async function* beginningAt(log: SweepDeps['log'], partition: number, begin: number, end: number) {
  try {
    yield* readRange(log, OBSERVED_TOPIC, partition, begin, end)
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'OFFSET_OUT_OF_RANGE') throw error
    throw new SweepSkipped(`retention removed the beginning of the run, offset ${begin}, from ${OBSERVED_TOPIC}`)
  }
}

function isBeginning(codec: OpenCodec, value: Buffer, control: Control): boolean {
  const observed = codec.decodeObserved(value)
  if (observed.kind !== 'control') return false
  const { kind, integration_id, model } = observed.control
  return kind === 'sweep_begin' && integration_id === control.integration_id && model === control.model
}

function dropSpared(candidates: Map<string, Absentee>, spared: readonly string[]): void {
  for (const key of spared) {
    const name = nameOf(Buffer.from(key))
    candidates.delete(name)
    for (const candidate of candidates.keys()) if (candidate.startsWith(`${name}:`)) candidates.delete(candidate)
  }
}
