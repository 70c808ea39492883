import { type Random, seededRandom } from '@tidemark/base'
import type { FetchOptions, Mapped, Page, PointRead, PointReadOptions, PointReads, Source } from '@tidemark/connector'
import { murmur2, type RecordKey } from '@tidemark/model'
import { mapAsked, mapRows } from './answers.ts'
import type { SimClock } from './clock.ts'
import type { Company, Row } from './company.ts'
import { type Conditions, drawMishap, failure, type Mishap } from './faults.ts'
import { pageRows } from './paging.ts'
import { modelsOf, STREAMS, type StreamName } from './traits.ts'
import { readWebhook, SIGNATURE } from './webhooks.ts'

/** One fetch of a listing, as the provider knows it. */
export interface Listing {
  readonly company: Company
  readonly stream: StreamName
  readonly isFull: boolean
  readonly startedAtMs: number
  /** When its last page had been taken; null for one that was cut short. */
  endedAtMs: number | null
  /** Records that were on its pages and could be read. */
  readonly shown: Set<RecordKey>
  /** Records that were on its pages and could not. */
  readonly unread: Set<RecordKey>
  /** It says nothing about what is gone. */
  isBlind: boolean
  readonly isShrunk: boolean
}

export interface ProviderDeps {
  readonly companies: readonly Company[]
  readonly conditions: ReadonlyMap<string, Conditions>
  readonly clock: SimClock
  readonly seed: number
  /** Records on a page. */
  readonly pageSize: number
}

/** Called between two pages: the world goes on meanwhile. */
export type Between = (listing: Pick<Listing, 'company' | 'stream'>, random: Random) => Promise<void>

/** A request that is about to be answered: a page of a listing by its number from 0, or a point read. */
export interface Request extends Pick<Listing, 'company' | 'stream'> {
  readonly page: number | null
}

const ENDLESS_PAGES = 5
const POINT_READ_SIZE = 3

/** A provider in the same process, with the habits of real ones. */
export class Provider implements Source {
  readonly integrations: readonly string[]
  readonly acceptsNewIntegrations = false
  readonly streams = STREAMS
  readonly modelsOf = (stream: string) => modelsOf(stream as StreamName)
  readonly pagingOf: Source['pagingOf']
  readonly pointReads: PointReads
  readonly verifyWebhook: Source['verifyWebhook'] = ({ headers }) => headers['x-signature'] === SIGNATURE
  readonly integrationOf: Source['integrationOf'] = (request) => readWebhook(request).integrationId
  readonly readWebhook = readWebhook
  /** Every fetch, in the order in which they began. */
  readonly listings: Listing[] = []
  /** Requests that wait for ever. */
  hanging = 0
  /** Requests in work that do not. */
  busy = 0
  /** Nothing goes wrong, and nothing changes between pages. */
  isQuiet = false
  between: Between = async () => undefined
  /** Called before each answer, for stories; what it throws is the answer. */
  script: (request: Request) => Promise<void> = async () => undefined
  readonly #deps: ProviderDeps
  readonly #requests = new Map<string, number>()
  readonly #lastComplete = new Map<string, Listing>()

  constructor(deps: ProviderDeps) {
    const { companies } = deps
    const [first] = companies
    if (first === undefined) throw new RangeError('a provider needs an integration')
    this.#deps = deps
    this.integrations = companies.map(({ integration }) => integration)
    this.pagingOf = (stream) => first.traits[stream as StreamName].paging
    const models = new Set(STREAMS.filter((stream) => first.traits[stream].hasPointReads))
    this.pointReads = { models, read: (options) => this.#pointRead(options) }
  }

  async *fetch(options: FetchOptions): AsyncGenerator<Page> {
    const random = this.#randomOf(options.integrationId, options.stream)
    const listing = this.#begin(options)
    const mishap = drawMishap(random, listing.isFull)
    this.busy++
    try {
      yield* this.#pages(listing, options, random, this.isQuiet ? { ...mishap, kind: 'none' } : mishap)
      listing.endedAtMs = this.#deps.clock.now()
      if (listing.isFull) this.#lastComplete.set(nameOf(listing), listing)
    } finally {
      this.busy--
    }
  }

  /** The complete fetch of a stream that was the first to begin since a time: of a sweep's beginning its listing. */
  listingSince(company: Company, stream: string, sinceMs: number): Listing | undefined {
    const isIt = (listing: Listing): boolean =>
      listing.company === company && listing.stream === stream && listing.isFull && listing.startedAtMs >= sinceMs
    return this.listings.find(isIt)
  }

  checkAccess: Source['checkAccess'] = async () => []

  async close(): Promise<void> {
    this.between = async () => undefined
  }

  /** Each request has a fate of its own, so that it matters little which of several comes first. */
  #randomOf(integrationId: string, what: string): Random {
    const name = `${integrationId} ${what}`
    const number = (this.#requests.get(name) ?? 0) + 1
    this.#requests.set(name, number)
    return seededRandom(murmur2(Buffer.from(`${this.#deps.seed} ${name} ${number}`)))
  }

  #company(integrationId: string): Company {
    const company = this.#deps.companies.find(({ integration }) => integration === integrationId)
    if (company === undefined) throw new RangeError(`no integration ${integrationId}`)
    return company
  }

