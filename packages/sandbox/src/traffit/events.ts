/** What happens in the world as TRAFFIT's webhooks tell it: little, and not everything. */
import type { Company } from '../world/company.ts'
import type { JsonObject, Model, Mutation, MutationKind } from '../world/types.ts'
import type { History } from './history.ts'
import { timeText } from './native.ts'
import { stateIdOf, stateRef } from './workflows.ts'

/** The twelve events. */
export const EVENT_TYPES = [
  'candidate_created',
  'candidate_deleted',
  'candidate_soft_deleted',
  'candidate_merged',
  'candidate_applied',
  'candidate_added_to_job',
  'candidate_moved_in_job',
  'candidate_hired',
  'candidate_removed_from_job',
  'job_created',
  'job_updated',
  'job_deleted',
] as const

export type EventType = (typeof EVENT_TYPES)[number]

export interface Event {
  readonly type: EventType
  readonly payload: JsonObject
}

/** Native ids of candidates and jobs by their ids in the world, kept so that those of deleted ones are known. */
export class Directory {
  readonly #company: Company
  readonly #numbers = new Map<string, number>()

  constructor(company: Company) {
    this.#company = company
    for (const model of ['candidates', 'jobs'] as const)
      for (const rec of company.tables[model].values()) this.#numbers.set(`${model}/${rec.id}`, Number(rec.remoteId))
  }

  numberOf(model: Model, id: string): number | undefined {
    const rec = this.#company.table(model).get(id)
    return rec ? Number(rec.remoteId) : this.#numbers.get(`${model}/${id}`)
  }

  /** Takes note of what is new and forgets what is gone. */
  apply({ changed, deleted }: Mutation): void {
    for (const { model, id } of changed) {
      const number = model === 'candidates' || model === 'jobs' ? this.numberOf(model, id) : undefined
      if (number !== undefined) this.#numbers.set(`${model}/${id}`, number)
    }
    for (const { model, id } of deleted) this.#numbers.delete(`${model}/${id}`)
  }
}

interface World {
  readonly company: Company
  readonly directory: Directory
  readonly history: History
}

/** The event of each kind of mutation that TRAFFIT tells, and the model that it is about. */
const KINDS: Readonly<Partial<Record<MutationKind, readonly [Model, EventType]>>> = {
  candidate_created: ['candidates', 'candidate_created'],
  candidate_deleted: ['candidates', 'candidate_deleted'],
  candidate_anonymized: ['candidates', 'candidate_soft_deleted'],
  application_created: ['applications', 'candidate_applied'],
  application_moved: ['applications', 'candidate_moved_in_job'],
  application_rejected: ['applications', 'candidate_moved_in_job'],
  application_withdrawn: ['applications', 'candidate_moved_in_job'],
  application_hired: ['applications', 'candidate_hired'],
  application_deleted: ['applications', 'candidate_removed_from_job'],
  job_created: ['jobs', 'job_created'],
  job_opened: ['jobs', 'job_created'],
  job_edited: ['jobs', 'job_updated'],
  job_closed: ['jobs', 'job_deleted'],
  job_deleted: ['jobs', 'job_deleted'],
}

const DELETED: Readonly<Partial<Record<Model, EventType>>> = {
  candidates: 'candidate_deleted',
  applications: 'candidate_removed_from_job',
  jobs: 'job_deleted',
}

/** The events of a mutation; call it before {@link Directory.apply} and {@link History.apply}. */
export function eventsOf(world: World, mutation: Mutation): Event[] {
  if (!mutation.announced) return []
  if (mutation.kind === 'candidate_merged') return merged(world, mutation)
  const known = KINDS[mutation.kind]
  if (known) return told(world, mutation, ...known)
  if (mutation.kind !== 'record_deleted') return []
  // The first of what is deleted is a child of what was to be deleted, which comes last.
  const root = mutation.deleted.at(-1)
  const type = root && DELETED[root.model]
  return root && type ? told(world, { ...mutation, changed: [], deleted: [root] }, root.model, type) : []
}

function merged({ directory }: World, { changed, deleted, atMs }: Mutation): Event[] {
  const gone = deleted.find(({ model }) => model === 'candidates')
  const kept = changed.find(({ model }) => model === 'candidates')
  const ids = [kept, gone].map((ref) => (ref ? directory.numberOf('candidates', ref.id) : undefined))
  const [keptId, goneId] = ids
  if (keptId === undefined || goneId === undefined) return []
  const payload = { type: 'candidate_merged', employee: { id: keptId }, merged_employee: { id: goneId } }
  return [{ type: 'candidate_merged', payload: { ...payload, date: timeText(atMs) } }]
}

function told(world: World, { changed, deleted, atMs }: Mutation, model: Model, type: EventType): Event[] {
  return [...changed, ...deleted].flatMap((ref) => {
    const subject = ref.model === model ? subjectOf(world, model, ref.id) : null
    if (subject === null) return []
    return [{ type, payload: { type, ...subject, date: timeText(atMs) } }]
  })
}

function subjectOf({ company, directory, history }: World, model: Model, id: string): JsonObject | null {
  if (model !== 'applications') {
    const number = directory.numberOf(model, id)
    return number === undefined ? null : { [model === 'jobs' ? 'recruitment' : 'employee']: { id: number } }
  }
  const application = company.tables.applications.get(id)
  const pair = history.pairOf(id) ?? pairOf(company, id)
  if (!pair) return null
  const state = application ? { workflow_state: stateRef(company, stateIdOf(company, application)) } : {}
  return { employee: { id: pair.employeeId }, recruitment: { id: pair.recruitmentId }, ...state }
}

/** The pair of an application that is so new that the history does not know it. */
function pairOf({ tables }: Company, id: string): { employeeId: number; recruitmentId: number } | null {
  const application = tables.applications.get(id)
  const candidate = tables.candidates.get(application?.fields.candidate_id ?? '')
  const job = tables.jobs.get(application?.fields.job_id ?? '')
  return candidate && job ? { employeeId: Number(candidate.remoteId), recruitmentId: Number(job.remoteId) } : null
}
