import { type Company, parentId } from '../world/company.ts'
import { UneditedCandidate } from '../world/profile.ts'
import { type Links, MODELS, type Model, type Mutation, type Rec, type RecordRef } from '../world/types.ts'
import { blankOf } from './blank.ts'
import { ChangeIndex } from './change-index.ts'
import { Fifo } from './fifo.ts'
import { changedJoins } from './joins.ts'

/** A record as Kombo has stored it. */
export interface Row {
  readonly id: string
  readonly model: Model
  rec: Rec
  /** Last change of the record's own properties. */
  changedAtMs: number
  effectiveMs: number
  seq: number
  deletedAtMs: number | null
  /** True once the fields of a deleted row were set to null. */
  blanked: boolean
  parent: Row | null
  /** Rows whose parent this is, and (questions, roles) rows that link to this one. */
  dependents: Row[] | null
}

export interface MirrorOptions {
  /** Deleted rows lose their fields after this time… */
  readonly blankAfterMs: number
  /** …and vanish from every listing after this one. */
  readonly removeAfterMs: number
  /** Models that are not mirrored. */
  readonly absentModels: readonly Model[]
}

/**
 * Kombo's copy of one company. It follows the ATS only when told to ({@link ingest}), keeps `changed_at` (own changes) apart from the
 * effective change time (what `updated_after` looks at), and names the models that changed.
 */
export class Mirror {
  readonly #company: Company
  readonly #options: MirrorOptions
  readonly #rows: Readonly<Record<Model, Map<string, Row>>>
  readonly #indexes: Readonly<Record<Model, ChangeIndex<Row>>>
  readonly #dirty = new Map<string, RecordRef>()
  readonly #gone = new Map<string, RecordRef>()
  /** During the first sync everything is new at the same moment: nothing needs to be told on. */
  #first = false
  /** Deleted rows in the order of their deletion, waiting to be blanked, then to be removed. */
  readonly #toBlank = new Fifo<Deletion>()
  readonly #toRemove = new Fifo<Deletion>()

  constructor(company: Company, options: MirrorOptions) {
    this.#company = company
    this.#options = options
    this.#rows = byModel(() => new Map<string, Row>())
    this.#indexes = byModel(() => new ChangeIndex<Row>())
  }

  row(model: Model, id: string | null | undefined): Row | undefined {
    return id ? this.#rows[model].get(id) : undefined
  }

  index(model: Model): ChangeIndex<Row> {
    return this.#indexes[model]
  }

  /** Notes what a mutation did, for the next sync. */
  markDirty(mutation: Mutation): void {
    for (const ref of mutation.changed) {
      this.#dirty.set(refKey(ref), ref)
      this.#gone.delete(refKey(ref))
    }
    for (const ref of mutation.deleted) {
      this.#gone.set(refKey(ref), ref)
      this.#dirty.delete(refKey(ref))
    }
  }

  /** First sync: copies everything. Returns the names for `data-changed`. */
  ingestAll(nowMs: number): Set<string> {
    const changed = new Set<string>()
    this.#first = true
    for (const model of MODELS) {
      for (const rec of this.#company.table(model).values()) this.#upsert(model, rec, nowMs, changed)
    }
    this.#first = false
    this.#dirty.clear()
    this.#gone.clear()
    return changed
  }

  /** A delta sync copies what changed since the last sync; a full one also notices what is gone. */
  ingestPending(nowMs: number, kind: 'FULL' | 'DELTA'): Set<string> {
    return this.ingest([...this.#dirty.values()], kind === 'FULL' ? [...this.#gone.values()] : [], nowMs)
  }

  /** Copies the current state of the given records. Returns the names for `data-changed`: only of what really differs. */
  ingest(changedRefs: readonly RecordRef[], deletedRefs: readonly RecordRef[], nowMs: number): Set<string> {
    const changed = new Set<string>()
    const order = (ref: RecordRef): number => MODELS.indexOf(ref.model)
    for (const ref of [...changedRefs].sort((a, b) => order(a) - order(b))) {
      this.#dirty.delete(refKey(ref))
      const rec = this.#company.table(ref.model).get(ref.id)
      if (rec) this.#upsert(ref.model, rec, nowMs, changed)
    }
    for (const ref of deletedRefs) {
      this.#gone.delete(refKey(ref))
      if (!this.#company.table(ref.model).get(ref.id)) this.#delete(ref, nowMs, changed)
    }
    return changed
  }

  /** Blanks and removes the rows whose time has come. Neither counts as a change, and no webhook tells of it. */
  expire(nowMs: number): void {
    const { blankAfterMs, removeAfterMs } = this.#options
    for (const entry of this.#toBlank.takeWhile((each) => each.deletedAtMs + blankAfterMs <= nowMs)) {
      if (entry.row.deletedAtMs !== entry.deletedAtMs) continue
      entry.row.rec = blankOf(entry.row.model, entry.row.rec)
      entry.row.blanked = true
      this.#toRemove.push(entry)
    }
    for (const { row, deletedAtMs } of this.#toRemove.takeWhile((each) => each.deletedAtMs + removeAfterMs <= nowMs)) {
      if (row.deletedAtMs !== deletedAtMs) continue
      this.#indexes[row.model].drop(row)
      this.#rows[row.model].delete(row.id)
      removeFrom(row.parent?.dependents, row)
    }
  }

  #upsert(model: Model, rec: Rec, nowMs: number, changed: Set<string>): void {
    if (this.#options.absentModels.includes(model)) return
    const row = this.#rows[model].get(rec.id)
    if (!row) this.#create(model, rec, nowMs, changed)
    else this.#update(row, rec, nowMs, changed)
  }

  #create(model: Model, rec: Rec, nowMs: number, changed: Set<string>): void {
    const row: Row = {
      id: rec.id,
      model,
      rec,
      changedAtMs: nowMs,
      effectiveMs: nowMs,
      seq: 0,
      deletedAtMs: null,
      blanked: false,
      parent: null,
      dependents: null,
    }
    this.#rows[model].set(rec.id, row)
    this.#adopt(row, nowMs, changed)
    this.#relink(row, {}, rec.links, changed)
    this.#touch(row, nowMs)
    changed.add(`ats_${model}`)
    this.#propagate(row, nowMs)
  }

  #update(row: Row, rec: Rec, nowMs: number, changed: Set<string>): void {
    const before = row.rec
    if (before === rec && row.deletedAtMs === null) return
    const own = row.deletedAtMs !== null || ownChanged(before, rec)
    row.rec = rec
    row.deletedAtMs = null
    row.blanked = false
    const linked = this.#relink(row, before.links, rec.links, changed)
    if (own) {
      row.changedAtMs = nowMs
      changed.add(`ats_${row.model}`)
      // Both parents see an entry come or go when a record changes hands.
      if (row.parent && row.parent.id !== parentId(row.model, rec)) this.#touchLive(row.parent, nowMs)
      this.#adopt(row, nowMs, changed)
      this.#propagate(row, nowMs)
    }
    if (own || linked) this.#touch(row, nowMs)
  }

  #delete(ref: RecordRef, nowMs: number, changed: Set<string>): void {
    const row = this.#rows[ref.model].get(ref.id)
    if (!row || row.deletedAtMs !== null) return
    row.deletedAtMs = nowMs
    row.changedAtMs = nowMs
    changed.add(`ats_${ref.model}`)
    this.#touch(row, nowMs)
    this.#propagate(row, nowMs)
    this.#toBlank.push({ row, deletedAtMs: nowMs })
  }

  /** Hangs a row under its parent; a parent that Kombo does not know yet is fetched first. */
  #adopt(row: Row, nowMs: number, changed: Set<string>): void {
    const id = parentId(row.model, row.rec)
    const parentModel = PARENT_MODEL[row.model]
    if (id === null || !parentModel || row.parent?.id === id) return
    let parent = this.#rows[parentModel].get(id)
    if (!parent) {
      const rec = this.#company.table(parentModel).get(id)
      if (rec) this.#upsert(parentModel, rec, nowMs, changed)
      parent = this.#rows[parentModel].get(id)
    }
    removeFrom(row.parent?.dependents, row)
    row.parent = parent ?? null
    if (parent) addTo(parent, row)
  }

