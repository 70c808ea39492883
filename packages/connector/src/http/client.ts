/**
 * HTTP to a provider. Every wait goes through the injected clock and ends on abort; every number is bounded. Rate limits are obeyed for the
 * whole source: providers do not say whether a quota belongs to the key or to the tenant.
 */
import { abortable, backoffMs, type Clock, LIMITS, type Random, TidemarkError } from '@tidemark/base'
import { Agent, request as send } from 'undici'
import type { ConnectorDeps, FetchOptions } from '../connector.ts'
import { readBody } from './body.ts'
import { AnswerRedactor, redactAnswer, redactJudgement } from './secrets.ts'

export interface HttpLimits {
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

export const HTTP_LIMITS: HttpLimits = {
  attemptsMax: 6,
  rateLimitedMax: 20,
  backoff: { startMs: 500, maxMs: 30_000 },
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  answerTimeoutMs: 300_000,
  bodyBytesMax: LIMITS.pageBytesMax,
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: string
  /** The URL as it may be seen, where it holds a secret. Default: the URL. */
  readonly shownUrl?: string
  /** What is asked for, in messages: `GET /ats/jobs of <integration>`. */
  readonly what: string
  /** Of each attempt: an expired token is replaced between two. */
  readonly headers: (signal: AbortSignal) => Promise<Readonly<Record<string, string>>>
  readonly body?: string | Uint8Array
  readonly signal: AbortSignal
  readonly onRetry?: FetchOptions['onRetry']
  /** Leaves a part of the quota to requests that are not. */
  readonly isBulk?: boolean
  /** Tries of this request; default: those of the client's limits. 1: it is never sent twice, apart from a rate limit. */
  readonly attemptsMax?: number
  /** Bytes of this request's answer; default, and at most: the client's. */
  readonly bodyBytesMax?: number
}

/** A whole answer. */
export interface HttpAnswer {
  /** Method and URL without secrets. */
  readonly route: string
  readonly status: number
  /** Names in lower case; without cookies and secrets. */
  readonly headers: Readonly<Record<string, string>>
  /** Exactly as received; of a failure (status 400 and above) without our secrets, if it repeats them. */
  readonly body: Uint8Array
  readonly requestedAtMs: number
  readonly receivedAtMs: number
}

/** What an answer means for its request. */
export type Judgement<T> =
  | { readonly kind: 'done'; readonly value: T }
  /** Tried again after a backoff, at least `waitMs`, a bounded number of times. */
  | { readonly kind: 'retry'; readonly error: TidemarkError; readonly waitMs?: number | undefined }
  /** Tried again when the limit's window ends: after `waitMs`, or a backoff where the provider does not say. */
  | { readonly kind: 'rate_limited'; readonly error: TidemarkError; readonly waitMs?: number | undefined }
  /** Not tried again. */
  | { readonly kind: 'fail'; readonly error: TidemarkError }

/** How a provider's headers ration requests. */
export interface Quota {
  /** How long nobody may ask because the quota is used up; undefined: it is not. */
  readonly waitMs: (answer: HttpAnswer) => number | undefined
  /** How long bulk requests wait because what is left belongs to live ones. */
  readonly bulkWaitMs: (answer: HttpAnswer) => number | undefined
}

export interface HttpClientOptions {
  /** Name of the provider, for messages. */
  readonly provider: string
  readonly limits?: HttpLimits
  readonly quota?: Quota
  /** Secrets of the source, as {@link Connector.secretOptions} names them. They and the credentials of a request are taken out of what answers say. */
  readonly secrets?: readonly string[]
  /** At least so long between the beginnings of two requests. Default 0. */
  readonly spacingMs?: number
}

const RATE_LIMIT_BACKOFF = { startMs: 1000, maxMs: 60_000 } as const

/** Sends requests of one source. */
export class HttpClient {
  readonly #clock: Clock
  readonly #random: Random
  readonly #options: HttpClientOptions
  readonly #limits: HttpLimits
  readonly #agent: Agent
  readonly #redactor: AnswerRedactor
  /** No request is sent before this time. */
  #blockedUntilMs = 0
  /** No bulk request is sent before this time. */
  #bulkBlockedUntilMs = 0

