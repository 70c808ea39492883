/** Passthrough over a provider that itself sends requests on. */
import type { Clock } from '@tidemark/base'
import type { PassthroughOptions } from '../../passthrough.ts'
import type { HttpAnswer, HttpClient, Judgement } from '../client.ts'
import { withoutSecrets } from './body.ts'
import { ANSWER_BYTES_MAX, attemptsOf, failureOf, isRepeatable, rateLimitWaits } from './patience.ts'

/** Base64 of an answer, and what the provider puts around it. */
const RELAYED_BYTES_MAX = Math.ceil((ANSWER_BYTES_MAX * 4) / 3) + 100_000

export interface Relay {
  readonly provider: string
  readonly http: HttpClient
  readonly clock: Clock
  /** How long a rate limit says to wait; default: `Retry-After`. */
  readonly waitOf?: (answer: HttpAnswer) => number | undefined
}

export interface Relayed {
  /** What is asked for, in messages. */
  readonly what: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body: object
}

/**
 * Posts a request that the provider is to send on, and gives what `judge` reads from its answer. `retry` is tried again only where the request sent
 * on is a GET, rate limits a few times; else the judgement's error is thrown, with whether a write may have happened.
 */
export async function relay<T>(
  { provider, http, clock, waitOf }: Relay,
  { request, signal, onRetry }: Pick<PassthroughOptions, 'request' | 'signal' | 'onRetry'>,
  { what, url, headers, body }: Relayed,
  judge: (answer: HttpAnswer) => Judgement<T>,
): Promise<T> {
  const { method } = request
  const waits = rateLimitWaits(clock, waitOf)
  const settle = (judgement: Judgement<T>, answer: HttpAnswer): Judgement<T> => {
    if (judgement.kind === 'retry' && !isRepeatable(method)) return { kind: 'fail', error: judgement.error }
    if (judgement.kind !== 'rate_limited') return judgement
    const wait = waits(answer)
    return wait ? { ...judgement, waitMs: wait.waitMs } : { kind: 'fail', error: judgement.error }
  }
  const all = { accept: 'application/json', 'content-type': 'application/json', ...headers }
  try {
    return await http.send<T>(
      {
        ...{ method: 'POST', url, what, signal, onRetry, body: JSON.stringify(body) },
        ...{ headers: async () => all, attemptsMax: attemptsOf(method), bodyBytesMax: RELAYED_BYTES_MAX },
      },
      (answer) => {
        const clean = { ...answer, body: withoutSecrets(answer.body, (text) => http.redact(text)) }
        return settle(judge(clean), answer)
      },
    )
  } catch (error) {
    throw failureOf(error, { what, provider, method, sent: true })
  }
}
