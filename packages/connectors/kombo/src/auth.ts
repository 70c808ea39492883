import type { KomboOptions } from './options.ts'

/**
 * Headers that authenticate a read of one integration: a bearer key of the environment and the integration header. The key has no
 * expiry and cannot be renewed, so there is nothing to get or forget.
 */
export function authHeaders(options: KomboOptions, integrationId: string): Record<string, string> {
  return { authorization: `Bearer ${options.apiKey}`, 'x-integration-id': integrationId }
}
