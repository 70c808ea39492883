import type { ChildList, Mapped, MappedRecord, MappingFailure } from '@tidemark/connector'
import { isJson, type Json, mappingFailure, reference } from '@tidemark/connector/mapping'
import { type ModelName, type RecordInput, type RecordInputOf, remoteKey } from '@tidemark/model'
import type { Versions } from './versions.ts'

/** Collects what one event maps to, each record once. */
export class Collector {
  readonly #integrationId: string
  readonly #versions: Versions
  readonly #records = new Map<string, MappedRecord>()
  readonly #childLists: ChildList[] = []
  readonly #failures: MappingFailure[] = []

  constructor(integrationId: string, versions: Versions) {
    this.#integrationId = integrationId
    this.#versions = versions
  }

  get mapped(): Mapped {
    return { records: [...this.#records.values()], childLists: this.#childLists, failures: this.#failures }
  }

  /** Public id of the entity that has this id in the source system: what references to it hold. */
  reference(model: ModelName, id: string): string {
    return reference(this.#integrationId, model, id)
  }

  /** The job or application that the event is about. */
  own<M extends ModelName>(model: M, id: string, record: RecordInputOf<M>): void {
    this.#add(model, remoteKey(id), { remote_id: id, ...record }, this.#versions.own)
  }

  /** An entity seen inside it. Seen twice, the fields of both count. */
  entity<M extends ModelName>(model: M, id: string, record: RecordInputOf<M>): void {
    this.#add(model, remoteKey(id), { remote_id: id, ...record }, this.#versions.inside)
  }

  /** The record that the event is about is gone. */
  deleted(model: ModelName, id: string, record: RecordInput, detail: string): void {
    const evidence = { kind: 'provider_event', detail } as const
    const base = { model, remoteKey: remoteKey(id), remoteVersion: this.#versions.own }
    this.#records.set(`${model}/${id}`, { ...base, kind: 'deleted', record: { remote_id: id, ...record }, evidence })
  }

  fail(model: ModelName, key: string | null, problem: string, item: unknown): void {
    this.#failures.push(mappingFailure('Knit', model, key, problem, item))
  }

  /**
   * The children of one parent in a list of the event. `map` gives a child's id and record, or throws RangeError with the problem. Returns
   * the ids only when every entry could be read: a list that is absent, null or readable in part says nothing about what is gone.
   */
  children(
    { model, parent, name, entries }: ChildSource,
    map: (entry: Json, index: number) => ChildRecord,
  ): string[] | null {
    const parentKey = remoteKey(parent)
    if (entries === undefined || entries === null) return null
    if (!Array.isArray(entries)) {
      this.fail(model, parentKey, `\`${name}\` is no list`, entries)
      return null
    }
    const ids = new Set<string>()
    let isComplete = true
    for (const [index, entry] of entries.entries()) {
      try {
        if (!isJson(entry)) throw new RangeError(`\`${name}/${index}\` is no object`)
        const { id, record } = map(entry, index)
        if (!ids.has(id)) this.#add(model, remoteKey(parent, id), record, this.#versions.inside)
        ids.add(id)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        isComplete = false
        this.fail(model, parentKey, error.message, entry)
      }
    }
    return isComplete ? [...ids] : null
  }

  /** Says that these are all children of one model that the parent has. */
  completeList(parentModel: ModelName, parent: string, model: ModelName, ids: Iterable<string>): void {
    const children = Array.from(ids, (id) => remoteKey(parent, id))
    this.#childLists.push({ parentModel, parentRemoteKey: remoteKey(parent), model, children })
  }

  #add(model: ModelName, key: string, record: RecordInput, remoteVersion: number | null): void {
    const at = `${model}/${key}`
    const seen = this.#records.get(at)
    const merged = seen === undefined ? record : { ...seen.record, ...record }
    this.#records.set(at, { model, remoteKey: key, kind: 'record', remoteVersion, record: merged })
  }
}

/** A list inside an event. */
export interface ChildSource {
  readonly model: ModelName
  /** Id of the parent. */
  readonly parent: string
  /** Name of the list in the event, for messages. */
  readonly name: string
  readonly entries: unknown
}

export interface ChildRecord {
  readonly id: string
  readonly record: RecordInput
}
