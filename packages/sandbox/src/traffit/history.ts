import type { Company } from '../world/company.ts'
import type { Mutation, Rec } from '../world/types.ts'
import { stateIdOf } from './workflows.ts'

/** A stay of a candidate in a state of a job. */
export interface Stay {
  readonly id: number
  readonly employeeId: number
  readonly recruitmentId: number
  readonly stateId: number
  readonly beganMs: number
  readonly endedMs: number | null
  readonly updatedMs: number
}

/** A candidate in a job. */
export interface Pair {
  readonly employeeId: number
  readonly recruitmentId: number
}

/** Stays of one application that are kept; of more, the oldest are forgotten. */
const STAYS_MAX = 20
/** Stays that are kept of applications that were removed. */
const SURVIVORS_MAX = 1000

/**
 * The history of all applications, which the world does not keep: each has its state, and here also the states that it was in. It also knows the
 * native ids of what was deleted.
 */
export class History {
  readonly #company: Company
  readonly #survives: boolean
  /** By id, which is also their order. */
  readonly #stays = new Map<number, Stay>()
  readonly #ofApplication = new Map<string, number[]>()
  readonly #pairs = new Map<string, Pair>()
  readonly #survivors: number[] = []
  #next = 1

  constructor(company: Company, survives: boolean) {
    this.#company = company
    this.#survives = survives
    const applications = [...company.tables.applications.values()].sort((a, b) => a.createdMs - b.createdMs)
    for (const application of applications) this.#found(application)
  }

  stays(): readonly Stay[] {
    return [...this.#stays.values()]
  }

  /** The pair of an application, also of one that was deleted by the mutation at hand. */
  pairOf(applicationId: string): Pair | undefined {
    return this.#pairs.get(applicationId)
  }

  /** Takes note of what happened; before that, {@link pairOf} still knows what it deleted. */
  apply({ changed, deleted, atMs }: Mutation): void {
    const isGone = new Set(deleted.filter(({ model }) => model === 'candidates').map(({ id }) => id))
    for (const { model, id } of changed) {
      const application = model === 'applications' ? this.#company.tables.applications.get(id) : undefined
      if (application) this.#move(application, atMs)
    }
    for (const { model, id } of deleted) if (model === 'applications') this.#remove(id, atMs, isGone.size > 0)
  }

  /** Beginning and present of an application that is there from the start. */
  #found(application: Rec<'applications'>): void {
    const pair = this.#pair(application)
    if (!pair) return
    const stateId = stateIdOf(this.#company, application)
    const firstId = stateIdOf(this.#company, application, 'first')
    const movedMs = application.createdMs + 3_600_000
    const beganMs = application.createdMs
    if (stateId === firstId) {
      this.#add(application.id, { ...pair, stateId, beganMs })
      return
    }
    this.#add(application.id, { ...pair, stateId: firstId, beganMs }, movedMs)
    this.#add(application.id, { ...pair, stateId, beganMs: movedMs })
  }

  #move(application: Rec<'applications'>, atMs: number): void {
    const pair = this.#pair(application)
    if (!pair) return
    const ids = this.#ofApplication.get(application.id) ?? []
    const stateId = stateIdOf(this.#company, application)
    const last = this.#stays.get(ids.at(-1) ?? 0)
    // A merge moves the whole history to the candidate that is kept.
    if (last && last.employeeId !== pair.employeeId)
      for (const id of ids) this.#edit(id, { employeeId: pair.employeeId, updatedMs: atMs })
    if (last?.stateId === stateId) return
    if (last) this.#edit(last.id, { endedMs: atMs, updatedMs: atMs })
    this.#add(application.id, { ...pair, stateId, beganMs: atMs })
  }

  #remove(applicationId: string, atMs: number, withCandidate: boolean): void {
    const ids = this.#ofApplication.get(applicationId) ?? []
    this.#ofApplication.delete(applicationId)
    this.#pairs.delete(applicationId)
    for (const id of ids) {
      if (!this.#survives || withCandidate) {
        this.#stays.delete(id)
        continue
      }
      if (this.#stays.get(id)?.endedMs === null) this.#edit(id, { endedMs: atMs, updatedMs: atMs })
      this.#survivors.push(id)
    }
    while (this.#survivors.length > SURVIVORS_MAX) this.#stays.delete(this.#survivors.shift() as number)
  }

  #add(applicationId: string, stay: Omit<Stay, 'id' | 'endedMs' | 'updatedMs'>, endedMs: number | null = null): void {
    const id = this.#next++
    this.#stays.set(id, { ...stay, id, endedMs, updatedMs: endedMs ?? stay.beganMs })
    const ids = [...(this.#ofApplication.get(applicationId) ?? []), id]
    if (ids.length > STAYS_MAX) this.#stays.delete(ids.shift() as number)
    this.#ofApplication.set(applicationId, ids)
  }

  #edit(id: number, patch: Partial<Stay>): void {
    const stay = this.#stays.get(id)
    if (stay) this.#stays.set(id, { ...stay, ...patch })
  }

  #pair(application: Rec<'applications'>): Pair | null {
    const { candidates, jobs } = this.#company.tables
    const candidate = candidates.get(application.fields.candidate_id)
    const job = jobs.get(application.fields.job_id)
    if (!candidate || !job) return null
    const pair = { employeeId: Number(candidate.remoteId), recruitmentId: Number(job.remoteId) }
    this.#pairs.set(application.id, pair)
    return pair
  }
}
