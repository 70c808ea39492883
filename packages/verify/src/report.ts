/** What a check found wrong, with the first place an operator should look at. */
export interface Problem {
  readonly check: CheckName
  readonly topic: string
  readonly partition: number
  /** null when the place is a table, not a topic. */
  readonly offset: number | null
  readonly key: string | null
  readonly message: string
}

export const CHECKS = {
  decodable: 'every change and snapshot can be read with its schema',
  versions: 'versions count 1, 2, 3 … per record, without gap or repetition',
  chain: 'the state before a change is the state after the one before',
  diff: 'the field changes are the difference between before and after',
  events: 'event ids are unique, and name the observation they come from',
  evidence: 'every deletion says how it is known',
  snapshots: 'the last snapshot of a record is the state after its last change',
  projection: 'the tables hold what the changes add up to, and every version before',
} as const

export type CheckName = keyof typeof CHECKS

export interface Report {
  readonly ok: boolean
  /** At most {@link PROBLEMS_MAX}, the earliest found of each topic partition first. */
  readonly problems: readonly Problem[]
  readonly problemsTotal: number
  readonly changes: number
  readonly snapshots: number
  readonly records: number
  readonly rows: number
  /** Superseded versions that were compared with their rows. */
  readonly superseded: number
  /** Checks that were not made, and why. */
  readonly skipped: readonly { readonly check: CheckName; readonly reason: string }[]
}

export const PROBLEMS_MAX = 50

/** Collects problems within a bound; counts all. */
export class Findings {
  readonly problems: Problem[] = []
  total = 0

  add(problem: Problem): void {
    this.total++
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem)
  }
}
