/** TRAFFIT's failures in our codes. Its error bodies have several shapes, so the HTTP status decides and the body only explains. */
import { type ErrorCode, TidemarkError } from '@tidemark/base'
import { type HttpAnswer, insteadOfJson } from '@tidemark/connector/http'
import { isJson } from '@tidemark/connector/mapping'
import { textOf } from './json.ts'

/** What an unsuccessful answer means for its request. */
export type Verdict = { readonly kind: 'retry' | 'rate_limited' | 'fail'; readonly error: TidemarkError }

const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  PROVIDER_AUTHENTICATION: 'Check client_id and client_secret of this source, and that the API client is of version 2.',
  PROVIDER_REFUSED: 'Check base_url of this source and the scopes of its API client.',
  PROVIDER_NOT_READY: 'It is asked again from time to time.',
  PROVIDER_RATE_LIMITED: 'It is tried again when the limit allows.',
  PROVIDER_UNAVAILABLE: 'It is tried again.',
  PROVIDER_ANSWER_INVALID: 'It is tried again; check that base_url is the tenant if it repeats.',
}

/** Of what is not tried again behind the back of whoever waits. */
const LIVE_ADVICE: typeof ADVICE = {
  ...ADVICE,
  PROVIDER_NOT_READY: 'Try again later.',
  PROVIDER_RATE_LIMITED: 'Try again later.',
  PROVIDER_UNAVAILABLE: 'Try again later.',
  PROVIDER_ANSWER_INVALID: 'Check that base_url is the tenant if it repeats.',
}

const SAID_MAX = 300

/** The texts of the shapes of error bodies: OAuth's, a code with a message, and messages by field; empty for any other body. */
export function saidBy(json: unknown): string {
  if (!isJson(json)) return ''
  const fields = isJson(json['errors'])
    ? Object.entries(json['errors']).map(([name, texts]) => `${name}: ${[texts].flat().map(String).join(' ')}`)
    : []
  const texts = [textOf(json['error']), textOf(json['error_description']), textOf(json['message']), ...fields]
  return texts
    .filter((text) => text !== null)
    .join(': ')
    .slice(0, SAID_MAX)
}

/** A locked or unfinished account. TRAFFIT documents no such state; these are the statuses HTTP has for it. */
export const isNotReady = (status: number): boolean => status === 423 || status === 425

function meaningOf(status: number): readonly [Verdict['kind'], ErrorCode] {
  if (status === 401) return ['fail', 'PROVIDER_AUTHENTICATION']
  if (status === 429) return ['rate_limited', 'PROVIDER_RATE_LIMITED']
  if (isNotReady(status)) return ['fail', 'PROVIDER_NOT_READY']
  if (status === 408 || (status >= 500 && status <= 599)) return ['retry', 'PROVIDER_UNAVAILABLE']
  if (status >= 400) return ['fail', 'PROVIDER_REFUSED']
  if (status >= 300) return ['fail', 'PROVIDER_ANSWER_INVALID']
  return ['retry', 'PROVIDER_ANSWER_INVALID']
}

export const inBrackets = (said: string): string => (said === '' ? '' : ` (${said})`)

/** Judges an answer that is not what was asked for. `isLive`: somebody waits, and is told to try again. */
export function judge(what: string, answer: HttpAnswer, json: unknown, isLive = false): Verdict {
  const { status } = answer
  const [kind, code] = meaningOf(status)
  const said = status < 300 && json === undefined ? ` with ${insteadOfJson(answer)}` : inBrackets(saidBy(json))
  const message = `${what}: TRAFFIT answered ${status}${said}. ${(isLive ? LIVE_ADVICE : ADVICE)[code] ?? ''}`.trim()
  return { kind, error: new TidemarkError(code, message, { fields: { status } }) }
}

/** An answer of status 2xx whose body is not what TRAFFIT documents. */
export const answerInvalid = (what: string, problem: string): TidemarkError =>
  new TidemarkError('PROVIDER_ANSWER_INVALID', `${what}: ${problem}. ${ADVICE.PROVIDER_ANSWER_INVALID}`)

/** Refused client credentials: 400 with OAuth's error, or 401. */
export function credentialsRefused(status: number, json: unknown): TidemarkError {
  const message = `POST /oauth2/token: TRAFFIT answered ${status}${inBrackets(saidBy(json))}. ${ADVICE.PROVIDER_AUTHENTICATION}`
  return new TidemarkError('PROVIDER_AUTHENTICATION', message, { fields: { status } })
}
