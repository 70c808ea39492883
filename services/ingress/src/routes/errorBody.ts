import { ERRORS, type ErrorCode } from '@tidemark/base'

export interface ErrorBody {
  readonly status: 'error'
  readonly error: {
    readonly code: string
    readonly title: string
    readonly message: string
    readonly log_url: null
  }
}

/** The body of every refused request. */
export function errorBody(code: ErrorCode, message: string): ErrorBody {
  return { status: 'error', error: { code, title: ERRORS[code].title, message, log_url: null } }
}
