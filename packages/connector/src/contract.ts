/** What every connector promises, asked of it against a stand-in for its provider. For tests only. */
import { seededRandom, TidemarkError } from '@tidemark/base'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Connector, FetchOptions, Page, Source, WebhookRequest } from './connector.ts'

export { allWritten } from './testing/allWritten.ts'
export {
  type Received,
  type Scripted,
  type ScriptedServer,
  startScriptedServer,
} from './testing/scriptedServer.ts'

/** What a stand-in answers to one request. */
export type Answer =
  /** A page with at least one record of every model of the stream, followed by another. */
  | 'page'
  | 'last_page'
  /** A failure that passes. */
  | 'unavailable'
  /** The connection ends within the body. */
  | 'cut'
  /** Not what the provider documents: HTML with status 200. */
  | 'garbage'
  /** Come back in {@link RATE_LIMIT_SECONDS}. */
  | 'rate_limited'
  | 'authentication'
  | 'not_ready'
  | 'not_offered'

export const RATE_LIMIT_SECONDS = 7

export interface StandIn {
  /** The connector's options for it. */
  readonly options: Readonly<Record<string, unknown>>
  readonly integrationId: string
  readonly stream: string
  /** Texts of the options that must never be seen in a page. */
  readonly secrets: readonly string[]
  /** Answers to the next requests in this order; the last one is repeated. */
  script(answers: readonly Answer[]): void
  /** Requests received since the script was set. */
  requests(): number
  /** A genuine webhook. */
  webhook(): WebhookRequest
  close(): Promise<void>
}

export interface ContractOptions {
  /** `push`: the provider sends records by itself, so there are no pages to follow. Default `pull`. */
  readonly kind?: 'pull' | 'push'
  /** The credentials get tokens that expire. */
  readonly hasTokens?: boolean
}