  /** Notes changed links; returns whether any changed. All of them count for `updated_after`. */
  #relink(row: Row, before: Links, after: Links, changed: Set<string>): boolean {
    const names = changedJoins(row.model, before, after)
    for (const name of names) changed.add(name)
    if (names.length > 0) this.#watch(row, before, after)
    return names.length > 0
  }

  /** Jobs follow the own changes of their questions, users those of their roles. */
  #watch(row: Row, before: Links, after: Links): void {
    const [model, key] =
      row.model === 'jobs' ? (['screening_questions', 'questions'] as const) : (['roles', 'roles'] as const)
    if (row.model !== 'jobs' && row.model !== 'users') return
    for (const id of before[key] ?? []) removeFrom(this.#rows[model].get(id)?.dependents, row)
    for (const id of after[key] ?? []) {
      const target = this.#rows[model].get(id)
      if (target) addTo(target, row)
    }
  }

  /** The changes of linked records that count for `updated_after`; one step only. */
  #propagate(row: Row, nowMs: number): void {
    if (this.#first) return
    switch (row.model) {
      case 'applications':
      case 'interviews':
      case 'offers':
      case 'job_postings':
        if (row.parent) this.#touchLive(row.parent, nowMs)
    }
    switch (row.model) {
      case 'candidates':
      case 'applications':
      case 'screening_questions':
      case 'roles':
        for (const each of row.dependents ?? []) if (each.model !== 'notes') this.#touchLive(each, nowMs)
    }
  }

  #touchLive(row: Row, nowMs: number): void {
    if (row.deletedAtMs === null) this.#touch(row, nowMs)
  }

  #touch(row: Row, nowMs: number): void {
    this.#indexes[row.model].touch(row, nowMs)
  }
}

const PARENT_MODEL: Readonly<Partial<Record<Model, Model>>> = {
  job_postings: 'jobs',
  applications: 'candidates',
  interviews: 'applications',
  offers: 'applications',
  notes: 'candidates',
}

interface Deletion {
  readonly row: Row
  readonly deletedAtMs: number
}

function byModel<T>(make: () => T): Record<Model, T> {
  return Object.fromEntries(MODELS.map((model) => [model, make()])) as Record<Model, T>
}

function refKey(ref: RecordRef): string {
  return `${ref.model}/${ref.id}`
}

/** True when a record's own properties differ; links are not among them. */
function ownChanged(before: Rec, after: Rec): boolean {
  if (before.updatedMs !== after.updatedMs) return true
  if (before instanceof UneditedCandidate && after instanceof UneditedCandidate) return false
  return before.fields !== after.fields && JSON.stringify(before.fields) !== JSON.stringify(after.fields)
}

function addTo(row: Row, dependent: Row): void {
  row.dependents ??= []
  if (!row.dependents.includes(dependent)) row.dependents.push(dependent)
}

function removeFrom(list: Row[] | null | undefined, row: Row): void {
  const at = list?.indexOf(row) ?? -1
  if (list && at >= 0) list.splice(at, 1)
}
