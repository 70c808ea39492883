/** What a caller does with a failure: try again, leave the item, stop the work, refuse the request. */
export type ErrorNext = 'retry' | 'skip' | 'stop' | 'reject'

interface ErrorKind {
  readonly next: ErrorNext
  readonly title: string
}

/** Every error code of tidemark. A code is never reused for another meaning. */
export const ERRORS = {
  CONFIG_INVALID: { next: 'stop', title: 'Configuration is invalid' },
  DATA_DIRECTORY_LOCKED: { next: 'stop', title: 'Data directory is in use' },
  DATA_DIRECTORY_CORRUPT: { next: 'stop', title: 'Data directory cannot be read' },
  DISK_FULL: { next: 'stop', title: 'No space left on the device' },
  TOPIC_UNKNOWN: { next: 'stop', title: 'Topic does not exist' },
  TOPIC_MISMATCH: { next: 'stop', title: 'Topic differs from what is expected' },
  EXPORT_INVALID: { next: 'stop', title: 'Export is incomplete or damaged' },
  SCHEMA_ID_MISMATCH: { next: 'stop', title: 'Schema has another id in the registry' },
  OFFSET_OUT_OF_RANGE: { next: 'stop', title: 'Offset is outside the retained range' },
  RECORD_TOO_LARGE: { next: 'skip', title: 'Record is too large' },
  TASK_FENCED: { next: 'stop', title: 'Another owner took the task over' },
  LOG_UNAVAILABLE: { next: 'retry', title: 'Log cannot be reached' },
  LOG_CLOSED: { next: 'stop', title: 'Log is closed' },
  REGISTRY_UNAVAILABLE: { next: 'retry', title: 'Schema registry cannot be reached' },
  SCHEMA_UNKNOWN: { next: 'stop', title: 'Schema is not in the registry' },
  SCHEMA_INCOMPATIBLE: { next: 'stop', title: 'Schema is not compatible' },
  VALUE_UNDECODABLE: { next: 'skip', title: 'Bytes do not match their schema' },
  RECORD_INVALID: { next: 'skip', title: 'Record cannot be mapped' },
  SOURCE_UNKNOWN: { next: 'reject', title: 'Source is not configured' },
  SIGNATURE_INVALID: { next: 'reject', title: 'Signature is missing or wrong' },
  BODY_TOO_LARGE: { next: 'reject', title: 'Request body is too large' },
  REQUEST_INVALID: { next: 'reject', title: 'Request is not valid' },
  SPOOL_FULL: { next: 'retry', title: 'Webhook spool is full' },
  OVERLOADED: { next: 'retry', title: 'Too many requests at once' },
  WEBHOOK_UNMAPPABLE: { next: 'skip', title: 'Webhook cannot be understood' },
  PROVIDER_UNAVAILABLE: { next: 'retry', title: 'Provider cannot be reached' },
  PROVIDER_RATE_LIMITED: { next: 'retry', title: 'Provider limits the request rate' },
  PROVIDER_NOT_READY: { next: 'retry', title: 'First sync at the provider is not finished' },
  PROVIDER_AUTHENTICATION: { next: 'stop', title: 'Provider refused the credentials' },
  PROVIDER_REFUSED: { next: 'stop', title: 'Provider refused the request' },
  PROVIDER_ANSWER_INVALID: { next: 'retry', title: 'Provider answered something unexpected' },
  SYNC_TIMED_OUT: { next: 'retry', title: 'Fetch took too long' },
  PROJECTION_MISMATCH: { next: 'stop', title: 'Projection does not fit the log or this version' },
  STORE_FAILED: { next: 'retry', title: 'SQL store failed' },
  INTERNAL: { next: 'stop', title: 'Unexpected failure' },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorDetails {
  readonly cause?: unknown
  /** Machine-readable particulars: ids, positions, limits. Never secrets or personal data. */
  readonly fields?: Readonly<Record<string, string | number | boolean | null>>
}

/** The one error class: a code from the table, a message that says what happened and what to do. */
export class TidemarkError extends Error {
  readonly code: ErrorCode
  readonly fields: Readonly<Record<string, string | number | boolean | null>>

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'TidemarkError'
    this.code = code
    this.fields = details.fields ?? {}
  }

  get next(): ErrorNext {
    return ERRORS[this.code].next
  }

  get title(): string {
    return ERRORS[this.code].title
  }
}

const SYSTEM_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  ECONNREFUSED: 'PROVIDER_UNAVAILABLE',
  ECONNRESET: 'PROVIDER_UNAVAILABLE',
  ETIMEDOUT: 'PROVIDER_UNAVAILABLE',
  ENOTFOUND: 'PROVIDER_UNAVAILABLE',
}

/** Turns anything thrown into a TidemarkError; never throws. Foreign errors keep themselves as cause. */
export function classify(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error
  const message = error instanceof Error ? error.message : String(error)
  const system = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  const code = SYSTEM_CODES[system] ?? (message.includes('No space left on device') ? 'DISK_FULL' : 'INTERNAL')
  return new TidemarkError(code, message, { cause: error })
}
