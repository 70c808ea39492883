import { TidemarkError } from '@tidemark/base'
import { komboId } from './ids.ts'
import { UneditedCandidate } from './profile.ts'
import { Table } from './table.ts'
import { type Tool, toolOf } from './tools.ts'
import type { FieldsOf, Links, Model, Mutation, MutationKind, Rec, RecordRef, TeamMember } from './types.ts'
import { MODELS } from './types.ts'

/** The field of a child record that names its parent. */
export const PARENTS: Readonly<Partial<Record<Model, { readonly model: Model; readonly field: string }>>> = {
  job_postings: { model: 'jobs', field: 'job_id' },
  applications: { model: 'candidates', field: 'candidate_id' },
  interviews: { model: 'applications', field: 'application_id' },
  offers: { model: 'applications', field: 'application_id' },
  notes: { model: 'candidates', field: 'candidate_id' },
}

/** The links that may lead to a record of a model. */
const LINKS_TO: Readonly<Partial<Record<Model, readonly { readonly from: Model; readonly key: keyof Links }[]>>> = {
  tags: [{ from: 'candidates', key: 'tags' }],
  application_stages: [{ from: 'jobs', key: 'stages' }],
  screening_questions: [{ from: 'jobs', key: 'questions' }],
  roles: [{ from: 'users', key: 'roles' }],
  users: [
    { from: 'jobs', key: 'team' },
    { from: 'interviews', key: 'users' },
  ],
}

/** Deleted records kept for {@link Draft.restore}. */
const GRAVEYARD_MAX = 1000

type Tables = { readonly [M in Model]: Table<M> }
type Listener = (mutation: Mutation) => void

/** What a mutation may do to a company. Every call is noted in the mutation. */
export interface Draft {
  readonly nowMs: number
  insert<M extends Model>(model: M, fields: FieldsOf[M], links?: Links): Rec<M>
  /** Returns false, and notes nothing, when the patch changes nothing. */
  edit<M extends Model>(model: M, id: string, patch: Partial<FieldsOf[M]>): boolean
  /** Returns false, and notes nothing, when the links stay equal. */
  link(model: Model, id: string, links: Links): boolean
  /** Removes a record and its children (postings, applications, interviews, offers, notes). */
  remove(model: Model, id: string): void
  /** Brings back a record that was removed lately. */
  restore(model: Model, id: string): void
}

/** One customer's ATS account: the records as they are now, and the ways to change them. */
export class Company {
  readonly integrationId: string
  readonly tool: Tool
  readonly seed: number
  readonly host: string
  readonly tables: Tables
  readonly #children = new Map<Model, Map<string, string[]>>()
  readonly #counters = new Map<Model, number>()
  readonly #graveyard = new Map<string, Rec>()
  readonly #now: () => number
  readonly #listener: Listener

  constructor(integrationId: string, seed: number, now: () => number, listener: Listener) {
    this.integrationId = integrationId
    this.tool = toolOf(integrationId)
    this.seed = seed
    this.host = `app.${this.tool.slug}.example.com`
    this.tables = Object.fromEntries(MODELS.map((model) => [model, new Table<Model>()])) as unknown as Tables
    this.#now = now
    this.#listener = listener
  }

  get nowMs(): number {
    return this.#now()
  }

  /** The table of a model whose name is only known at run time. */
  table(model: Model): Table<Model> {
    return this.tables[model] as unknown as Table<Model>
  }

  /** Ids of the children of one model under a parent. */
  children(model: Model, parentId: string): readonly string[] {
    return this.#children.get(model)?.get(parentId) ?? []
  }

  /** Finds a record by Kombo id or remote id; throws RECORD_INVALID when the company has none. */
  find<M extends Model>(model: M, idOrRemoteId: string): Rec<M> {
    const table = this.tables[model] as Table<M>
    const rec = table.get(idOrRemoteId) ?? table.get(komboId(this.integrationId, idOrRemoteId))
    if (rec) return rec
    throw new TidemarkError(
      'RECORD_INVALID',
      `the ATS behind ${this.integrationId} has no record ${idOrRemoteId} in ${model}; give the Kombo id or remote id of one it has`,
    )
  }

