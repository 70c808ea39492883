import type { SqlValue } from '@tidemark/store'

/** Collects conditions and their parameters. */
export interface Where {
  /** Placeholder of a new parameter. */
  param(value: SqlValue): string
  and(condition: string): void
  readonly text: string
  readonly params: readonly SqlValue[]
}

export function createWhere(): Where {
  const params: SqlValue[] = []
  const conditions: string[] = []
  return {
    param: (value) => `$${params.push(value)}`,
    and: (condition) => {
      conditions.push(condition)
    },
    get text() {
      return conditions.length === 0 ? 'true' : conditions.map((condition) => `(${condition})`).join(' and ')
    },
    params,
  }
}
