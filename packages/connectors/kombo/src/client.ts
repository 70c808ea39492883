/** HTTP to Kombo: what its answers and its `ratelimit-*` headers mean. */
import type { Clock, TidemarkError } from '@tidemark/base'
import type { Attachments, ConnectorDeps, FetchOptions, Passthrough } from '@tidemark/connector'
import {
  boundedWait,
  HTTP_LIMITS,
  type HttpAnswer,
  HttpClient,
  type HttpLimits,
  headerNumber,
  insteadOfJson,
  type Judgement,
  parseJson,
  retryAfterMs as retryAfterHeaderMs,
} from '@tidemark/connector/http'
import { createAttachments } from './attachments.ts'
import { authHeaders } from './auth.ts'
import { answerInvalid, judge } from './errors.ts'
import type { KomboOptions } from './options.ts'
import { createPassthrough } from './passthrough.ts'

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

export type ListAnswer =
  | (HttpAnswer & { readonly kind: 'page'; readonly results: readonly unknown[]; readonly next: string | null })
  | (HttpAnswer & { readonly kind: 'not_offered'; readonly message: string })

/** Reads Kombo's listings for one source. */
export class KomboClient {
  readonly #options: KomboOptions
  readonly #clock: Clock
  readonly #http: HttpClient
  readonly passthrough: Passthrough
  readonly attachments: Attachments

  constructor(options: KomboOptions, deps: ConnectorDeps, limits: HttpLimits = HTTP_LIMITS) {
    this.#options = options
    this.#clock = deps.clock
    const quota = {
      waitMs: ({ headers }: HttpAnswer) => rateLimitWaitMs(headers),
      bulkWaitMs: ({ headers }: HttpAnswer) => bulkWaitMs(headers),
    }
    const secrets = [options.apiKey, options.webhookSecret]
    this.#http = new HttpClient(deps, { provider: 'Kombo', limits, quota, secrets })
    const waitOf = ({ headers }: HttpAnswer) => retryAfterMs(headers, deps.clock.now())
    const link = { provider: 'Kombo', http: this.#http, clock: deps.clock, waitOf }
    this.passthrough = createPassthrough(link, options)
    this.attachments = createAttachments(link, options)
  }

  /**
   * One page of a listing. Tries again on 429, 5xx, cut connections and unreadable bodies, a bounded number of times; throws
   * PROVIDER_NOT_READY, PROVIDER_AUTHENTICATION and PROVIDER_REFUSED at once, and the signal's reason on abort.
   */
  list(request: ListRequest): Promise<ListAnswer> {
    const { path, query, integrationId, signal, onRetry, isBulk } = request
    const what = `GET ${path} of ${integrationId}`
    const headers = { ...authHeaders(this.#options, integrationId), accept: 'application/json' }
    return this.#http.send(
      {
        ...{ method: 'GET', url: `${this.#options.baseUrl}${path}?${new URLSearchParams(query)}`, what },
        ...{ headers: async () => headers, signal, onRetry, isBulk: isBulk ?? false },
      },
      (answer) => this.#read(answer, what),
    )
  }

  /** Closes all connections; requests in flight fail. */
  close(): Promise<void> {
    return this.#http.close()
  }

  #read(answer: HttpAnswer, what: string): Judgement<ListAnswer> {
    const { status, headers, body } = answer
    const json = parseJson(body)
    if (status >= 200 && status < 300 && !isErrorBody(json)) return readPage(answer, json, what)
    const verdict = judge({ route: what, status, json })
    if (verdict.kind === 'not_offered')
      return { kind: 'done', value: { ...answer, kind: 'not_offered', message: verdict.message } }
    return verdict.kind === 'fail' ? verdict : { ...verdict, waitMs: retryAfterMs(headers, this.#clock.now()) }
  }
}

const isErrorBody = (json: unknown): boolean =>
  typeof json === 'object' && json !== null && 'status' in json && json.status === 'error'

function readPage(answer: HttpAnswer, json: unknown, route: string): Judgement<ListAnswer> {
  const invalid = (problem: string): { kind: 'retry'; error: TidemarkError } => ({
    kind: 'retry',
    error: answerInvalid(route, problem),
  })
  if (json === undefined) return invalid(`Kombo answered ${answer.status} with ${insteadOfJson(answer)}`)
  const data = typeof json === 'object' && json !== null && 'data' in json ? json.data : undefined
  if (typeof data !== 'object' || data === null) return invalid('Kombo answered JSON without `data`')
  const { results, next } = data as { readonly results?: unknown; readonly next?: unknown }
  if (!Array.isArray(results)) return invalid('Kombo answered a page without a list `data.results`')
  // A missing `next` is no end of the listing: taking it for one would move the watermark over rows never seen.
  if (next !== null && (typeof next !== 'string' || next === ''))
    return invalid('Kombo answered a page whose `data.next` is neither a cursor nor null')
  return { kind: 'done', value: { ...answer, kind: 'page', results, next } }
}

type AnswerHeaders = Readonly<Record<string, string>>

/** `ratelimit-reset` in ms. Kombo documents seconds left by a sample only; the length of the window is never assumed. */
function resetMs(headers: AnswerHeaders): number | undefined {
  const seconds = headerNumber(headers['ratelimit-reset'])
  return seconds === undefined ? undefined : boundedWait(seconds * 1000)
}

/** How long to wait before the next request because the quota of the window is used up; undefined when it is not. */
export function rateLimitWaitMs(headers: AnswerHeaders): number | undefined {
  return headerNumber(headers['ratelimit-remaining']) === 0 ? resetMs(headers) : undefined
}

/** Share of a window's requests that full passes leave to what is live. */
const LIVE_SHARE = 0.1

/**
 * How long bulk requests wait because what is left of the window belongs to live ones; undefined when enough is left. A full pass of a
 * large integration uses up every window, and a webhook's fetch would wait for the next one.
 */
export function bulkWaitMs(headers: AnswerHeaders): number | undefined {
  const limit = headerNumber(headers['ratelimit-limit'])
  const remaining = headerNumber(headers['ratelimit-remaining'])
  if (limit === undefined || remaining === undefined) return undefined
  return remaining <= Math.floor(limit * LIVE_SHARE) ? resetMs(headers) : undefined
}

/** How long a refused request is to wait: `ratelimit-reset`, `retry-after-ms` or `Retry-After`, the longest that is there. */
export function retryAfterMs(headers: AnswerHeaders, nowMs: number): number | undefined {
  const waits = [retryAfterHeaderMs(headers, nowMs), resetMs(headers)].filter((ms) => ms !== undefined)
  return waits.length === 0 ? undefined : Math.max(...waits)
}
