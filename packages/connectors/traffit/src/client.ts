import type { ConnectorDeps, FetchOptions, Passthrough } from '@tidemark/connector'
import {
  boundedWait,
  HTTP_LIMITS,
  type HttpAnswer,
  HttpClient,
  type HttpLimits,
  type HttpRequest,
  impatient,
  type Judgement,
  LIVE_ATTEMPTS_MAX,
  parseJson,
  retryAfterMs,
  type Tokens,
} from '@tidemark/connector/http'
import { isJson } from '@tidemark/connector/mapping'
import { createTokens, sourceClosed } from './auth.ts'
import { PAGE_SIZE, sortHeader } from './cursor.ts'
import { answerInvalid, inBrackets, judge, saidBy } from './errors.ts'
import type { TraffitOptions } from './options.ts'
import { createPassthrough } from './passthrough.ts'

/** The feeds of history and activities are slow. */
const IDLE_TIMEOUT_MS = 180_000
const REDIRECTS_MAX = 3
/** A token this old may lack a scope that the client has by now: tokens last 30 days. */
const OLD_TOKEN_MS = 60_000
/** Where the integration API begins, below the tenant's address. */
const API = '/api/integration/v2'

export const CLIENT_LIMITS: HttpLimits = { ...HTTP_LIMITS, idleTimeoutMs: IDLE_TIMEOUT_MS }

/** What every request of a fetch shares. */
export interface Caller {
  readonly signal: AbortSignal
  readonly onRetry?: FetchOptions['onRetry'] | undefined
  readonly isBulk?: boolean | undefined
  /** Somebody waits: few tries, short waits. */
  readonly isLive?: boolean
}

export interface GetRequest {
  /** Below the API, such as `/employees/17`; with `isPublic` below `/public`, where no token is sent. */
  readonly path: string
  readonly isPublic?: boolean
  /** Absent: no paging headers are sent. */
  readonly page?: {
    readonly number: number
    readonly size?: number
    readonly filter?: string | null
    readonly direction?: 'ASC' | 'DESC'
  }
  /** A file, of at most this many bytes: any body with status 200 is `ok`, and its `json` undefined. */
  readonly fileBytesMax?: number
}

/** `forbidden`: the scope is missing. `absent`: 404 or 410 of the API itself. `refused`: 400, such as for a filter that the listing does not know. */
export type GetAnswer = {
  readonly kind: 'ok' | 'forbidden' | 'absent' | 'refused'
  readonly answer: HttpAnswer
  /** The parsed body. */
  readonly json: unknown
  /** What happened, without secrets. */
  readonly message: string
}

/** Asks one tenant. */
export class TraffitClient {
  readonly #options: TraffitOptions
  readonly #http: HttpClient
  readonly #tokens: Tokens
  readonly #closing = new AbortController()
  readonly #now: () => number
  /** The token in use, and since when. */
  #token = { value: '', sinceMs: 0 }
  readonly passthrough: Passthrough

  constructor(options: TraffitOptions, deps: ConnectorDeps, limits: HttpLimits = CLIENT_LIMITS) {
    this.#options = options
    this.#now = () => deps.clock.now()
    const secrets = [options.clientSecret, options.webhookSecret]
    const spacingMs = 1000 / options.requestsPerSecond
    this.#http = new HttpClient(deps, { provider: 'TRAFFIT', limits, spacingMs, secrets })
    const { signal: closing } = this.#closing
    this.#tokens = createTokens(options, { http: this.#http, clock: deps.clock, closing })
    const link = { http: this.#http, tokens: this.#tokens, clock: deps.clock }
    this.passthrough = createPassthrough(link, `${options.baseUrl}${API}`)
  }

  /**
   * One GET. Tries again on 429, 5xx, cut connections and bodies that are no JSON, and once with a new token on 401, and on 403 unless the token is
   * new; follows redirects on the tenant's own host. Throws PROVIDER_AUTHENTICATION, PROVIDER_REFUSED, PROVIDER_NOT_READY at once, and what is still wrong after the last try.
   */
  async get(request: GetRequest, caller: Caller): Promise<GetAnswer> {
    const { page } = request
    const root = request.isPublic ? '/public' : API
    const isFile = request.fileBytesMax !== undefined
    const headers: Record<string, string> = { accept: isFile ? '*/*' : 'application/json' }
    if (page) {
      headers['x-request-page-size'] = String(page.size ?? PAGE_SIZE)
      headers['x-request-current-page'] = String(page.number)
      headers['x-request-sort'] = sortHeader(page.direction)
      if (page.filter) headers['x-request-filter'] = page.filter
    }
    const shown = page ? `#page=${page.number}${page.filter ? `&filter=${page.filter}` : ''}` : ''
    const what = `GET ${root === API ? '' : root}${request.path}${page ? ` page ${page.number}` : ''}`
    return this.#follow(
      {
        ...{ method: 'GET', what, headers, url: `${this.#options.baseUrl}${root}${request.path}`, shown, caller },
        ...(isFile ? { fileBytesMax: request.fileBytesMax } : {}),
      },
      !request.isPublic,
    )
  }

