/**
 * HTTP to Kombo. Every wait goes through the injected clock and ends on abort; every number is bounded. Rate limits are obeyed for the
 * whole source, because Kombo's `ratelimit-*` headers do not say whether the quota belongs to the key or to the integration.
 */
import { abortable, backoffMs, type Clock, LIMITS, type Random, TidemarkError } from '@tidemark/base'
import type { ConnectorDeps, FetchOptions } from '@tidemark/connector'
import { Agent, request as send } from 'undici'
import { authHeaders } from './auth.ts'
import { answerInvalid, connectionFailed, judge, type Verdict } from './errors.ts'
import type { KomboOptions } from './options.ts'

export interface ClientLimits {
  /** Tries of one request before its failure is reported. */
  readonly attemptsMax: number
  /** Answers 429 to one request before the failure is reported. */
  readonly rateLimitedMax: number
  readonly backoff: { readonly startMs: number; readonly maxMs: number }
  readonly connectTimeoutMs: number
  /** Silence allowed before the headers and between parts of the body. */
  readonly idleTimeoutMs: number
  /** Time for one whole answer. */
  readonly answerTimeoutMs: number
  readonly bodyBytesMax: number
}

export const CLIENT_LIMITS: ClientLimits = {
  attemptsMax: 6,
  rateLimitedMax: 20,
  backoff: { startMs: 500, maxMs: 30_000 },
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  answerTimeoutMs: 300_000,
  bodyBytesMax: LIMITS.pageBytesMax,
}

export interface ListRequest {
  /** Path below the base URL, such as `/ats/jobs`. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly integrationId: string
  readonly signal: AbortSignal
  readonly onRetry?: FetchOptions['onRetry']
  /** Leaves a part of the quota to requests that are not. */
  readonly isBulk?: boolean
}

interface HttpAnswer {
  /** Method and URL; Kombo's URLs hold no secrets. */
  readonly route: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly requestedAtMs: number
  readonly receivedAtMs: number
}

export type ListAnswer =
  | (HttpAnswer & { readonly kind: 'page'; readonly results: readonly unknown[]; readonly next: string | null })
  | (HttpAnswer & { readonly kind: 'not_offered'; readonly message: string })

/** Reads Kombo's listings for one source. */
export class KomboClient {
  readonly #options: KomboOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: ClientLimits
  readonly #agent: Agent
  /** No request is sent before this time; moved by rate limit headers of any answer. */
  #blockedUntilMs = 0
  /** No bulk request is sent before this time. */
  #bulkBlockedUntilMs = 0

