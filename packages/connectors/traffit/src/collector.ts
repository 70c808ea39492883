import type { ChildList, Mapped, MappedRecord, MappingFailure } from '@tidemark/connector'
import { isJson, type Json, mappingFailure, reference as publicIdOf } from '@tidemark/connector/mapping'
import { type ModelName, PARENT_MODEL, type RecordInputOf, remoteKey } from '@tidemark/model'
import type { Times } from './times.ts'

/** What mapping needs to know beside the JSON. */
export interface MapContext {
  readonly integrationId: string
  readonly times: Times
}

/** The public id of a record that another one refers to. */
export const reference = ({ integrationId }: MapContext, model: ModelName, ...parts: string[]): string =>
  publicIdOf(integrationId, model, ...parts)

/** Collects what one page maps to. */
export class Collector implements Mapped {
  readonly records: MappedRecord[] = []
  readonly childLists: ChildList[] = []
  readonly failures: MappingFailure[] = []

  add<M extends ModelName>(
    model: M,
    key: string,
    record: RecordInputOf<M>,
    more: { readonly remoteVersion?: number | null; readonly kind?: 'record' | 'anonymized' } = {},
  ): void {
    const { remoteVersion = null, kind = 'record' } = more
    this.records.push({ model, remoteKey: key, kind, remoteVersion, record })
  }

  /** A parent's complete children of one model, which must all be among the records. */
  children(model: ModelName, parentId: string, children: readonly string[]): void {
    const parentModel = PARENT_MODEL[model]
    if (parentModel === undefined) throw new RangeError(`${model} has no parent`)
    this.childLists.push({ parentModel, parentRemoteKey: remoteKey(parentId), model, children })
  }

  /** A record that cannot be mapped. A null key says that it is not even known which one. */
  fail(model: ModelName, key: string | null, problem: string, item: unknown): void {
    this.failures.push(mappingFailure('TRAFFIT', model, key, problem, item))
  }

  /** The result, as plain data. */
  mapped(): Mapped {
    const { records, childLists, failures } = this
    return { records, childLists, failures }
  }
}

/** Maps each row by itself: one that cannot be mapped becomes a failure of the model, and its neighbours go on. */
export function mapEach(
  out: Collector,
  model: ModelName,
  rows: readonly unknown[],
  mapOne: (row: Json, out: Collector) => void,
): void {
  for (const row of rows) {
    try {
      if (isJson(row)) mapOne(row, out)
      else out.fail(model, null, 'expected an object', row)
    } catch (error) {
      // Not foreseen by any rule (a structure nested without end, say); still only this record's problem.
      out.fail(model, null, `cannot be mapped: ${(error as Error).message}`, row)
    }
  }
}