/** Runs the suite. `start` gives a fresh stand-in on loopback. */
export function connectorContract(
  connector: Connector,
  start: () => Promise<StandIn>,
  { kind = 'pull', hasTokens = false }: ContractOptions = {},
): void {
  const ofListings = it.skipIf(kind === 'push')
  describe(`connector ${connector.name} keeps the contract`, () => {
    let standIn: StandIn
    let source: Source
    let clock: ManualClock

    beforeEach(async () => {
      standIn = await start()
      clock = new ManualClock()
      source = connector.create(connector.parseOptions(standIn.options), { clock, random: seededRandom(1) })
    })

    afterEach(async () => {
      await source.close()
      await standIn.close()
    })

    const fetchAll = (more: Partial<FetchOptions> = {}): Promise<Fetched> => {
      const { integrationId, stream } = standIn
      return drive(clock, collect(source, { integrationId, stream, signal: new AbortController().signal, ...more }))
    }

    it('says whether the provider sends by itself', () => {
      expect(source.pushes === true).toBe(kind === 'push')
    })

    it('knows the models of every stream, and its configured integrations', () => {
      for (const stream of source.streams) expect(source.modelsOf(stream).length).toBeGreaterThan(0)
      expect(source.integrations).toContain(standIn.integrationId)
    })

    ofListings('delivers every page in order and ends after the last', async () => {
      standIn.script(['page', 'page', 'last_page'])
      const { pages, error } = await fetchAll()
      expect(error).toBeUndefined()
      expect(pages).toHaveLength(3)
      expect(standIn.requests()).toBe(3)
      for (const page of pages) {
        expect(page.body.byteLength).toBeGreaterThan(0)
        expect(page.requestedAtMs).toBeLessThanOrEqual(page.receivedAtMs)
        expect(page.notOffered).toBeNull()
      }
    })

    it('maps the same bytes to the same records', async () => {
      standIn.script(['last_page'])
      const [first, second] = [await fetchAll(), await fetchAll()]
      expect(Buffer.from(first.pages[0]?.body ?? [])).toEqual(Buffer.from(second.pages[0]?.body ?? []))
      expect(first.pages[0]?.mapped).toEqual(second.pages[0]?.mapped)
    })

    ofListings('maps to models of the stream only, children under their parent', async () => {
      standIn.script(['last_page'])
      const { pages } = await fetchAll()
      const mapped = pages[0]?.mapped
      expect(mapped?.records.length).toBeGreaterThan(0)
      const models = source.modelsOf(standIn.stream)
      for (const record of mapped?.records ?? []) expect(models).toContain(record.model)
      for (const list of mapped?.childLists ?? [])
        for (const child of list.children) expect(child.startsWith(`${list.parentRemoteKey}:`)).toBe(true)
    })

    ofListings('tries again after a failure that passes, a cut connection and an unreadable answer', async () => {
      standIn.script(['page', 'unavailable', 'cut', 'garbage', 'last_page'])
      const retries: string[] = []
      const { pages, error } = await fetchAll({ onRetry: ({ code }) => retries.push(code) })
      expect(error).toBeUndefined()
      expect(pages).toHaveLength(2)
      expect(retries).toEqual(['PROVIDER_UNAVAILABLE', 'PROVIDER_UNAVAILABLE', 'PROVIDER_ANSWER_INVALID'])
    })

    ofListings('does not end normally when a page fails half way through, however often it is tried', async () => {
      standIn.script(['page', 'cut'])
      const { pages, error } = await fetchAll()
      expect(pages).toHaveLength(1)
      expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
      expect(standIn.requests()).toBeLessThan(30)
    })

    it('waits as long as a rate limit says', async () => {
      standIn.script(['rate_limited', 'last_page'])
      const before = clock.now()
      const { pages, error } = await fetchAll()
      expect(error).toBeUndefined()
      expect(pages).toHaveLength(1)
      expect(clock.now() - before).toBeGreaterThanOrEqual(RATE_LIMIT_SECONDS * 1000)
    })

    it('stops after one try when the credentials are refused', async () => {
      standIn.script(['authentication'])
      expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
      expect(standIn.requests()).toBe(1)
    })

    ofListings('ends when the credentials are revoked half way through', async () => {
      standIn.script(['page', 'authentication'])
      const { pages, error } = await fetchAll()
      expect(pages).toHaveLength(1)
      expect(error).toMatchObject({ code: 'PROVIDER_AUTHENTICATION' })
      expect(standIn.requests()).toBeLessThan(5)
    })

    it.runIf(hasTokens)('goes on with a new token when one expires half way through', async () => {
      standIn.script(['page', 'authentication', 'page', 'last_page'])
      const { pages, error } = await fetchAll()
      expect(error).toBeUndefined()
      expect(pages).toHaveLength(3)
    })

    it('reports at once that the provider is not ready', async () => {
      standIn.script(['not_ready'])
      expect((await fetchAll()).error).toMatchObject({ code: 'PROVIDER_NOT_READY' })
      expect(standIn.requests()).toBe(1)
    })

    it('reports a stream that is not offered as one page that says so', async () => {
      standIn.script(['not_offered'])
      const { pages, error } = await fetchAll()
      expect(error).toBeUndefined()
      expect(pages).toHaveLength(1)
      expect(pages[0]?.notOffered).toEqual(expect.any(String))
      expect(pages[0]?.mapped).toEqual({ records: [], childLists: [], failures: [] })
    })

    it('rejects when it is aborted, also while it waits', async () => {
      standIn.script(['rate_limited'])
      const aborter = new AbortController()
      const { error } = await fetchAll({ signal: aborter.signal, onRetry: () => aborter.abort() })
      expect(error).toBeDefined()
      expect(standIn.requests()).toBe(1)
    })

    it('rejects once it is closed', async () => {
      standIn.script(['last_page'])
      await source.close()
      expect((await fetchAll()).error).toBeInstanceOf(TidemarkError)
    })

    it('shows no secret in pages', async () => {
      standIn.script(['last_page'])
      const { pages } = await fetchAll()
      const { route, headers } = pages[0] as Page
      for (const secret of standIn.secrets) expect(JSON.stringify({ route, headers })).not.toContain(secret)
    })

    it('accepts a genuine webhook and refuses it with a changed byte or without what proves it', () => {
      const request = standIn.webhook()
      expect(source.verifyWebhook(request)).toBe(true)
      const changed = Buffer.from(request.rawBody)
      changed[changed.length - 2] = (changed[changed.length - 2] ?? 0) ^ 1
      expect(source.verifyWebhook({ headers: {}, query: {}, rawBody: request.rawBody })).toBe(false)
      if (Object.keys(request.query).length === 0)
        expect(source.verifyWebhook({ ...request, rawBody: changed })).toBe(false)
    })
  })
}

interface Fetched {
  readonly pages: readonly Page[]
  readonly error: unknown
}

async function collect(source: Source, options: FetchOptions): Promise<Fetched> {
  const pages: Page[] = []
  try {
    for await (const page of source.fetch(options)) pages.push(page)
  } catch (error) {
    return { pages, error }
  }
  return { pages, error: undefined }
}

/** Moves the clock on whenever something sleeps, until the work is done. */
export async function drive<T>(clock: ManualClock, work: Promise<T>, stepMs = 500): Promise<T> {
  let done = false
  const finished = work.finally(() => {
    done = true
  })
  // Whoever awaits the result learns of a failure; until then it is nobody's.
  finished.catch(() => undefined)
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    if (!done && clock.sleeping > 0) await clock.advance(stepMs)
  }
  return finished
}
