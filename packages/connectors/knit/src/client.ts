/** HTTP to Knit's API, over the shared client: RPC-like calls with JSON in and `{success, data}` out. */
import { TidemarkError } from '@tidemark/base'
import type { ConnectorDeps, FetchOptions, Passthrough } from '@tidemark/connector'
import {
  HTTP_LIMITS,
  type HttpAnswer,
  HttpClient,
  type HttpLimits,
  insteadOfJson,
  type Judgement,
  parseJson,
  retryAfterMs,
} from '@tidemark/connector/http'
import { authHeaders } from './auth.ts'
import { answerInvalid, judge, unsuccessful } from './errors.ts'
import type { KnitOptions } from './options.ts'
import { createPassthrough } from './passthrough.ts'

/** One call about one integration. */
export interface KnitCall {
  readonly method: 'GET' | 'POST'
  /** Name of the call, such as `sync.start`. */
  readonly name: string
  readonly integrationId: string
  /** Sent as JSON, with POST. */
  readonly body?: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
  readonly onRetry?: FetchOptions['onRetry']
  readonly isBulk?: boolean
}

/** An answer and what was read from its `data`. */
export interface KnitAnswer<T> {
  readonly http: HttpAnswer
  readonly value: T
}

/** Reads an answer's `data`; throws RangeError with the problem when it is not what the call promises. */
export type ReadData<T> = (data: unknown) => T

/** Calls Knit for one account. */
export class KnitClient {
  readonly #options: KnitOptions
  readonly #deps: ConnectorDeps
  readonly #http: HttpClient
  readonly passthrough: Passthrough

  constructor(options: KnitOptions, deps: ConnectorDeps, limits: HttpLimits = HTTP_LIMITS) {
    this.#options = options
    this.#deps = deps
    const secrets = [options.apiKey, options.secondApiKey ?? '']
    this.#http = new HttpClient(deps, { provider: 'Knit', limits, secrets })
    this.passthrough = createPassthrough({ provider: 'Knit', http: this.#http, clock: deps.clock }, options)
  }

  /**
   * Makes a call until it is answered well. Tries again on 429, 5xx, cut connections and unreadable bodies, a bounded number of times; throws
   * PROVIDER_NOT_READY, PROVIDER_AUTHENTICATION and PROVIDER_REFUSED at once, and the signal's reason on abort.
   */
  async call<T>(call: KnitCall, read: ReadData<T>): Promise<KnitAnswer<T>> {
    const { method, name, integrationId, body, signal, onRetry, isBulk } = call
    const what = `${method} /${name} of ${integrationId}`
    return this.#http.send<KnitAnswer<T>>(
      {
        ...{ method, what, signal, onRetry, isBulk: isBulk ?? false },
        url: `${this.#options.baseUrl}/${name}`,
        headers: async () => this.#headers(integrationId, body !== undefined),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      (answer) => this.#judge(what, answer, read),
    )
  }

  /** Closes all connections; calls in flight fail. */
  async close(): Promise<void> {
    await this.#http.close()
  }

  #headers(integrationId: string, hasBody: boolean): Record<string, string> {
    const headers = { ...authHeaders(this.#options, integrationId), accept: 'application/json' }
    return hasBody ? { ...headers, 'content-type': 'application/json' } : headers
  }

  #judge<T>(what: string, http: HttpAnswer, read: ReadData<T>): Judgement<KnitAnswer<T>> {
    const { status, headers, body } = http
    const json = parseJson(body)
    if (status < 200 || status > 299)
      return { ...judge({ what, status, json }), waitMs: retryAfterMs(headers, this.#deps.clock.now()) }
    if (typeof json !== 'object' || json === null) {
      const came = json === undefined ? insteadOfJson(http) : 'JSON that is no object'
      return { kind: 'retry', error: answerInvalid(what, `Knit answered ${status} with ${came}`) }
    }
    const { success, data } = json as { readonly success?: unknown; readonly data?: unknown }
    if (success === false) return { kind: 'fail', error: unsuccessful({ what, status, json }) }
    try {
      return { kind: 'done', value: { http, value: read(data) } }
    } catch (error) {
      if (error instanceof TidemarkError || !(error instanceof RangeError)) throw error
      return { kind: 'retry', error: answerInvalid(what, error.message) }
    }
  }
}
