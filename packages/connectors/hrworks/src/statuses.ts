/**
 * What the statuses of job applications mean. HR WORKS publishes no list of them: every key here is inferred, a
 * tenant's own are added by configuration, and what is unknown is PENDING, last in the order, and reported.
 */
export const OUTCOMES = ['PENDING', 'HIRED', 'DECLINED'] as const

export type Outcome = (typeof OUTCOMES)[number]

/** Inferred order of the hiring process. */
const ORDER = ['new', 'inProgress', 'shortlisted', 'interview', 'offer', 'hired', 'rejected', 'withdrawn', 'talentPool']

/** Inferred meanings; those that are not named are PENDING. */
const ENDED: Readonly<Record<string, Outcome>> = { hired: 'HIRED', rejected: 'DECLINED', withdrawn: 'DECLINED' }

export interface Statuses {
  /** Outcome of a status identifier; `isKnown` false: nobody said, PENDING is assumed. */
  outcomeOf(identifier: string): { readonly outcome: Outcome; readonly isKnown: boolean }
  /**
   * Position in the hiring process; all that the order does not name come last, so that a newly seen one moves no
   * other.
   */
  indexOf(identifier: string): number
}

const keyOf = (identifier: string): string => identifier.trim().toLowerCase()

/** The statuses of a tenant: the inferred ones with what its configuration says. */
export function createStatuses(own: {
  readonly statusOrder: readonly string[] | null
  readonly statusOutcomes: Readonly<Record<string, Outcome>>
}): Statuses {
  const order = (own.statusOrder ?? ORDER).map(keyOf)
  const inferred: [string, Outcome][] = ORDER.map((identifier) => [keyOf(identifier), ENDED[identifier] ?? 'PENDING'])
  const configured = Object.entries(own.statusOutcomes).map(([identifier, outcome]): [string, Outcome] => [
    keyOf(identifier),
    outcome,
  ])
  const outcomes = new Map([...inferred, ...configured])
  const indices = new Map(order.map((identifier, index) => [identifier, index]))
  return {
    outcomeOf: (identifier) => {
      const outcome = outcomes.get(keyOf(identifier))
      return { outcome: outcome ?? 'PENDING', isKnown: outcome !== undefined }
    },
    indexOf: (identifier) => indices.get(keyOf(identifier)) ?? order.length,
  }
}
