import type { Random } from '@tidemark/base'
import type { ProxiedRequest, Verdict } from './proxy.ts'

/** Requests that are cut, by their api keys. */
export const CUT_KEYS = new Map([
  [0, 'Produce'],
  [10, 'FindCoordinator'],
  [22, 'InitProducerId'],
  [24, 'AddPartitionsToTxn'],
  [25, 'AddOffsetsToTxn'],
  [26, 'EndTxn'],
  [28, 'TxnOffsetCommit'],
])

export const CUT_KINDS = ['before', 'after', 'late'] as const
export type CutKind = (typeof CUT_KINDS)[number]

export interface CutPlan {
  readonly random: Random
  /** How many connections are cut at most. */
  readonly cutsMax: number
  /** Requests let through at least between two cuts. */
  readonly calm: number
  /** Which cuts; default all of {@link CUT_KEYS} and {@link CUT_KINDS}. */
  readonly only?: (apiKey: number, kind: CutKind) => boolean
}

export interface Cuts {
  readonly total: number
  /** Brokers that were sent a Produce. */
  readonly leaders: ReadonlySet<number>
  /** By request, and what was done to it. */
  table(): Readonly<Record<string, Readonly<Record<CutKind, number>>>>
  stop(): void
  onRequest(request: ProxiedRequest): Verdict
}

/**
 * Cuts at random, and each kind about as often: of the kinds that a request can suffer, those are chosen that came up least, and a request
 * of which all kinds came up more often than others' is mostly let through.
 */
export function randomCuts({ random, cutsMax, calm, only = () => true }: CutPlan): Cuts {
  const counts = new Map<string, number>()
  const leaders = new Set<number>()
  const nameOf = (apiKey: number, kind: CutKind): string => `${apiKey} ${kind}`
  const countOf = (apiKey: number, kind: CutKind): number => counts.get(nameOf(apiKey, kind)) ?? 0
  const all = [...CUT_KEYS.keys()].flatMap((apiKey) =>
    CUT_KINDS.filter((kind) => only(apiKey, kind)).map((kind) => ({ apiKey, kind })),
  )
  let total = 0
  let passed = 0
  let stopped = false
  return {
    get total() {
      return total
    },
    leaders,
    table: () =>
      Object.fromEntries(
        [...CUT_KEYS].map(([apiKey, name]) => [
          name,
          Object.fromEntries(CUT_KINDS.map((kind) => [kind, countOf(apiKey, kind)])) as Record<CutKind, number>,
        ]),
      ),
    stop() {
      stopped = true
    },
    onRequest({ apiKey, broker }) {
      if (apiKey === 0) leaders.add(broker)
      if (!CUT_KEYS.has(apiKey) || stopped || total >= cutsMax || passed++ < calm) return 'pass'
      const fewest = Math.min(...all.map((one) => countOf(one.apiKey, one.kind)))
      const kinds = all.filter((one) => one.apiKey === apiKey)
      if (kinds.length === 0) return 'pass'
      const least = Math.min(...kinds.map(({ kind }) => countOf(apiKey, kind)))
      if (!random.chance(least === fewest ? 0.15 : 0.02)) return 'pass'
      const { kind } = random.pick(kinds.filter((one) => countOf(apiKey, one.kind) === least))
      counts.set(nameOf(apiKey, kind), least + 1)
      total++
      passed = 0
      return kind
    },
  }
}
