/** Knit's failures in our codes. Its error envelope is not published, so the HTTP status alone decides (inferred). */
import { type ErrorCode, TidemarkError } from '@tidemark/base'

/** An answer as far as its failure is concerned. */
export interface FailedAnswer {
  /** Method, path and integration, for messages. */
  readonly what: string
  readonly status: number
  /** Parsed body, or undefined where it is not JSON. */
  readonly json: unknown
}

/** What an unsuccessful answer means for the request. */
export interface Verdict {
  readonly kind: 'retry' | 'rate_limited' | 'fail'
  readonly error: TidemarkError
}

const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  PROVIDER_AUTHENTICATION: 'Check api_key of this source.',
  PROVIDER_REFUSED:
    'Check the integration id and base_url, and that syncs are enabled for the ATS category in the Knit dashboard.',
  PROVIDER_NOT_READY: 'Another run is under way; it is asked again when Knit reports its end, and from time to time.',
  PROVIDER_RATE_LIMITED: 'It is tried again when the limit allows.',
  PROVIDER_UNAVAILABLE: 'It is tried again.',
  PROVIDER_ANSWER_INVALID: 'It is tried again; check that base_url is the API of Knit if it repeats.',
}

/** Longest text of the provider that a message repeats. */
const SAID_CHARS_MAX = 300

/** What the provider says about its failure, in the places where it may say so (inferred); null where it says nothing. */
export function saidIn(json: unknown): string | null {
  if (typeof json !== 'object' || json === null) return null
  const { error, msg } = json as { readonly error?: unknown; readonly msg?: unknown }
  const nested = typeof error === 'object' && error !== null && 'msg' in error ? error.msg : error
  const text = [nested, msg].find((value) => typeof value === 'string' && value !== '')
  return typeof text === 'string' ? text.slice(0, SAID_CHARS_MAX) : null
}

/** 409 means that a run of the same data type is under way (inferred). */
function actionOf(status: number): readonly [Verdict['kind'], ErrorCode] {
  if (status === 401) return ['fail', 'PROVIDER_AUTHENTICATION']
  if (status === 409) return ['fail', 'PROVIDER_NOT_READY']
  if (status === 429) return ['rate_limited', 'PROVIDER_RATE_LIMITED']
  if (status === 408 || status >= 500) return ['retry', 'PROVIDER_UNAVAILABLE']
  if (status >= 400) return ['fail', 'PROVIDER_REFUSED']
  return ['fail', 'PROVIDER_ANSWER_INVALID']
}

/** Judges an answer whose status is no success. */
export function judge({ what, status, json }: FailedAnswer): Verdict {
  const [kind, code] = actionOf(status)
  const said = saidIn(json)
  const message = `${what}: Knit answered ${status}${said === null ? '' : ` (${said})`}. ${ADVICE[code] ?? ''}`.trim()
  return { kind, error: new TidemarkError(code, message, { fields: { status } }) }
}

/** An answer of status 2xx that says it failed all the same. */
export function unsuccessful({ what, status, json }: FailedAnswer): TidemarkError {
  const said = saidIn(json)
  const message = `${what}: Knit answered without success${said === null ? '' : ` (${said})`}. ${ADVICE.PROVIDER_REFUSED}`
  return new TidemarkError('PROVIDER_REFUSED', message, { fields: { status } })
}

/** An answer of status 2xx whose body is not what Knit documents: HTML, cut JSON, another envelope. */
export function answerInvalid(what: string, problem: string): TidemarkError {
  return new TidemarkError('PROVIDER_ANSWER_INVALID', `${what}: ${problem}. ${ADVICE.PROVIDER_ANSWER_INVALID}`)
}
