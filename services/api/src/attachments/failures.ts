/** What a client is told when files cannot be had: Kombo's codes, of which its clients know what to do. */
import { TidemarkError } from '@tidemark/base'
import { ApiError, inputInvalid } from '../errors.ts'

/** The refusal for what a source threw; what is no failure of the provider or the request stays as it is. Messages of connectors hold no secrets. */
export function attachmentFailure(error: unknown): unknown {
  if (!(error instanceof TidemarkError) || error instanceof ApiError) return error
  const { message } = error
  switch (error.code) {
    case 'REQUEST_INVALID':
      return inputInvalid(message)
    case 'PROVIDER_AUTHENTICATION':
      return new ApiError(409, 'INTEGRATION.AUTHENTICATION_INVALID', message)
    case 'PROVIDER_REFUSED':
      return error.fields['status'] === 403
        ? new ApiError(403, 'INTEGRATION.PERMISSION_MISSING', message)
        : new ApiError(502, 'REMOTE.UNKNOWN_HTTP_ERROR', message)
    case 'PROVIDER_RATE_LIMITED':
      return new ApiError(429, 'REMOTE.RATE_LIMIT_EXCEEDED', message)
    case 'PROVIDER_NOT_READY':
    case 'PROVIDER_UNAVAILABLE':
      return new ApiError(502, 'REMOTE.SERVICE_UNAVAILABLE', message)
    case 'PROVIDER_ANSWER_INVALID':
      return new ApiError(502, 'REMOTE.UNKNOWN_HTTP_ERROR', message)
    default:
      return error
  }
}

/** The time for asking the provider was over. */
export const askedTooLong = (ms: number): ApiError =>
  new ApiError(
    504,
    'PLATFORM.TASK_TIMED_OUT',
    `The provider gave no answer within ${ms / 1000} s, with the waits for its rate limit. Try again later.`,
  )
