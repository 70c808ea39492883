/** Requests that go to a provider's own API as they are: the part of the port behind `POST /v1/passthrough/{tool}/{api}`. */
import type { FetchOptions } from './connector.ts'

export const PASSTHROUGH_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type PassthroughMethod = (typeof PASSTHROUGH_METHODS)[number]

/** A file in a form. One of `data` and `dataUrl` is there. */
export interface PassthroughFile {
  readonly name: string
  readonly contentType?: string
  /** In base64. */
  readonly data?: string
  /** Where the provider may get it. */
  readonly dataUrl?: string
}

export interface PassthroughPart {
  readonly name: string
  readonly value: string | PassthroughFile
}

export interface PassthroughRequest {
  readonly method: PassthroughMethod
  /** Below the API's base URL, with or without a query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Query parameters besides those of the path. */
  readonly params: Readonly<Record<string, string>>
  /** Text is sent as it is, any other value as JSON; absent or null: no body. */
  readonly data?: unknown
  /** A form instead of `data`. */
  readonly parts?: readonly PassthroughPart[]
  readonly responseAsBase64: boolean
  /** What only some providers understand; the others refuse it. */
  readonly apiOptions: Readonly<Record<string, string>>
}

/** What the provider's API answered, whatever its status. */
export interface PassthroughAnswer {
  /** What was asked, without the source's secrets. Without origin where only the provider in between knows it. */
  readonly url: string
  readonly status: number
  /** Names in lower case, without those that set cookies or carry credentials. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON as its value, anything else as text, or base64 of the bytes where that was asked for. The source's secrets are replaced by `***`. */
  readonly data: unknown
  /** One sentence each. */
  readonly warnings: readonly string[]
}

export interface PassthroughOptions extends Pick<FetchOptions, 'integrationId' | 'signal' | 'onRetry'> {
  /** The ATS behind the integration, as in `{tool}/{api}`. */
  readonly tool: string
  readonly api: string
  readonly request: PassthroughRequest
}

/**
 * Sends requests to the provider's own API with the credentials of the source, which go nowhere else: paths that could lead out of the API are
 * refused, redirects are answers.
 */
export interface Passthrough {
  /** Names of the APIs; null: only the provider knows which there are. */
  readonly apis: readonly string[] | null
  /**
   * Sends one request. Whatever the API answers is the answer, also 4xx and 5xx. It is sent again after a 401 that a new token may mend, and a few
   * times after 429; GET also after a cut connection. Nothing else is ever sent twice. Throws REQUEST_INVALID for a request that must not be sent,
   * PROVIDER_AUTHENTICATION, PROVIDER_REFUSED and PROVIDER_RATE_LIMITED where the provider does not let it through, PROVIDER_UNAVAILABLE where
   * there was no answer (a write may have been carried out), PROVIDER_ANSWER_INVALID for one that is too large or unreadable, and the signal's
   * reason on abort.
   */
  send(options: PassthroughOptions): Promise<PassthroughAnswer>
}