  constructor(options: KomboOptions, deps: ConnectorDeps, limits: ClientLimits = CLIENT_LIMITS) {
    this.#options = options
    this.#clock = deps.clock
    this.#random = deps.random
    this.#limits = limits
    this.#agent = new Agent({
      connectTimeout: limits.connectTimeoutMs,
      headersTimeout: limits.idleTimeoutMs,
      bodyTimeout: limits.idleTimeoutMs,
      // Our own bound, one above, so that our message is the one that is seen.
      maxResponseSize: limits.bodyBytesMax + 1,
    })
  }

  /**
   * One page of a listing. Tries again on 429, 5xx, cut connections and unreadable bodies, a bounded number of times; throws
   * PROVIDER_NOT_READY, PROVIDER_AUTHENTICATION and PROVIDER_REFUSED at once, and the signal's reason on abort.
   */
  async list(request: ListRequest): Promise<ListAnswer> {
    let failures = 0
    let limited = 0
    for (;;) {
      await this.#waitForQuota(request, limited)
      const outcome = await this.#attempt(request)
      if (outcome.kind === 'page' || outcome.kind === 'not_offered') return outcome
      if (outcome.kind === 'fail') throw outcome.error
      if (outcome.kind === 'rate_limited') {
        if (++limited > this.#limits.rateLimitedMax) throw outcome.error
        this.#block(outcome.waitMs ?? backoffMs(limited - 1, { startMs: 1000, maxMs: 60_000 }, this.#random))
        continue
      }
      if (++failures >= this.#limits.attemptsMax) throw outcome.error
      const waitMs = Math.ceil(
        Math.max(backoffMs(failures - 1, this.#limits.backoff, this.#random), outcome.waitMs ?? 0),
      )
      request.onRetry?.({ code: outcome.error.code, message: outcome.error.message, waitMs, attempt: failures })
      await this.#sleep(waitMs, request.signal)
    }
  }

  /** Closes all connections; requests in flight fail. */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal)
    signal.throwIfAborted()
  }

  #block(waitMs: number): void {
    this.#blockedUntilMs = Math.max(this.#blockedUntilMs, this.#clock.now() + Math.ceil(waitMs))
  }

  async #waitForQuota(request: ListRequest, attempt: number): Promise<void> {
    request.signal.throwIfAborted()
    for (;;) {
      const untilMs = request.isBulk ? Math.max(this.#blockedUntilMs, this.#bulkBlockedUntilMs) : this.#blockedUntilMs
      const waitMs = untilMs - this.#clock.now()
      if (waitMs <= 0) return
      const message = `${routeOf(request)}: waiting ${Math.ceil(waitMs / 1000)} s for Kombo's rate limit.`
      request.onRetry?.({ code: 'PROVIDER_RATE_LIMITED', message, waitMs, attempt })
      await this.#sleep(waitMs, request.signal)
    }
  }

  async #attempt(
    request: ListRequest,
  ): Promise<ListAnswer | (Exclude<Verdict, { kind: 'not_offered' }> & { readonly waitMs?: number | undefined })> {
    const route = routeOf(request)
    let answer: HttpAnswer
    try {
      answer = await this.#send(request)
    } catch (error) {
      request.signal.throwIfAborted()
      if (error instanceof TidemarkError) return { kind: 'fail', error }
      return { kind: 'retry', error: connectionFailed(route, error) }
    }
    const quotaMs = rateLimitWaitMs(answer.headers)
    if (quotaMs !== undefined) this.#block(quotaMs)
    const bulkMs = bulkWaitMs(answer.headers)
    if (bulkMs !== undefined)
      this.#bulkBlockedUntilMs = Math.max(this.#bulkBlockedUntilMs, this.#clock.now() + Math.ceil(bulkMs))
    const json = parseJson(answer.body)
    if (answer.status >= 200 && answer.status < 300 && !isErrorBody(json)) return readPage(answer, json, route)
    const verdict = judge({ route, status: answer.status, json })
    if (verdict.kind === 'not_offered') return { ...answer, kind: 'not_offered', message: verdict.message }
    return { ...verdict, waitMs: retryAfterMs(answer.headers, this.#clock.now()) }
  }

  async #send(request: ListRequest): Promise<HttpAnswer> {
    const url = `${this.#options.baseUrl}${request.path}?${new URLSearchParams(request.query)}`
    const requestedAtMs = this.#clock.now()
    const headers = { ...authHeaders(this.#options, request.integrationId), accept: 'application/json' }
    const { response, body } = await abortable(this.#limits.answerTimeoutMs, request.signal, async (signal) => {
      const response = await send(url, { method: 'GET', dispatcher: this.#agent, headers, signal })
      return { response, body: await readBody(response.body, this.#limits.bodyBytesMax, routeOf(request)) }
    })
    return {
      route: `GET ${url}`,
      status: response.statusCode,
      headers: flatHeaders(response.headers),
      body,
      requestedAtMs,
      receivedAtMs: this.#clock.now(),
    }
  }
}

/** Path and integration, for messages. */
const routeOf = (request: ListRequest): string => `GET ${request.path} of ${request.integrationId}`

async function readBody(
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  bytesMax: number,
  route: string,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of body) {
      bytes += part.byteLength
      if (bytes > bytesMax) break
      parts.push(part)
    }
  } catch (error) {
    if (!isTooLarge(error)) throw error
    bytes = bytesMax + 1
  }
  if (bytes <= bytesMax) return Buffer.concat(parts)
  body.destroy()
  throw new TidemarkError(
    'PROVIDER_ANSWER_INVALID',
    `${route}: the answer is larger than ${bytesMax} bytes and was not read further. Ask Kombo which record is that large.`,
    { fields: { bytesMax } },
  )
}

const isTooLarge = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE'

function flatHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name !== 'set-cookie') flat[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return flat
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The parsed body, or undefined for anything but JSON in UTF-8. */
function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body))
  } catch {
    // Not an error here: load balancers answer in HTML or with nothing, and the caller judges by status.
    return undefined
  }
}

