import type { ConnectorDeps, FetchOptions, Passthrough } from '@tidemark/connector'
import {
  HTTP_LIMITS,
  type HttpAnswer,
  HttpClient,
  type HttpLimits,
  insteadOfJson,
  type Judgement,
  parseJson,
  type Tokens,
} from '@tidemark/connector/http'
import { createTokens } from './auth.ts'
import { answerInvalid, forbiddenMessage, judgeFailure, saidBy } from './errors.ts'
import type { HrworksOptions } from './options.ts'
import { createPassthrough } from './passthrough.ts'

export type Query = readonly (readonly [name: string, value: string])[]

/** What every request of one piece of work shares. */
export interface Effort {
  readonly signal: AbortSignal
  readonly onRetry?: FetchOptions['onRetry']
  /** Leaves some of the quota to requests that are not. */
  readonly isBulk?: boolean | undefined
}

interface RequestBase extends Effort {
  /** Path below the base URL, such as `/persons`. */
  readonly path: string
  readonly query?: Query
}

export interface ReadRequest<T> extends RequestBase {
  /** What the JSON of a good answer says; undefined when it is not what is documented. */
  readonly parse: (json: unknown) => T | undefined
}

export interface WriteRequest extends RequestBase {
  readonly method: 'POST' | 'PUT' | 'DELETE'
  readonly body?: unknown
}

export type ReadAnswer<T> = HttpAnswer &
  (
    | { readonly kind: 'ok'; readonly value: T }
    /** 403: the key pair may not. */
    | { readonly kind: 'forbidden'; readonly message: string }
    /** 404: there is no such thing. */
    | { readonly kind: 'missing'; readonly message: string }
  )

type Method = 'GET' | WriteRequest['method']

/** The HR WORKS API of one tenant, as one key pair sees it. */
export class HrworksClient {
  /** Id of the integration, for messages. */
  readonly integration: string
  readonly passthrough: Passthrough
  readonly #options: HrworksOptions
  readonly #http: HttpClient
  readonly #tokens: Tokens

  constructor(options: HrworksOptions, deps: ConnectorDeps, limits: HttpLimits = HTTP_LIMITS) {
    this.integration = options.integration
    this.#options = options
    const secrets = [options.accessKey, options.secretAccessKey, options.webhookSecret ?? '']
    this.#http = new HttpClient(deps, { provider: 'HR WORKS', limits, secrets })
    this.#tokens = createTokens(options, this.#http, deps.clock)
    const link = { http: this.#http, tokens: this.#tokens, clock: deps.clock }
    this.passthrough = createPassthrough(link, options.baseUrl)
  }

  /**
   * Reads a path. Tries again on 429, 5xx, cut connections and unreadable bodies, a bounded number of times, and once
   * with a new token after a 401; throws PROVIDER_AUTHENTICATION, PROVIDER_REFUSED and PROVIDER_NOT_READY at once, and
   * the signal's reason on abort.
   */
  async read<T>(request: ReadRequest<T>): Promise<ReadAnswer<T>> {
    const what = `GET ${request.path} of ${this.integration}`
    return await this.#send('GET', request, what, (answer) => judgeRead(answer, request, what))
  }

  /**
   * Sends a write and gives its answer's JSON. It is sent once, apart from a 401 or 429, which say that nothing was
   * done. Throws PROVIDER_REFUSED where it is refused, PROVIDER_UNAVAILABLE and PROVIDER_ANSWER_INVALID where nobody
   * knows whether it was carried out.
   */
  async write(request: WriteRequest): Promise<unknown> {
    const what = `${request.method} ${request.path} of ${this.integration}`
    return await this.#send(request.method, request, what, (answer) => judgeWrite(answer, what))
  }

  /** A text of HR WORKS without secrets of the source. */
  redact(text: string): string {
    return this.#http.redact(text)
  }

  /** Closes all connections; requests in flight fail. */
  async close(): Promise<void> {
    await this.#http.close()
  }

  async #send<T>(
    method: Method,
    request: RequestBase & { readonly body?: unknown },
    what: string,
    judge: (answer: HttpAnswer) => Judgement<T>,
  ): Promise<T> {
    for (let renewed = false; ; renewed = true) {
      let token = ''
      const headers = async (signal: AbortSignal): Promise<Record<string, string>> => {
        token = await this.#tokens.get(signal)
        const type = { accept: 'application/json', 'content-type': 'application/json' }
        return { ...type, authorization: `Bearer ${token}` }
      }
      const { signal, onRetry, isBulk } = request
      const result = await this.#http.send<{ readonly value: T } | 'expired'>(
        {
          ...{ method, url: this.#url(request), what, headers, signal, onRetry, isBulk: isBulk ?? false },
          ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
          // A write whose answer was lost may have been carried out.
          ...(method === 'GET' ? {} : { attemptsMax: 1 }),
        },
        (answer) => (answer.status === 401 && !renewed ? { kind: 'done', value: 'expired' } : wrap(judge(answer))),
      )
      if (result !== 'expired') return result.value
      this.#tokens.forget(token)
    }
  }

  #url({ path, query = [] }: RequestBase): string {
    const text = new URLSearchParams(query.map(([name, value]): [string, string] => [name, value])).toString()
    return `${this.#options.baseUrl}${path}${text === '' ? '' : `?${text}`}`
  }
}

const wrap = <T>(judgement: Judgement<T>): Judgement<{ readonly value: T }> =>
  judgement.kind === 'done' ? { kind: 'done', value: { value: judgement.value } } : judgement

function judgeRead<T>(answer: HttpAnswer, { path, parse }: ReadRequest<T>, what: string): Judgement<ReadAnswer<T>> {
  const json = parseJson(answer.body)
  if (answer.status === 403) {
    return { kind: 'done', value: { ...answer, kind: 'forbidden', message: forbiddenMessage(what, path, json) } }
  }
  // A gateway's own 404 is HTML: it says nothing of what was asked for.
  if (answer.status === 404 && (json !== undefined || answer.body.length === 0)) {
    const message = `${what}: HR WORKS answered 404${saidBy(json)}`
    return { kind: 'done', value: { ...answer, kind: 'missing', message } }
  }
  if (answer.status === 404) return { kind: 'retry', error: answerInvalid(what, 'something answered 404 without JSON') }
  if (answer.status !== 200) return judgeFailure(answer, json, what)
  const value = parse(json)
  if (value !== undefined) return { kind: 'done', value: { ...answer, kind: 'ok', value } }
  const came = json === undefined ? insteadOfJson(answer) : 'something else than documented'
  return { kind: 'retry', error: answerInvalid(what, `HR WORKS answered 200 with ${came}`) }
}

function judgeWrite(answer: HttpAnswer, what: string): Judgement<unknown> {
  const json = parseJson(answer.body)
  if (answer.status !== 200) return judgeFailure(answer, json, what)
  if (json !== undefined) return { kind: 'done', value: json }
  return { kind: 'fail', error: answerInvalid(what, 'HR WORKS answered 200 without JSON') }
}
