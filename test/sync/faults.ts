import { type ErrorCode, type Random, TidemarkError } from '@tidemark/base'
import type { StreamName } from './traits.ts'

/** What is wrong with the provider at the moment, for one integration. */
export class Conditions {
  /** The credentials are refused before this time. */
  refusedUntilMs = 0
  /** The provider's own first sync is not finished before this time. */
  notReadyUntilMs = 0
  /** Listings that show a tenth of what there is, as if that were all. */
  readonly shrunk = new Set<StreamName>()

  /** Throws what a request is refused with at this time. */
  requireAnswer(nowMs: number): void {
    if (nowMs < this.refusedUntilMs) throw failure('PROVIDER_AUTHENTICATION')
    if (nowMs < this.notReadyUntilMs) throw failure('PROVIDER_NOT_READY')
  }

  clear(): void {
    this.refusedUntilMs = 0
    this.notReadyUntilMs = 0
    this.shrunk.clear()
  }
}

export const failure = (code: ErrorCode): TidemarkError => new TidemarkError(code, 'as the test has it')

/** What goes wrong with one fetch, and at which of its pages. */
export interface Mishap {
  readonly kind:
    | 'none'
    | 'failure'
    | 'hang'
    | 'endless'
    | 'unreadable'
    | 'unreadable, who knows which'
    | 'incomplete'
    | 'not offered'
  readonly page: number
  readonly code: ErrorCode
}

const NONE: Mishap = { kind: 'none', page: 0, code: 'INTERNAL' }

/** Retryable and not. */
const CODES = ['PROVIDER_UNAVAILABLE', 'PROVIDER_ANSWER_INVALID', 'PROVIDER_REFUSED'] as const

type Shares = readonly (readonly [Mishap['kind'], number])[]

/** Thousandths of all fetches of what has changed. */
const OF_CHANGES: Shares = [
  ['failure', 80],
  ['hang', 10],
  ['endless', 10],
  ['unreadable', 20],
]

/** Thousandths of all complete fetches, in which it matters most what they do not show. */
const OF_ALL: Shares = [
  ['failure', 50],
  ['hang', 15],
  ['endless', 20],
  ['unreadable', 60],
  ['unreadable, who knows which', 50],
  ['incomplete', 40],
  ['not offered', 10],
]

/** Draws the fate of a fetch. */
export function drawMishap(random: Random, isFull: boolean): Mishap {
  let rest = random.int(1000)
  for (const [kind, share] of isFull ? OF_ALL : OF_CHANGES) {
    if (rest < share) return { kind, page: random.int(3), code: random.pick(CODES) }
    rest -= share
  }
  return NONE
}