  /** One write of JSON, or a DELETE. A lost reply is tried again, so that it may happen twice. Else as {@link get}. */
  async write(method: 'POST' | 'DELETE', path: string, body: object | null, caller: Caller): Promise<GetAnswer> {
    const headers = { accept: 'application/json', 'content-type': 'application/json' }
    const call = {
      method,
      what: `${method} ${path}`,
      headers,
      url: `${this.#options.baseUrl}${API}${path}`,
      shown: '',
      caller,
    }
    return this.#follow(body === null ? call : { ...call, body: JSON.stringify(body) }, true)
  }

  /** Closes all connections; requests in flight fail. */
  async close(): Promise<void> {
    this.#closing.abort(sourceClosed())
    await this.#http.close()
  }

  /** Listings answer 301 for a slash too many or too few. The token goes nowhere but to the tenant's own host. */
  async #follow(call: Call, isPrivate: boolean): Promise<GetAnswer> {
    let { url } = call
    for (let redirects = 0; ; redirects++) {
      const outcome = await this.#send({ ...call, url }, isPrivate)
      if (!('location' in outcome)) return outcome
      const to = URL.parse(outcome.location, url)
      if (to?.origin !== this.#options.baseUrl)
        throw answerInvalid(call.what, 'TRAFFIT redirects to another host, which was not followed')
      if (redirects >= REDIRECTS_MAX)
        throw answerInvalid(call.what, `TRAFFIT redirects more than ${REDIRECTS_MAX} times`)
      url = to.href
    }
  }

  async #send(call: Call, isPrivate: boolean): Promise<GetAnswer | Redirect> {
    let token = ''
    let refusals = 0
    const request: HttpRequest = {
      method: call.method,
      url: call.url,
      shownUrl: `${call.url}${call.shown}`,
      what: call.what,
      headers: async (signal) => {
        if (!isPrivate) return call.headers
        token = await this.#tokens.get(signal)
        if (token !== this.#token.value) this.#token = { value: token, sinceMs: this.#now() }
        return { ...call.headers, authorization: `Bearer ${token}` }
      },
      ...(call.body === undefined ? {} : { body: call.body }),
      signal: call.caller.signal,
      onRetry: call.caller.onRetry,
      isBulk: call.caller.isBulk ?? false,
      ...(call.caller.isLive ? { attemptsMax: LIVE_ATTEMPTS_MAX } : {}),
      ...(call.fileBytesMax === undefined ? {} : { bodyBytesMax: call.fileBytesMax }),
    }
    const judgeOne = (answer: HttpAnswer): Judgement<GetAnswer | Redirect> => {
      const mayLackScope = isMissingScope(answer.status) && refusals === 0 && this.#isOld(token)
      if (!isPrivate || (answer.status !== 401 && !mayLackScope)) return this.#judge(call, answer)
      const { error } = judge(call.what, answer, parseJson(answer.body))
      this.#tokens.forget(token)
      return { kind: refusals++ === 0 ? 'retry' : 'fail', error }
    }
    return this.#http.send(request, call.caller.isLive ? impatient(judgeOne) : judgeOne)
  }

  /** A scope that is added counts for tokens that are made after it. */
  #isOld(token: string): boolean {
    return token === this.#token.value && this.#now() - this.#token.sinceMs >= OLD_TOKEN_MS
  }

  #judge(call: Call, answer: HttpAnswer): Judgement<GetAnswer | Redirect> {
    const { status } = answer
    const isFile = status === 200 && call.fileBytesMax !== undefined
    const json = isFile ? undefined : parseJson(answer.body)
    const location = answer.headers['location']
    if (REDIRECTS.has(status) && location !== undefined) return { kind: 'done', value: { location } }
    const message = `${call.what}: TRAFFIT answered ${status}${inBrackets(saidBy(json))}.`
    const done = (kind: GetAnswer['kind']): Judgement<GetAnswer> => ({
      kind: 'done',
      value: { kind, answer, json, message },
    })
    if (isFile || (status === 200 && json !== undefined)) return done('ok')
    if (call.method !== 'GET' && (status === 201 || status === 204)) return done('ok')
    if (isMissingScope(status)) return done('forbidden')
    if (isAbsence(status, json)) return done('absent')
    if (status === 400) return done('refused')
    const waitMs = retryAfterMs(answer.headers, this.#now())
    return {
      ...judge(call.what, answer, json, call.caller.isLive),
      waitMs: waitMs === undefined ? undefined : boundedWait(waitMs),
    }
  }
}

interface Call {
  readonly method: HttpRequest['method']
  readonly what: string
  readonly headers: Readonly<Record<string, string>>
  readonly url: string
  /** Stands behind the URL where it is shown. */
  readonly shown: string
  readonly body?: string
  readonly caller: Caller
  readonly fileBytesMax?: number | undefined
}

interface Redirect {
  readonly location: string
}

const REDIRECTS = new Set([301, 302, 307, 308])

/** The API client lacks the scope (the status is inferred). */
export const isMissingScope = (status: number): boolean => status === 403

/** The API says that there is no such record. The 404 of a proxy or of a wrong host has no JSON, and says nothing about records. */
export const isAbsence = (status: number, json: unknown): boolean => (status === 404 || status === 410) && isJson(json)