  /** The remote number that the next record of a model will get. */
  upcomingNumber(model: Model): number {
    return (this.#counters.get(model) ?? 0) + 1
  }

  /** Next free remote number of a model. */
  nextNumber(model: Model): number {
    const next = (this.#counters.get(model) ?? 0) + 1
    this.#counters.set(model, next)
    return next
  }

  /** Adds a record without telling anyone; for the initial population. */
  seedRecord<M extends Model>(model: M, fields: FieldsOf[M], links: Links, createdMs: number): Rec<M> {
    const remoteId = String(this.nextNumber(model))
    const id = komboId(this.integrationId, remoteId)
    const rec: Rec<M> = { id, remoteId, fields, links, createdMs, updatedMs: createdMs }
    this.#put(model, rec)
    return rec
  }

  /** Adds an unedited candidate without telling anyone; for the initial population. */
  seedCandidate(links: Links, createdMs: number): Rec<'candidates'> {
    const number = this.nextNumber('candidates')
    const rec = new UneditedCandidate(this, komboId(this.integrationId, String(number)), number, links, createdMs)
    this.#put('candidates', rec)
    return rec
  }

  /**
   * Runs one mutation and announces it. Returns null, and announces nothing, when it changed nothing.
   * `announced` false means that the ATS pushes no event and reports it in no delta.
   */
  mutate(
    kind: MutationKind,
    text: string | (() => string),
    body: (draft: Draft) => void,
    announced = true,
  ): Mutation | null {
    const draft = new CompanyDraft(this, this.#now())
    body(draft)
    if (draft.changed.size === 0 && draft.deleted.size === 0) return null
    const mutation: Mutation = {
      integrationId: this.integrationId,
      kind,
      atMs: draft.nowMs,
      changed: [...draft.changed.values()],
      deleted: [...draft.deleted.values()],
      text: typeof text === 'string' ? text : text(),
      announced,
    }
    this.#listener(mutation)
    return mutation
  }

  /** Replaces a record; used by drafts. */
  replace<M extends Model>(model: M, before: Rec<M> | undefined, after: Rec<M>): void {
    if (before && parentId(model, before) === parentId(model, after)) {
      ;(this.tables[model] as Table<M>).put(after)
      return
    }
    if (before) this.#unlinkChild(model, before)
    this.#put(model, after)
  }

  /** Takes a record out; used by drafts. */
  bury(model: Model, rec: Rec): void {
    this.#unlinkChild(model, rec)
    this.table(model).delete(rec.id)
    this.#graveyard.set(`${model}/${rec.id}`, rec)
    if (this.#graveyard.size > GRAVEYARD_MAX) {
      const [oldest] = this.#graveyard.keys()
      this.#graveyard.delete(oldest as string)
    }
  }

  /** Takes a record back from the deleted ones; used by drafts. */
  exhume(model: Model, id: string): Rec | undefined {
    const key = `${model}/${id}`
    const rec = this.#graveyard.get(key)
    this.#graveyard.delete(key)
    return rec
  }

  #put<M extends Model>(model: M, rec: Rec<M>): void {
    ;(this.tables[model] as Table<M>).put(rec)
    const parent = parentId(model, rec)
    if (parent === null) return
    let byParent = this.#children.get(model)
    if (!byParent) {
      byParent = new Map()
      this.#children.set(model, byParent)
    }
    const list = byParent.get(parent)
    if (list) list.push(rec.id)
    else byParent.set(parent, [rec.id])
  }

  #unlinkChild(model: Model, rec: Rec): void {
    const parent = parentId(model, rec)
    if (parent === null) return
    const list = this.#children.get(model)?.get(parent)
    const at = list?.indexOf(rec.id) ?? -1
    if (list && at >= 0) list.splice(at, 1)
  }
}

/** Id of a record's parent, or null for models without one. */
export function parentId(model: Model, rec: Rec): string | null {
  const parent = PARENTS[model]
  return parent ? ((rec.fields as unknown as Record<string, string>)[parent.field] as string) : null
}

class CompanyDraft implements Draft {
  readonly nowMs: number
  readonly changed = new Map<string, RecordRef>()
  readonly deleted = new Map<string, RecordRef>()
  readonly #company: Company

