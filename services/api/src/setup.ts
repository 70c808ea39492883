/** How far an integration has come, and what its reads answer until it is ready. */
import type { VisibleIntegration } from './context.ts'
import type { ConnectionState, SetupState } from './deps.ts'
import { ApiError } from './errors.ts'

interface Refusal {
  readonly code: `INTEGRATION.${Exclude<SetupState, 'READY'>}`
  /** What is the matter, behind the integration's id. */
  readonly what: string
  readonly todo: string
}

const REFUSALS: Readonly<Record<Exclude<SetupState, 'READY'>, Refusal>> = {
  SETUP_SYNC_PENDING: {
    code: 'INTEGRATION.SETUP_SYNC_PENDING',
    what: 'is in its first sync',
    todo: 'Its data can be read once that is complete; ask again later',
  },
  SETUP_INCOMPLETE: {
    code: 'INTEGRATION.SETUP_INCOMPLETE',
    what: 'is not set up completely',
    todo: 'Whoever connects it has to finish the steps of its setup at the provider; its first sync follows',
  },
  QA_FAILED: {
    code: 'INTEGRATION.QA_FAILED',
    what: 'delivered first data that did not pass the checks of the provider',
    todo: "Ask the provider's support to look at it; its data can be read once they pass it",
  },
  INACTIVE: {
    code: 'INTEGRATION.INACTIVE',
    what: 'is switched off at the provider',
    todo: 'Switch it on there; a sync follows',
  },
}

export const setupOf = ({ status }: VisibleIntegration): SetupState => status?.setup ?? 'READY'

/** An integration that no source reads any more is inactive: its records stay as they are. */
export function connectionOf({ status }: VisibleIntegration): ConnectionState {
  if (status === undefined || status.setup === 'INACTIVE') return 'INACTIVE'
  return status.connection ?? 'ACTIVE'
}

/**
 * Throws 409 with Kombo's code while an integration's first data is not complete. Afterwards its data is served whatever its syncs and
 * its connection do: it is that of the last good sync.
 */
export function requireReady(integration: VisibleIntegration): void {
  const setup = setupOf(integration)
  if (setup === 'READY') return
  const { code, what, todo } = REFUSALS[setup]
  throw new ApiError(409, code, `"${integration.id}" ${what}. ${todo}. /v1/status shows how far it is.`)
}
