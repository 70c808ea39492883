import type { Random } from '@tidemark/base'
import type { Model, Rec } from './types.ts'

/** Records of one model: by id, and in an array so that one can be picked at random in constant time. */
export class Table<M extends Model> {
  readonly #byId = new Map<string, Rec<M>>()
  readonly #ids: string[] = []
  /** Position in #ids; only filled once something was deleted, because until then nobody asks. */
  #positions: Map<string, number> | null = null

  get size(): number {
    return this.#ids.length
  }

  get(id: string): Rec<M> | undefined {
    return this.#byId.get(id)
  }

  /** Adds or replaces. */
  put(rec: Rec<M>): void {
    if (!this.#byId.has(rec.id)) {
      this.#positions?.set(rec.id, this.#ids.length)
      this.#ids.push(rec.id)
    }
    this.#byId.set(rec.id, rec)
  }

  /** Removes; returns what was there. The last element takes the place of the removed one. */
  delete(id: string): Rec<M> | undefined {
    const rec = this.#byId.get(id)
    if (!rec) return undefined
    this.#positions ??= new Map(this.#ids.map((each, index) => [each, index]))
    const at = this.#positions.get(id) as number
    const last = this.#ids.pop() as string
    if (last !== id) {
      this.#ids[at] = last
      this.#positions.set(last, at)
    }
    this.#positions.delete(id)
    this.#byId.delete(id)
    return rec
  }

  at(index: number): Rec<M> | undefined {
    const id = this.#ids[index]
    return id === undefined ? undefined : this.#byId.get(id)
  }

  /** A random record that satisfies the condition, or undefined after 20 vain tries. */
  pick(random: Random, accept: (rec: Rec<M>) => boolean = () => true): Rec<M> | undefined {
    if (this.#ids.length === 0) return undefined
    for (let i = 0; i < 20; i++) {
      const rec = this.at(random.int(this.#ids.length)) as Rec<M>
      if (accept(rec)) return rec
    }
    return undefined
  }

  values(): IterableIterator<Rec<M>> {
    return this.#byId.values()
  }
}
