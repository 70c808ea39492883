import type { Random } from '@tidemark/base'
import { publicId, type RecordKey, recordKey, remoteKey } from '@tidemark/model'
import type { SimClock } from './clock.ts'
import type { History } from './history.ts'
import { childModelOf, FIELDS, STREAMS, type StreamName, type Traits } from './traits.ts'

/** A record as the provider has it. */
export interface Row {
  readonly stream: StreamName
  readonly id: string
  fields: Record<string, string | null>
  /** The provider's own time of change, which it may or may not show. */
  version: number
  /** When anything of it changed last: listings of changes and shifting listings go by this. */
  touchedAt: number
  /** In the trash since; null while it is alive. */
  deletedAt: number | null
  /** In the trash for so long that it has no content any more. */
  isBlank: boolean
  /** Ids of stages or tags. */
  children: string[]
  /** Whether the provider delivers the list of children at all. */
  showsList: boolean
}

export type OpKind = 'create' | 'edit' | 'remove' | 'trash' | 'restore' | 'merge' | 'anonymize' | 'children' | 'list'

/** What happened to a record, for webhooks. */
export interface Op {
  readonly kind: OpKind
  readonly row: Row
  readonly mergedInto?: string
}

const DAY_MS = 86_400_000
const BLANK_AFTER_MS = 14 * DAY_MS
const GONE_AFTER_MS = 28 * DAY_MS

/** The records of one integration, with everything that can happen to them. Every change takes a moment of its own. */
export class Company {
  readonly integration: string
  readonly traits: Readonly<Record<StreamName, Traits>>
  readonly history: History
  readonly #clock: SimClock
  readonly #rows: Readonly<Record<StreamName, Map<string, Row>>>
  /** What was removed and may come back. */
  readonly #removed: Row[] = []
  #ids = 0

  constructor(
    integration: string,
    traits: Readonly<Record<StreamName, Traits>>,
    { clock, history }: { readonly clock: SimClock; readonly history: History },
  ) {
    this.integration = integration
    this.traits = traits
    this.history = history
    this.#clock = clock
    this.#rows = { jobs: new Map(), candidates: new Map(), applications: new Map(), tags: new Map() }
  }

