/** Kombo's error codes that the sandbox answers with, their HTTP status and static title. */
const CODES = {
  'PLATFORM.AUTHENTICATION_INVALID': [401, 'API key is invalid'],
  'PLATFORM.INPUT_INVALID': [400, 'Input is invalid'],
  'PLATFORM.INTEGRATION_NOT_FOUND': [404, 'Integration was not found'],
  'PLATFORM.RATE_LIMIT_EXCEEDED': [429, 'Rate limit exceeded'],
  'PLATFORM.UNKNOWN_ERROR': [500, 'Unknown error'],
  'INTEGRATION.SETUP_SYNC_PENDING': [409, 'First sync is not finished'],
  'INTEGRATION.SETUP_INCOMPLETE': [409, 'Setup is incomplete'],
  'INTEGRATION.QA_FAILED': [409, 'Quality checks failed'],
  'INTEGRATION.INACTIVE': [409, 'Integration is inactive'],
  'INTEGRATION.MODEL_NOT_AVAILABLE': [400, 'Model is not available'],
} as const

export type KomboCode = keyof typeof CODES

/** A request that the simulated Kombo refuses. It becomes an answer, never a crash. */
export class Refusal extends Error {
  readonly code: KomboCode
  readonly status: number

  /** `status`: instead of the code's usual one. */
  constructor(code: KomboCode, message: string, status: number = CODES[code][0]) {
    super(message)
    this.name = 'Refusal'
    this.code = code
    this.status = status
  }

  /** The error envelope with all four keys. */
  body(interactionId: string): string {
    const log_url = `https://app.kombo.dev/sandbox/logs?interactionId=${interactionId}`
    const error = { code: this.code, title: CODES[this.code][1], message: this.message, log_url }
    return JSON.stringify({ status: 'error', error })
  }
}
