import { type ModelName, remoteKey, remoteKeyParts } from '@tidemark/model'
import type { Company, Model, Rec } from '@tidemark/sandbox'

/** Remote keys of a model, collected record by record. */
export class Keys {
  readonly all = new Map<ModelName, Set<string>>()

  constructor(models: readonly ModelName[] = []) {
    for (const model of models) this.#of(model)
  }

  /** A key of one part, or of a child's below its parent's. */
  add(model: ModelName, ...parts: readonly (string | number)[]): void {
    this.addKey(model, remoteKey(...parts.map(String)))
  }

  addKey(model: ModelName, key: string): void {
    this.#of(model).add(key)
  }

  /** Drops the keys of several parts that name one of these ids: links to a record end with it, also those of what nobody has noticed to be gone. */
  dropMentions(ids: readonly string[]): void {
    for (const keys of this.all.values())
      for (const key of keys) {
        const parts = remoteKeyParts(key)
        if (parts.length > 1 && parts.some((part) => ids.includes(part))) keys.delete(key)
      }
  }

  /** With those of others. */
  with(others: Keys): this {
    for (const [model, keys] of others.all) for (const key of keys) this.addKey(model, key)
    return this
  }

  #of(model: ModelName): Set<string> {
    const known = this.all.get(model) ?? new Set()
    this.all.set(model, known)
    return known
  }
}

/** Records of the company. */
export const recordsOf = <M extends Model>({ tables }: Company, model: M): Rec<M>[] =>
  [...tables[model].values()] as Rec<M>[]

/** Those of these ids that the company has. */
export const foundIn = <M extends Model>({ tables }: Company, model: M, ids: readonly string[] | undefined): Rec<M>[] =>
  (ids ?? []).flatMap((id) => (tables[model].get(id) as Rec<M> | undefined) ?? [])