  /** What the provider would list, trash included. */
  rows(stream: StreamName): Row[] {
    this.#age()
    return [...this.#rows[stream].values()]
  }

  alive(stream: StreamName): Row[] {
    return this.rows(stream).filter(({ deletedAt }) => deletedAt === null)
  }

  row(stream: StreamName, id: string): Row | undefined {
    this.#age()
    return this.#rows[stream].get(id)
  }

  keyOf({ stream, id }: Pick<Row, 'stream' | 'id'>): RecordKey {
    return recordKey(this.integration, stream, remoteKey(id))
  }

  childKeyOf({ stream, id }: Pick<Row, 'stream' | 'id'>, child: string): RecordKey {
    const model = childModelOf(stream)
    if (model === undefined) throw new RangeError(`${stream} have no children`)
    return recordKey(this.integration, model, remoteKey(id, child))
  }

  create(stream: StreamName, random: Random): Op {
    const atMs = this.#clock.tick()
    // Keys with what keys are made of in them, and keys that begin like others.
    const id = `${stream[0]}${random.chance(0.1) ? ':/%' : ''}${this.#ids++}`
    const row: Row = {
      ...{ stream, id, version: atMs, touchedAt: atMs, deletedAt: null, isBlank: false, showsList: true },
      fields: Object.fromEntries(FIELDS[stream].map((name) => [name, text(random)])),
      children: childModelOf(stream) === undefined ? [] : this.#someChildren(stream, random),
    }
    this.#put(row, atMs)
    return { kind: 'create', row }
  }

  edit(row: Row, random: Random): Op {
    const atMs = this.#touch(row, true)
    const name = random.pick(FIELDS[row.stream])
    row.fields = { ...row.fields, [name]: random.chance(0.1) ? null : text(random) }
    this.history.changed(this.keyOf(row), atMs)
    return { kind: 'edit', row }
  }

  /** Other children, or the same in another order. Not every provider calls that a change of the parent. */
  editChildren(row: Row, random: Random): Op {
    const atMs = this.#touch(row, false, random.chance(0.7))
    this.history.changed(this.keyOf(row), atMs)
    const before = row.children
    row.children = this.#someChildren(row.stream, random)
    for (const child of before) {
      if (!row.children.includes(child)) this.history.end(this.childKeyOf(row, child), atMs)
    }
    this.#beginChildren(row, atMs)
    return { kind: 'children', row }
  }

  /** From now on the list of children is delivered, or is not. */
  toggleList(row: Row): Op {
    row.showsList = !row.showsList
    this.history.changed(this.keyOf(row), this.#touch(row, false))
    return { kind: 'list', row }
  }

  remove(row: Row): Op {
    this.#take(row, this.#clock.tick())
    this.#removed.push(row)
    return { kind: 'remove', row }
  }

  trash(row: Row, random: Random): Op {
    const atMs = this.#touch(row, random.chance(0.7))
    row.deletedAt = atMs
    this.history.end(this.keyOf(row), atMs)
    return { kind: 'trash', row }
  }

  /** Something that was removed, or is in the trash and has its content yet; undefined when there is no such thing. */
  restore(stream: StreamName, random: Random): Op | undefined {
    const candidates = [
      ...this.#removed.filter((row) => row.stream === stream),
      ...this.rows(stream).filter(({ deletedAt, isBlank }) => deletedAt !== null && !isBlank),
    ]
    if (candidates.length === 0) return undefined
    const row = random.pick(candidates)
    const index = this.#removed.indexOf(row)
    if (index >= 0) this.#removed.splice(index, 1)
    // What was flagged has a version of its own in the trash; what is simply there again may have that of before.
    const atMs = this.#touch(row, row.deletedAt !== null || random.chance(0.5))
    row.deletedAt = null
    this.#put(row, atMs)
    return { kind: 'restore', row }
  }

  merge(loser: Row, winner: Row): Op {
    this.remove(loser)
    return { kind: 'merge', row: loser, mergedInto: publicId(this.keyOf(winner)) }
  }

  anonymize(row: Row): Op {
    const atMs = this.#touch(row, true)
    row.fields = Object.fromEntries(FIELDS[row.stream].map((name) => [name, null]))
    this.history.changed(this.keyOf(row), atMs)
    return { kind: 'anonymize', row }
  }

  #someChildren(stream: StreamName, random: Random): string[] {
    const pool =
      stream === 'jobs'
        ? ['S1', 'S2', 'S3', 'S4']
        : this.alive('tags')
            .slice(0, 6)
            .map(({ id }) => id)
    return pool
      .filter(() => random.chance(0.4))
      .map((id) => ({ id, rank: random.next() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ id }) => id)
  }

  #touch(row: Row, isOwnChange: boolean, isListed = true): number {
    const atMs = this.#clock.tick()
    if (isOwnChange) row.version = atMs
    if (isListed || isOwnChange) row.touchedAt = atMs
    return atMs
  }

  #put(row: Row, atMs: number): void {
    this.#rows[row.stream].set(row.id, row)
    this.history.begin(this.keyOf(row), atMs)
    this.#beginChildren(row, atMs)
  }

  #beginChildren(row: Row, atMs: number): void {
    for (const child of row.children) this.history.begin(this.childKeyOf(row, child), atMs)
  }

  #take(row: Row, atMs: number): void {
    this.#rows[row.stream].delete(row.id)
    this.history.end(this.keyOf(row), atMs)
    for (const child of row.children) this.history.end(this.childKeyOf(row, child), atMs)
  }

  /** The trash is emptied in two steps. */
  #age(): void {
    const nowMs = this.#clock.now()
    for (const stream of STREAMS) {
      for (const row of this.#rows[stream].values()) {
        if (row.deletedAt === null) continue
        if (!row.isBlank && nowMs >= row.deletedAt + BLANK_AFTER_MS) {
          row.isBlank = true
          row.fields = Object.fromEntries(FIELDS[stream].map((name) => [name, null]))
          this.history.changed(this.keyOf(row), nowMs)
        }
        if (nowMs >= row.deletedAt + GONE_AFTER_MS) this.#take(row, nowMs)
      }
    }
  }
}

const text = (random: Random): string => `w${random.int(1_000_000).toString(36)}`