  #conditions({ integration }: Company): Conditions {
    return this.#deps.conditions.get(integration) as Conditions
  }

  #begin({ integrationId, stream, updatedAfterMs }: FetchOptions): Listing {
    const company = this.#company(integrationId)
    const isFull = updatedAfterMs === undefined
    const listing: Listing = {
      ...{ company, stream: stream as StreamName, isFull, startedAtMs: this.#deps.clock.tick(), endedAtMs: null },
      ...{ shown: new Set(), unread: new Set(), isBlind: false },
      isShrunk: isFull && this.#conditions(company).shrunk.has(stream as StreamName),
    }
    this.listings.push(listing)
    return listing
  }

  async *#pages(
    listing: Listing,
    options: FetchOptions,
    random: Random,
    mishap: Mishap,
  ): AsyncGenerator<Page, void, undefined> {
    const { clock, pageSize: size } = this.#deps
    let after: Row | null = null
    for (let number = 0; ; number++) {
      await this.script({ ...listing, page: number })
      const requestedAtMs = clock.tick()
      this.#conditions(listing.company).requireAnswer(requestedAtMs)
      const isDue = number === mishap.page
      if (isDue && mishap.kind === 'failure') throw failure(mishap.code)
      if (isDue && mishap.kind === 'hang') await this.#hang(options.signal)
      if (number === 0 && mishap.kind === 'not offered') {
        listing.isBlind = true
        return yield {
          ...this.#page(listing, requestedAtMs, mapRows(listing, [], null, random), random),
          notOffered: 'not licensed',
        }
      }
      // A cursor that leads back to where it came from.
      if (mishap.kind === 'endless' && number > mishap.page + ENDLESS_PAGES) throw failure('PROVIDER_ANSWER_INVALID')
      const shownNumber = mishap.kind === 'endless' ? Math.min(number, mishap.page) : number
      const previous = this.#lastComplete.get(nameOf(listing))
      const { rows, isLast } = pageRows(listing, options.updatedAfterMs ?? 0, {
        number: shownNumber,
        size,
        after,
        previous,
      })
      after = rows.at(-1) ?? after
      const mapped = mapRows(listing, rows, isDue ? mishap : null, random)
      yield this.#page(listing, requestedAtMs, mapped, random)
      if (isLast && mishap.kind !== 'endless') return
      await this.#goOn(listing, random)
    }
  }

  async *#pointRead({ integrationId, model, remoteKeys }: PointReadOptions): AsyncGenerator<PointRead> {
    const random = this.#randomOf(integrationId, `${model} one by one`)
    const company = this.#company(integrationId)
    const stream = model as StreamName
    const isFailing = !this.isQuiet && random.chance(0.15)
    this.busy++
    try {
      for (let at = 0; at < remoteKeys.length; at += POINT_READ_SIZE) {
        await this.script({ company, stream, page: null })
        const requestedAtMs = this.#deps.clock.tick()
        this.#conditions(company).requireAnswer(requestedAtMs)
        if (isFailing && random.chance(0.5)) throw failure('PROVIDER_UNAVAILABLE')
        const { mapped, absent } = mapAsked(company, stream, remoteKeys.slice(at, at + POINT_READ_SIZE))
        yield { ...this.#page({ stream }, requestedAtMs, mapped, random), absent }
        await this.#goOn({ company, stream }, random)
      }
    } finally {
      this.busy--
    }
  }

  #page({ stream }: Pick<Listing, 'stream'>, requestedAtMs: number, mapped: Mapped, random: Random): Page {
    return {
      ...{
        route: `GET /${stream}`,
        status: 200,
        headers: {},
        body: Buffer.from(JSON.stringify(mapped.records.length)),
      },
      ...{ requestedAtMs, receivedAtMs: this.#deps.clock.tick(1 + random.int(40)), mapped, total: null },
      notOffered: null,
    }
  }

  async #goOn(at: Pick<Listing, 'company' | 'stream'>, random: Random): Promise<void> {
    if (!this.isQuiet) await this.between(at, random)
  }

  /** Until the caller gives up. */
  async #hang(signal: AbortSignal): Promise<never> {
    this.hanging++
    this.busy--
    try {
      await new Promise<void>((resolve) => {
        if (signal.aborted) return resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    } finally {
      this.hanging--
      this.busy++
    }
    throw failure('PROVIDER_UNAVAILABLE')
  }
}

const nameOf = ({ company, stream }: Pick<Listing, 'company' | 'stream'>): string => `${company.integration} ${stream}`