const isErrorBody = (json: unknown): boolean =>
  typeof json === 'object' && json !== null && 'status' in json && json.status === 'error'

function readPage(
  answer: HttpAnswer,
  json: unknown,
  route: string,
): ListAnswer | { kind: 'retry'; error: TidemarkError } {
  const invalid = (problem: string): { kind: 'retry'; error: TidemarkError } => ({
    kind: 'retry',
    error: answerInvalid(route, problem),
  })
  if (json === undefined) return invalid(`Kombo answered ${answer.status} with a body that is not JSON`)
  const data = typeof json === 'object' && json !== null && 'data' in json ? json.data : undefined
  if (typeof data !== 'object' || data === null) return invalid('Kombo answered JSON without `data`')
  const { results, next } = data as { readonly results?: unknown; readonly next?: unknown }
  if (!Array.isArray(results)) return invalid('Kombo answered a page without a list `data.results`')
  // A missing `next` is no end of the listing: taking it for one would move the watermark over rows never seen.
  if (next !== null && (typeof next !== 'string' || next === ''))
    return invalid('Kombo answered a page whose `data.next` is neither a cursor nor null')
  return { ...answer, kind: 'page', results, next }
}

/** No provider may silence a source for longer than this with one header. */
const WAIT_MS_MAX = 3_600_000

type AnswerHeaders = Readonly<Record<string, string>>

const toNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined

const bounded = (ms: number): number => Math.min(Math.max(0, ms), WAIT_MS_MAX)

/** `ratelimit-reset` in ms. Kombo documents seconds left by a sample only; the length of the window is never assumed. */
function resetMs(headers: AnswerHeaders): number | undefined {
  const seconds = toNumber(headers['ratelimit-reset'])
  return seconds === undefined ? undefined : bounded(seconds * 1000)
}

/** How long to wait before the next request because the quota of the window is used up; undefined when it is not. */
export function rateLimitWaitMs(headers: AnswerHeaders): number | undefined {
  return toNumber(headers['ratelimit-remaining']) === 0 ? resetMs(headers) : undefined
}

/** Share of a window's requests that full passes leave to what is live. */
const LIVE_SHARE = 0.1

/**
 * How long bulk requests wait because what is left of the window belongs to live ones; undefined when enough is left. A full pass of a
 * large integration uses up every window, and a webhook's fetch would wait for the next one.
 */
export function bulkWaitMs(headers: AnswerHeaders): number | undefined {
  const limit = toNumber(headers['ratelimit-limit'])
  const remaining = toNumber(headers['ratelimit-remaining'])
  if (limit === undefined || remaining === undefined) return undefined
  return remaining <= Math.floor(limit * LIVE_SHARE) ? resetMs(headers) : undefined
}

/** How long a refused request is to wait: `ratelimit-reset`, `retry-after-ms`, or `Retry-After` (seconds or HTTP date). */
export function retryAfterMs(headers: AnswerHeaders, nowMs: number): number | undefined {
  const ms = toNumber(headers['retry-after-ms'])
  const text = headers['retry-after']
  const seconds = toNumber(text)
  const date = text === undefined || seconds !== undefined ? Number.NaN : Date.parse(text)
  const after =
    ms ?? (seconds !== undefined ? seconds * 1000 : Number.isFinite(date) ? Math.max(0, date - nowMs) : undefined)
  const reset = resetMs(headers)
  if (after === undefined) return reset
  return bounded(reset === undefined ? after : Math.max(after, reset))
}
