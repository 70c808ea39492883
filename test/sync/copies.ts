import type { SqlStore } from '@tidemark/store'
import type { SimClock } from './clock.ts'
import { iso } from './history.ts'
import { digestOf, digestsAsOf, readTablesAsOf, type Tables } from './tables.ts'

/** Copies that are compared at a time. */
const BATCH = 40

/** A copy of the projection with the time of which it was true. */
export interface Copy {
  readonly atMs: number
  readonly tables: Tables
}

/** What was known at each moment at which everything had come to rest. */
export class Copies {
  readonly all: Copy[] = []
  readonly #clock: SimClock

  constructor(clock: SimClock) {
    this.#clock = clock
  }

  add(tables: Tables): void {
    this.all.push({ atMs: this.#clock.now(), tables })
    // What comes next is later.
    this.#clock.tick()
  }

  /** Compares every copy with what the projection says of its time; returns the differences. */
  async compare(store: SqlStore, schema: string): Promise<string[]> {
    const problems: string[] = []
    for (let at = 0; at < this.all.length; at += BATCH) {
      const some = this.all.slice(at, at + BATCH)
      const times = some.map(({ atMs }) => atMs)
      const digests = await digestsAsOf(store, schema, times)
      const wrong = some.filter(({ tables }, i) => digests[i] !== (tables.size === 0 ? null : digestOf(tables)))
      for (const copy of wrong) problems.push(...(await differencesOf(store, schema, copy)))
    }
    return problems
  }
}

async function differencesOf(store: SqlStore, schema: string, { atMs, tables }: Copy): Promise<string[]> {
  const past = await readTablesAsOf(store, schema, atMs)
  const keys = [...new Set([...tables.keys(), ...past.keys()])].filter((key) => tables.get(key) !== past.get(key))
  if (keys.length === 0) return [`as of ${iso(atMs)} the digest is another one, and no row is`]
  return keys.map((key) => `${key} as of ${iso(atMs)} is ${past.get(key)}, and was ${tables.get(key)}`)
}
