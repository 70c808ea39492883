import type { VisibleIntegration } from '../context.ts'
import type { ApiDeps, LiveSource } from '../deps.ts'
import { ApiError } from '../errors.ts'

/** The source that reads an integration, if this process has it. */
export const sourceOf = ({ sources }: ApiDeps, { status }: VisibleIntegration): LiveSource | undefined =>
  status && sources?.get(status.source)

/** Says that this process cannot ask the provider of an integration. */
export function noSource({ id, status }: VisibleIntegration): ApiError {
  const message =
    status === undefined
      ? `No source reads "${id}" any more, so there are no credentials to send a request with.`
      : `This process does not have the source "${status.source}" of "${id}". Configure it here too, or ask the process that has it.`
  return new ApiError(501, 'PLATFORM.UNKNOWN_ERROR', message)
}
