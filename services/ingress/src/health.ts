import type { IngressState } from './state.ts'

/** How far an integration has come. Whatever is not READY has never been read completely. */
export type SetupState = 'READY' | 'SETUP_SYNC_PENDING' | 'SETUP_INCOMPLETE' | 'QA_FAILED'

/** How its provider is reached now. */
export type ConnectionState = 'ACTIVE' | 'INVALID' | 'INACTIVE'

export interface Health {
  readonly setup: SetupState
  readonly connection: ConnectionState
  /** Why nothing is fetched by schedule; null while it is. */
  readonly stoppedBecause: string | null
  /** Since when the credentials are refused, without a success in between. */
  readonly refusedSinceMs: number | null
}

/**
 * An integration's health from what ats.syncs says. READY means that a complete run has ended well or in part (as with Kombo, reference
 * section 5), or that every listing has been read once; it stays so whatever fails later.
 */
export function healthOf(state: IngressState, integrationId: string, streams: readonly string[]): Health {
  const words = (state.providerState(integrationId) ?? '').split(' ')
  const stopped = state.stoppedBecause(integrationId)
  const isRead = streams.length > 0 && streams.every((stream) => state.watermark(integrationId, stream) !== undefined)
  return {
    setup: state.isReady(integrationId) || isRead ? 'READY' : setupOf(words, state.notReadyCode(integrationId)),
    connection: words.includes('INACTIVE')
      ? 'INACTIVE'
      : stopped !== undefined || words.includes('INVALID')
        ? 'INVALID'
        : 'ACTIVE',
    stoppedBecause: stopped ?? null,
    refusedSinceMs: state.refusedSince(integrationId) ?? null,
  }
}

/** From the provider's last word, of a webhook or of an answer that refused a page. */
function setupOf(words: readonly string[], code: string | undefined): SetupState {
  if (words.includes('FAILED') || code?.endsWith('QA_FAILED')) return 'QA_FAILED'
  if (words.includes('INCOMPLETE') || code?.endsWith('SETUP_INCOMPLETE')) return 'SETUP_INCOMPLETE'
  return 'SETUP_SYNC_PENDING'
}
