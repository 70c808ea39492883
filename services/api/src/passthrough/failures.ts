/** What a client is told of a passthrough request that got no answer of the provider's API. */
import { type ErrorCode, TidemarkError } from '@tidemark/base'
import { ApiError, inputInvalid } from '../errors.ts'

/** Messages of the connectors say what happened and what to do, and hold no secrets. */
const TOLD: Readonly<Partial<Record<ErrorCode, (message: string) => ApiError>>> = {
  REQUEST_INVALID: inputInvalid,
  PROVIDER_RATE_LIMITED: (message) => new ApiError(429, 'PLATFORM.RATE_LIMIT_EXCEEDED', message),
  PROVIDER_AUTHENTICATION: (message) => new ApiError(502, 'PLATFORM.UNKNOWN_ERROR', message),
  PROVIDER_REFUSED: (message) => new ApiError(502, 'PLATFORM.UNKNOWN_ERROR', message),
  PROVIDER_NOT_READY: (message) => new ApiError(502, 'PLATFORM.UNKNOWN_ERROR', message),
  PROVIDER_UNAVAILABLE: (message) => new ApiError(502, 'PLATFORM.UNKNOWN_ERROR', message),
  PROVIDER_ANSWER_INVALID: (message) => new ApiError(502, 'PLATFORM.UNKNOWN_ERROR', message),
}

/** The refusal for what sending threw; what is no failure of the provider or the request stays as it is. */
export function passthroughFailure(error: unknown): unknown {
  if (!(error instanceof TidemarkError) || error instanceof ApiError) return error
  return TOLD[error.code]?.(error.message) ?? error
}

/** The time for a request was over. */
export function timedOut(ms: number, method: string): ApiError {
  const maybe = method === 'GET' ? '' : ' It is not known whether it was carried out: look before you send it again.'
  const message = `The provider gave no answer within ${ms / 1000} s, with the waits for its rate limit.${maybe}`
  return new ApiError(504, 'PLATFORM.TASK_TIMED_OUT', message)
}
