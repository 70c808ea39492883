/**
 * Kombo's failures in our codes. Kombo asks to decide on `error.code`, and on the HTTP status only where there is no code; permanent
 * failures are told apart before anything is tried again.
 */
import { type ErrorCode, TidemarkError } from '@tidemark/base'

/** An answer as far as its failure is concerned. */
export interface FailedAnswer {
  /** Method, path and integration, for messages. */
  readonly route: string
  readonly status: number
  /** Parsed body, or undefined where it is not JSON. */
  readonly json: unknown
}

/** What an unsuccessful answer means for the request. */
export type Verdict =
  | { readonly kind: 'not_offered'; readonly message: string }
  /** Tried again after a backoff, a bounded number of times. */
  | { readonly kind: 'retry'; readonly error: TidemarkError }
  /** Tried again when the rate limit's window ends. */
  | { readonly kind: 'rate_limited'; readonly error: TidemarkError }
  | { readonly kind: 'fail'; readonly error: TidemarkError }

type Action = 'not_offered' | 'retry' | 'rate_limited' | 'fail'

const BY_CODE: Readonly<Record<string, readonly [Action, ErrorCode]>> = {
  'PLATFORM.AUTHENTICATION_INVALID': ['fail', 'PROVIDER_AUTHENTICATION'],
  'PLATFORM.IP_NOT_WHITELISTED': ['fail', 'PROVIDER_REFUSED'],
  'PLATFORM.INTEGRATION_NOT_FOUND': ['fail', 'PROVIDER_REFUSED'],
  'PLATFORM.INPUT_INVALID': ['fail', 'PROVIDER_REFUSED'],
  'INTEGRATION.AUTHENTICATION_INVALID': ['fail', 'PROVIDER_AUTHENTICATION'],
  'INTEGRATION.PERMISSION_MISSING': ['fail', 'PROVIDER_REFUSED'],
  'INTEGRATION.INACTIVE': ['fail', 'PROVIDER_REFUSED'],
  'INTEGRATION.SETUP_INCOMPLETE': ['fail', 'PROVIDER_NOT_READY'],
  'INTEGRATION.SETUP_SYNC_PENDING': ['fail', 'PROVIDER_NOT_READY'],
  'INTEGRATION.QA_FAILED': ['fail', 'PROVIDER_NOT_READY'],
  'INTEGRATION.MODEL_NOT_AVAILABLE': ['not_offered', 'PROVIDER_REFUSED'],
  'INTEGRATION.MODEL_DISABLED': ['not_offered', 'PROVIDER_REFUSED'],
  'PLATFORM.RATE_LIMIT_EXCEEDED': ['rate_limited', 'PROVIDER_RATE_LIMITED'],
  'PLATFORM.CONCURRENCY_LIMIT_EXCEEDED': ['rate_limited', 'PROVIDER_RATE_LIMITED'],
  'REMOTE.RATE_LIMIT_EXCEEDED': ['rate_limited', 'PROVIDER_RATE_LIMITED'],
  'REMOTE.SERVICE_UNAVAILABLE': ['retry', 'PROVIDER_UNAVAILABLE'],
}

const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  PROVIDER_AUTHENTICATION: 'Check api_key of this source, or have the customer reconnect the integration.',
  PROVIDER_REFUSED: 'Check the integration id, base_url and the permissions in the Kombo dashboard.',
  PROVIDER_NOT_READY: 'It is asked again when Kombo sends a webhook, and from time to time.',
  PROVIDER_RATE_LIMITED: 'It is tried again when the limit allows.',
  PROVIDER_UNAVAILABLE: 'It is tried again.',
  PROVIDER_ANSWER_INVALID: 'It is tried again; check that base_url is the API of Kombo if it repeats.',
}

/** The members of Kombo's error envelope that are known; null for a body that is no such envelope. */
export function errorEnvelope(json: unknown): { readonly code: string | null; readonly message: string } | null {
  if (typeof json !== 'object' || json === null || !('error' in json)) return null
  const error = json.error
  if (typeof error !== 'object' || error === null) return null
  const text = (name: string): string | null => {
    const value = (error as Record<string, unknown>)[name]
    return typeof value === 'string' ? value : null
  }
  return { code: text('code'), message: (text('message') ?? '').slice(0, 300) }
}

/**
 * Before structured codes (August 2025) an unfinished first sync was a 503 whose envelope held only a message. The message is not
 * part of any contract, so every 503 in Kombo's envelope without a code counts; load balancers answer 503 without the envelope.
 */
export function isMessageOnlySetupError(answer: FailedAnswer): boolean {
  const envelope = errorEnvelope(answer.json)
  return answer.status === 503 && envelope !== null && envelope.code === null
}

/**
 * Kombo says that there is no such record: 404 in its envelope, with no code that says something else. That it answers so is not documented. The 404 of
 * a proxy has no envelope.
 */
export function isAbsence({ status, json }: FailedAnswer): boolean {
  const envelope = errorEnvelope(json)
  if (status !== 404 || envelope === null) return false
  return envelope.code === null || envelope.code === 'PLATFORM.INPUT_INVALID' || !Object.hasOwn(BY_CODE, envelope.code)
}

function actionOf(answer: FailedAnswer): readonly [Action, ErrorCode] {
  const envelope = errorEnvelope(answer.json)
  const code = envelope?.code
  // A code is the other side's text: `__proto__` is none of ours.
  const known = code && Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined
  if (known) return known
  if (isMessageOnlySetupError(answer)) return ['fail', 'PROVIDER_NOT_READY']
  return actionOfStatus(answer.status, envelope?.code ?? null)
}

function actionOfStatus(status: number, code: string | null): readonly [Action, ErrorCode] {
  if (status === 401) return ['fail', 'PROVIDER_AUTHENTICATION']
  if (status === 404) return ['not_offered', 'PROVIDER_REFUSED']
  if (status === 409 && code === null) return ['fail', 'PROVIDER_NOT_READY']
  if (status === 429) return ['rate_limited', 'PROVIDER_RATE_LIMITED']
  if (status === 408 || (status >= 500 && status <= 599)) return ['retry', 'PROVIDER_UNAVAILABLE']
  if (status >= 400) return ['fail', 'PROVIDER_REFUSED']
  if (status >= 300) return ['fail', 'PROVIDER_ANSWER_INVALID']
  return ['retry', 'PROVIDER_ANSWER_INVALID']
}

/** Judges an answer that is not a page of records. */
export function judge(answer: FailedAnswer): Verdict {
  const [action, code] = actionOf(answer)
  const envelope = errorEnvelope(answer.json)
  const said = envelope ? ` (${[envelope.code, envelope.message].filter(Boolean).join(': ')})` : ''
  const what = `${answer.route}: Kombo answered ${answer.status}${said}.`
  if (action === 'not_offered') return { kind: 'not_offered', message: what }
  const error = new TidemarkError(code, `${what} ${ADVICE[code] ?? ''}`.trim(), {
    fields: { status: answer.status, provider_code: envelope?.code ?? null },
  })
  return { kind: action, error }
}

/** An answer of status 2xx whose body is not what Kombo documents: HTML, cut JSON, another envelope. */
export function answerInvalid(route: string, problem: string, cause?: unknown): TidemarkError {
  return new TidemarkError('PROVIDER_ANSWER_INVALID', `${route}: ${problem}. ${ADVICE.PROVIDER_ANSWER_INVALID}`, {
    cause,
  })
}
