/** Passthrough to an API that is spoken to directly, with bearer tokens that expire. */
import { type Clock, createRedactor } from '@tidemark/base'
import type { Passthrough, PassthroughAnswer, PassthroughOptions } from '../../passthrough.ts'
import type { HttpAnswer, HttpClient, Judgement } from '../client.ts'
import type { Tokens } from '../tokens.ts'
import { answerData, nativeBody } from './body.ts'
import { callerHeaders, shownHeaders } from './headers.ts'
import { ANSWER_BYTES_MAX, attemptsOf, failureOf, rateLimited, rateLimitWaits } from './patience.ts'
import { requestInvalid, targetUrl } from './target.ts'

export interface NativeApi {
  /** Name of the provider, for messages. */
  readonly provider: string
  /** Name of the API, as in `{tool}/{api}`. */
  readonly api: string
  /** Of every path. */
  readonly baseUrl: string
  /** Shared with the reads, and so are its rate limits. */
  readonly http: HttpClient
  readonly tokens: Tokens
  readonly clock: Clock
}

/** Sends requests to one API as they are, each with a token of the source. */
export function nativePassthrough(native: NativeApi): Passthrough {
  return { apis: [native.api], send: (options) => send(native, options) }
}

async function send(native: NativeApi, options: PassthroughOptions): Promise<PassthroughAnswer> {
  const { provider, baseUrl, http } = native
  const { request, api } = options
  if (api !== native.api) throw requestInvalid(`${provider} has no API "${api}"; it has ${native.api}.`)
  if (Object.keys(request.apiOptions).length > 0)
    throw requestInvalid(`api_options: ${provider} has none; leave them out.`)
  const url = targetUrl(baseUrl, request)
  const { answer, token } = await exchange(native, options, url)
  const redact = (text: string): string => createRedactor([token])(http.redact(text))
  return {
    url: redact(url.href),
    status: answer.status,
    headers: shownHeaders(answer.headers),
    data: answerData(answer.body, answer.headers['content-type'], request.responseAsBase64, redact),
    warnings: [],
  }
}

interface Exchange {
  readonly answer: HttpAnswer
  readonly token: string
}

/** Once more with a new token where the first was refused: the provider did nothing. A second refusal is the answer. */
async function exchange(
  { provider, http, tokens, clock }: NativeApi,
  { integrationId, request, signal, onRetry }: PassthroughOptions,
  url: URL,
): Promise<Exchange> {
  const { method } = request
  const what = `${method} ${url.pathname} of ${integrationId} (passthrough)`
  const given = callerHeaders(request.headers)
  const body = nativeBody(request, given['content-type'])
  const own = body?.contentType === undefined ? {} : { 'content-type': body.contentType }
  const waits = rateLimitWaits(clock)
  for (let renewed = false; ; renewed = true) {
    let token = ''
    const judge = (answer: HttpAnswer): Judgement<Exchange | null> => {
      const wait = answer.status === 429 ? waits(answer) : undefined
      if (wait) return rateLimited(what, provider, wait.waitMs)
      return { kind: 'done', value: answer.status === 401 && !renewed ? null : { answer, token } }
    }
    try {
      const found = await http.send(
        {
          ...{ method, url: url.href, shownUrl: `${url.origin}${url.pathname}`, what, signal, onRetry },
          headers: async (each) => {
            token = await tokens.get(each)
            return { accept: 'application/json', ...given, ...own, authorization: `Bearer ${token}` }
          },
          ...(body === null ? {} : { body: body.bytes }),
          ...{ attemptsMax: attemptsOf(method), bodyBytesMax: ANSWER_BYTES_MAX },
        },
        judge,
      )
      if (found !== null) return found
    } catch (error) {
      throw failureOf(error, { what, provider, method, sent: token !== '' })
    }
    tokens.forget(token)
  }
}
