/** What passthrough is tested against. For tests only. */
import type { Received, Scripted } from './scriptedServer.ts'

/** A request as the provider's own API sees it. */
export interface ApiRequest {
  readonly method: string
  /** Below the API's base URL, with the query; one that left it begins with `OUTSIDE `. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface PassthroughStandIn {
  /** The connector's options for it. */
  readonly options: Readonly<Record<string, unknown>>
  readonly integrationId: string
  readonly tool: string
  readonly api: string
  /** Texts of the options, and of tokens got with them, that must never be seen. */
  readonly secrets: readonly string[]
  readonly seen: readonly ApiRequest[]
  /** What the provider itself answers where requests were too many: status 429, and to come back in {@link RATE_LIMIT_SECONDS}. */
  readonly rateLimited: Scripted
  /** Decides what the API answers; the number counts requests from 0. */
  answer: (request: ApiRequest, count: number) => Scripted
  close(): Promise<void>
}

export interface PassthroughAbilities {
  /** The credentials get tokens that expire. */
  readonly hasTokens?: boolean
  /** Forms with files can be sent. */
  readonly hasForms?: boolean
}

/** A request to an API at `base`, a path, as the API sees it. */
export const apiRequest = ({ method, url, headers, body }: Received, base: string): ApiRequest => ({
  ...{ method, headers, body },
  path: url.pathname.startsWith(`${base}/`)
    ? `${url.pathname.slice(base.length)}${url.search}`
    : `OUTSIDE ${url.pathname}`,
})
