import { type Random, seededRandom, TidemarkError } from '@tidemark/base'
import { Company } from './company.ts'
import { base58Id } from './ids.ts'
import { act } from './life.ts'
import { Mutations } from './mutations.ts'
import { type CompanySizes, populate } from './population.ts'
import { TOOLS } from './tools.ts'
import type { Mutation } from './types.ts'

/** More acts than this never happen in one tick, however long nobody ticked. */
const ACTS_PER_TICK_MAX = 10_000

/** More acts than this are never made up for; about four days at 40 a minute. */
const ACTS_PER_REPLAY_MAX = 250_000

export interface WorldOptions {
  /** The same seed, times and calls give the same world. */
  readonly seed: number
  /** Current time in ms; read when something happens. */
  readonly now: () => number
  /** Told of every mutation, synchronously. */
  readonly onMutation: (mutation: Mutation) => void
}

/**
 * The companies behind the integrations, and everything that happens in them. Pure: its only inputs are the seed, the time and the
 * calls. The inherited methods ({@link Mutations}) force one thing to happen.
 */
export class World extends Mutations {
  readonly random: Random
  /** Acts per simulated minute over all companies, for {@link tick}. */
  actionsPerMinute = 0
  readonly #companies = new Map<string, Company>()
  readonly #options: WorldOptions
  #nextActMs: number | null = null
  /** While an act that was due at some time happens: that time. */
  #actMs: number | null = null
  #founded = 0

  constructor(options: WorldOptions) {
    super()
    this.#options = options
    this.random = seededRandom(options.seed)
  }

  get integrationIds(): readonly string[] {
    return [...this.#companies.keys()]
  }

  /** The company behind an integration; throws RECORD_INVALID when there is none. */
  company(integrationId: string): Company {
    const company = this.#companies.get(integrationId)
    if (company) return company
    const known = this.integrationIds.join(', ') || 'none'
    throw new TidemarkError('RECORD_INVALID', `no integration ${integrationId} in the sandbox; it has: ${known}`)
  }

  /** Founds a company with its initial population. Without an id, one is derived from the seed and the order of founding. */
  found(sizes: CompanySizes, tool = 'greenhouse', integrationId?: string, foundedMs = this.#options.now()): Company {
    const number = this.#founded++
    const id = integrationId ?? `${tool}:${base58Id(`integration|${this.#options.seed}|${number}`)}`
    if (this.#companies.has(id)) throw new TidemarkError('CONFIG_INVALID', `integration ${id} exists already`)
    const company = new Company(
      id,
      (this.#options.seed + number) >>> 0,
      () => this.#actMs ?? this.#options.now(),
      this.#options.onMutation,
    )
    populate(company, sizes, foundedMs)
    this.#companies.set(id, company)
    return company
  }

  /** Closes a company; its records are forgotten. */
  dissolve(integrationId: string): void {
    this.#companies.delete(this.company(integrationId).integrationId)
  }

  /** Makes one thing happen, somewhere. Bigger companies are busier. */
  act(integrationId?: string): void {
    const companies = integrationId === undefined ? [...this.#companies.values()] : [this.company(integrationId)]
    const weight = (company: Company): number => 1 + company.tables.candidates.size
    let at = this.random.next() * companies.reduce((sum, company) => sum + weight(company), 0)
    for (const company of companies) {
      at -= weight(company)
      if (at >= 0) continue
      act(company, this, this.random)
      return
    }
  }

  /**
   * Makes happen what is due until `nowMs` at {@link actionsPerMinute}, with exponentially distributed pauses. Returns when the next act
   * is due, or null while the rate is 0. An act happens at the time when it was due, so that how often someone ticks makes no difference.
   */
  tick(nowMs: number): number | null {
    if (this.actionsPerMinute <= 0) {
      this.#nextActMs = null
      return null
    }
    this.#nextActMs ??= nowMs + this.#pauseMs()
    return this.#live(nowMs, this.#nextActMs, ACTS_PER_TICK_MAX)
  }

  /** Makes happen all at once what would have happened from `fromMs` to `nowMs`, up to 250,000 acts; a later tick goes on from there. */
  replay(fromMs: number, nowMs: number): void {
    if (this.actionsPerMinute > 0) this.#live(nowMs, fromMs + this.#pauseMs(), ACTS_PER_REPLAY_MAX)
  }

  #live(nowMs: number, firstMs: number, actsMax: number): number {
    let nextMs = firstMs
    for (let i = 0; i < actsMax && nextMs <= nowMs; i++) {
      this.#actMs = Math.floor(nextMs)
      nextMs += this.#pauseMs()
      this.act()
    }
    this.#actMs = null
    if (nextMs <= nowMs) nextMs = nowMs + this.#pauseMs()
    this.#nextActMs = nextMs
    return Math.ceil(nextMs)
  }

  #pauseMs(): number {
    return (-Math.log(1 - this.random.next()) * 60_000) / this.actionsPerMinute
  }
}

/** Slugs of the tools that the sandbox knows, for round-robin use. */
export const TOOL_SLUGS: readonly string[] = TOOLS.map((tool) => tool.slug)