  constructor(deps: ConnectorDeps, options: HttpClientOptions) {
    this.#clock = deps.clock
    this.#random = deps.random
    this.#options = options
    this.#limits = options.limits ?? HTTP_LIMITS
    this.#redactor = new AnswerRedactor(options.secrets ?? [])
    this.#agent = new Agent({
      connectTimeout: this.#limits.connectTimeoutMs,
      headersTimeout: this.#limits.idleTimeoutMs,
      bodyTimeout: this.#limits.idleTimeoutMs,
      // Our own bound, one above, so that our message is the one that is seen.
      maxResponseSize: this.#limits.bodyBytesMax + 1,
    })
  }

  /**
   * Sends a request until `judge` is done with an answer. Cut and refused connections are tried again, as what `judge` says is to be; all a
   * bounded number of times. Throws the judgement's error, PROVIDER_UNAVAILABLE, PROVIDER_ANSWER_INVALID for a body that is too large, and
   * the signal's reason on abort. Redirects are answers like others.
   */
  async send<T>(request: HttpRequest, judge: (answer: HttpAnswer) => Judgement<T>): Promise<T> {
    let failures = 0
    let limited = 0
    for (;;) {
      await this.#waitForQuota(request, limited)
      const outcome = await this.#attempt(request, judge)
      if (outcome.kind === 'done') return outcome.value
      if (outcome.kind === 'fail') throw outcome.error
      if (outcome.kind === 'rate_limited') {
        if (++limited > this.#limits.rateLimitedMax) throw outcome.error
        this.#block(outcome.waitMs ?? backoffMs(limited - 1, RATE_LIMIT_BACKOFF, this.#random))
        continue
      }
      if (++failures >= (request.attemptsMax ?? this.#limits.attemptsMax)) throw outcome.error
      const backoff = backoffMs(failures - 1, this.#limits.backoff, this.#random)
      const waitMs = Math.ceil(Math.max(backoff, outcome.waitMs ?? 0))
      request.onRetry?.({ code: outcome.error.code, message: outcome.error.message, waitMs, attempt: failures })
      await this.#sleep(waitMs, request.signal)
    }
  }

  /** A text without secrets of the source, for what a good answer says of something that failed. */
  redact(text: string): string {
    return this.#redactor.secrets(text)
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

  async #waitForQuota(request: HttpRequest, attempt: number): Promise<void> {
    request.signal.throwIfAborted()
    for (;;) {
      const untilMs = request.isBulk ? Math.max(this.#blockedUntilMs, this.#bulkBlockedUntilMs) : this.#blockedUntilMs
      const waitMs = untilMs - this.#clock.now()
      if (waitMs <= 0) return
      if (waitMs > (this.#options.spacingMs ?? 0)) {
        const { provider } = this.#options
        const message = `${request.what}: waiting ${Math.ceil(waitMs / 1000)} s for the rate limit of ${provider}.`
        request.onRetry?.({ code: 'PROVIDER_RATE_LIMITED', message, waitMs, attempt })
      }
      await this.#sleep(waitMs, request.signal)
    }
  }

  async #attempt<T>(request: HttpRequest, judge: (answer: HttpAnswer) => Judgement<T>): Promise<Judgement<T>> {
    const { spacingMs = 0, quota } = this.#options
    if (spacingMs > 0) this.#block(spacingMs)
    let answer: HttpAnswer
    let redact: (text: string) => string
    try {
      const headers = await request.headers(request.signal)
      redact = this.#redactor.of(headers)
      answer = redactAnswer(await this.#exchange(request, headers), redact)
    } catch (error) {
      request.signal.throwIfAborted()
      if (error instanceof TidemarkError) return { kind: 'fail', error }
      return { kind: 'retry', error: connectionFailed(request.what, error) }
    }
    const quotaMs = quota?.waitMs(answer)
    if (quotaMs !== undefined) this.#block(quotaMs)
    const bulkMs = quota?.bulkWaitMs(answer)
    if (bulkMs !== undefined)
      this.#bulkBlockedUntilMs = Math.max(this.#bulkBlockedUntilMs, this.#clock.now() + Math.ceil(bulkMs))
    return redactJudgement(judge(answer), redact)
  }

  async #exchange(request: HttpRequest, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const { method, url, what } = request
    const requestedAtMs = this.#clock.now()
    const { response, body } = await abortable(this.#limits.answerTimeoutMs, request.signal, async (signal) => {
      const response = await send(url, {
        ...{ method, dispatcher: this.#agent, headers, signal },
        ...(request.body === undefined ? {} : { body: request.body }),
      })
      const { provider } = this.#options
      const bytesMax = request.bodyBytesMax ?? this.#limits.bodyBytesMax
      return { response, body: await readBody(response.body, { bytesMax, what, provider }) }
    })
    return {
      route: `${method} ${request.shownUrl ?? url}`,
      status: response.statusCode,
      headers: flatHeaders(response.headers),
      body,
      requestedAtMs,
      receivedAtMs: this.#clock.now(),
    }
  }
}

/** A request that got no whole answer: refused, cut, timed out. */
function connectionFailed(what: string, cause: unknown): TidemarkError {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? ` (${String(cause.code)})` : ''
  const message = cause instanceof Error && cause.message !== '' ? cause.message : 'no answer'
  return new TidemarkError(
    'PROVIDER_UNAVAILABLE',
    `${what}: ${message}${code}. Check base_url and the network if it repeats.`,
    { cause },
  )
}

function flatHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name !== 'set-cookie') flat[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return flat
}
