/** How often and how long a passthrough request is tried: somebody waits for its answer, and a write must not happen twice. */
import { type Clock, TidemarkError } from '@tidemark/base'
import type { PassthroughMethod } from '../../passthrough.ts'
import type { HttpAnswer, Judgement } from '../client.ts'
import { retryAfterMs } from '../waits.ts'

/** Bytes of an answer that is handed on. */
export const ANSWER_BYTES_MAX = 10_000_000

/** Tries of a GET whose connection was cut. */
const READ_ATTEMPTS_MAX = 3
const RATE_LIMITED_MAX = 3
/** Somebody waits: a longer limit is the answer. */
const RATE_LIMIT_WAIT_MS_MAX = 30_000

/** May be sent again although nobody knows what became of it. */
export const isRepeatable = (method: PassthroughMethod): boolean => method === 'GET'

export const attemptsOf = (method: PassthroughMethod): number => (isRepeatable(method) ? READ_ATTEMPTS_MAX : 1)

/** Says of each answer 429 to one request how long to wait for another try; undefined: long enough was waited. */
export function rateLimitWaits(
  clock: Clock,
  waitOf: (answer: HttpAnswer) => number | undefined = ({ headers }) => retryAfterMs(headers, clock.now()),
): (answer: HttpAnswer) => { readonly waitMs: number | undefined } | undefined {
  let limited = 0
  return (answer) => {
    const waitMs = waitOf(answer)
    return ++limited > RATE_LIMITED_MAX || (waitMs ?? 0) > RATE_LIMIT_WAIT_MS_MAX ? undefined : { waitMs }
  }
}

/** Tries of any read that somebody waits for. */
export const LIVE_ATTEMPTS_MAX = READ_ATTEMPTS_MAX

/** A judge for such a read: a rate limit is waited for a few times, and only where the wait is short; else it is the answer. Of one request. */
export function impatient<T>(judge: (answer: HttpAnswer) => Judgement<T>): (answer: HttpAnswer) => Judgement<T> {
  let limited = 0
  return (answer) => {
    const judgement = judge(answer)
    if (judgement.kind !== 'rate_limited') return judgement
    const isLong = ++limited > RATE_LIMITED_MAX || (judgement.waitMs ?? 0) > RATE_LIMIT_WAIT_MS_MAX
    return isLong ? { kind: 'fail', error: judgement.error } : judgement
  }
}

/** The judgement of an answer 429 that is waited for. */
export const rateLimited = (what: string, provider: string, waitMs: number | undefined): Judgement<never> => ({
  kind: 'rate_limited',
  error: new TidemarkError('PROVIDER_RATE_LIMITED', `${what}: ${provider} limits the requests. Try again later.`),
  waitMs,
})

/** Failures before anything was sent. */
const NEVER_SENT = /\((ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT|ENETUNREACH|EHOSTUNREACH)\)/

/**
 * A failure as the one who asked is told it: nothing is tried again behind their back, and after a write it is said whether it may have happened.
 * `sent`: the request went out, so that the failure is not that of getting a token.
 */
export function failureOf(
  error: unknown,
  { what, provider, method, sent }: { what: string; provider: string; method: PassthroughMethod; sent: boolean },
): unknown {
  if (!(error instanceof TidemarkError) || !sent) return error
  if (error.code !== 'PROVIDER_UNAVAILABLE' && error.code !== 'PROVIDER_ANSWER_INVALID') return error
  const maybe = isRepeatable(method)
    ? ''
    : ` It is not known whether ${provider} carried it out: look before you send it again.`
  const told = (message: string): TidemarkError =>
    new TidemarkError(error.code, message, { cause: error, fields: error.fields })
  const { bytesMax, status } = error.fields
  if (bytesMax !== undefined)
    return told(
      `${what}: the answer is larger than ${bytesMax} bytes and was not read further. Ask for less of it.${maybe}`,
    )
  if (status !== undefined) return told(`${error.message}${maybe}`)
  if (NEVER_SENT.test(error.message)) return told(`${what}: ${provider} cannot be reached. Nothing was sent.`)
  return told(`${what}: ${provider} gave no complete answer.${maybe}`)
}