  constructor(company: Company, nowMs: number) {
    this.#company = company
    this.nowMs = nowMs
  }

  insert<M extends Model>(model: M, fields: FieldsOf[M], links: Links = {}): Rec<M> {
    const rec = this.#company.seedRecord(model, fields, links, this.nowMs)
    this.#note(model, rec.id)
    return rec
  }

  edit<M extends Model>(model: M, id: string, patch: Partial<FieldsOf[M]>): boolean {
    const before = this.#company.find(model, id)
    const old = before.fields as unknown as Record<string, unknown>
    const next = Object.entries(patch).filter(([key, value]) => JSON.stringify(old[key]) !== JSON.stringify(value))
    if (next.length === 0) return false
    const fields = { ...before.fields, ...Object.fromEntries(next) } as FieldsOf[M]
    this.#company.replace(model, before, { ...plain(before), fields, updatedMs: this.nowMs })
    this.#note(model, before.id)
    return true
  }

  link(model: Model, id: string, links: Links): boolean {
    const before = this.#company.find(model, id)
    const merged = { ...before.links, ...links }
    if (JSON.stringify(merged) === JSON.stringify(before.links)) return false
    const after =
      before instanceof UneditedCandidate
        ? (before.withLinks(merged) as unknown as Rec)
        : { ...plain(before), links: merged }
    this.#company.replace(model, before, after)
    this.#note(model, before.id)
    return true
  }

  remove(model: Model, id: string): void {
    const rec = this.#company.find(model, id)
    for (const [child, parent] of Object.entries(PARENTS) as [Model, { model: Model }][]) {
      if (parent.model !== model) continue
      for (const childId of [...this.#company.children(child, rec.id)]) this.remove(child, childId)
    }
    this.#unlink(model, rec.id)
    this.#company.bury(model, rec)
    this.changed.delete(`${model}/${rec.id}`)
    this.deleted.set(`${model}/${rec.id}`, { model, id: rec.id })
  }

  restore(model: Model, id: string): void {
    const rec = this.#company.exhume(model, id)
    if (!rec) {
      throw new TidemarkError(
        'RECORD_INVALID',
        `${model} ${id} is not among the last ${GRAVEYARD_MAX} records deleted from ${this.#company.integrationId}; only those can be restored`,
      )
    }
    this.#company.replace(model, undefined, rec)
    this.#note(model, id)
  }

  /** Takes a record that is about to go out of every list of links. */
  #unlink(model: Model, id: string): void {
    for (const { from, key } of LINKS_TO[model] ?? []) {
      for (const rec of [...this.#company.table(from).values()]) {
        const list = (rec.links[key] ?? []) as readonly (string | TeamMember)[]
        const rest = list.filter((entry) => (typeof entry === 'string' ? entry : entry.user) !== id)
        if (rest.length < list.length) this.link(from, rec.id, { [key]: rest })
      }
    }
  }

  #note(model: Model, id: string): void {
    this.changed.set(`${model}/${id}`, { model, id })
    this.deleted.delete(`${model}/${id}`)
  }
}

/** A record as a plain object, whatever class holds it. */
function plain<M extends Model>(rec: Rec<M>): Rec<M> {
  const { id, remoteId, fields, links, createdMs, updatedMs } = rec
  return { id, remoteId, fields, links, createdMs, updatedMs }
}
